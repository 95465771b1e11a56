/* Operands packed for the kernels: panels of as many lines as a kernel takes at once. */
#ifndef HWGEN_PACK_H
#define HWGEN_PACK_H

#include "job.h"
#include "kernels.h"
#include "memory.h"
#include "reader.h"

typedef struct {
    int lines; /* of a panel; what is beyond the operand's lines is 0 */
    int64_t panels;
    int64_t terms;
    double *values; /* term k of line l of panel p: values[(p * terms + k) * lines + l] */
    float *singles; /* the same in float32; NULL if not asked for */
    int16_t *term_lows; /* panels x terms */
    int16_t *lows;      /* as values; NULL if not asked for */
    uint64_t *words;    /* as values; NULL if not asked for */
    line_facts facts;   /* panels x lines */
    memory memory;
} packed;

typedef struct {
    int panel_lines;
    bool singles;
    bool lows;
    int lanes; /* terms k are sorted by k mod lanes, then by k */
    const window *random; /* whose random numbers to make; NULL if none */
    hwgen_side side;
    int64_t array_lanes; /* lanes of the array on this side; 0 for one a line */
} pack_options;

/* Returns HWGEN_OK or HWGEN_NO_MEMORY; pack_free releases what was made. */
int pack(packed *self, const operand *source, const kernel_set *kernels, pack_options options,
         int threads);
void pack_free(packed *self);

/* Where the terms of a lane begin when they are sorted by lanes. */
static inline int64_t lane_start(int64_t terms, int lanes, int lane) {
    int64_t each = terms / lanes, more = terms % lanes;
    return lane * each + (lane < more ? lane : more);
}

#endif
