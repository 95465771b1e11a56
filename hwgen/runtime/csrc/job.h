/* One product of matrices: what to compute, and where results go. */
#ifndef HWGEN_JOB_H
#define HWGEN_JOB_H

#include <string.h>

#include "operand.h"

typedef struct {
    const hwgen_datapath *datapath;
    int64_t m;
    int64_t n;
    int64_t k;
    operand a; /* lines are rows */
    operand b; /* lines are columns */
    bool to_values;
    hwgen_scalar scalar; /* of c, if it takes values */
    char *c;             /* patterns, or values */
    int64_t ldc;         /* elements from row to row */
    size_t pattern_bytes;
    uint8_t *status;       /* of every element; NULL if not asked for */
    uint8_t *total_status; /* of all elements together; NULL if not asked for */
} job;

/* A rectangle of the result. */
typedef struct {
    int64_t top;
    int64_t left;
    int64_t rows;
    int64_t cols;
} tile;

static inline bool wants_status(const job *self) {
    return self->status != NULL || self->total_status != NULL;
}

/* Puts one result, given as a pattern with its status, where it belongs. */
void job_store(const job *self, int64_t row, int64_t col, const void *pattern, uint8_t status);

/* Adds to the status of one result. */
void job_add_status(const job *self, int64_t row, int64_t col, uint8_t status);

/* Whether nothing inexact is known yet that the result's status would tell. */
static inline bool job_lacks_inexact(const job *self, int64_t row, int64_t col) {
    if (self->status != NULL)
        return !(self->status[row * self->ldc + col] & HWGEN_INEXACT);
    return !(__atomic_load_n(self->total_status, __ATOMIC_RELAXED) & HWGEN_INEXACT);
}

/* What a mask asks for. */
enum {
    JUDGE_NOT,
    JUDGE_ALL,
    JUDGE_INEXACT, /* of a floating-point sum that is known but for whether a step was inexact */
};

/*
 * Computes a tile's elements one product at a time. With a mask of rows x cols bytes, only what
 * that asks for. Returns HWGEN_OK or HWGEN_NO_MEMORY.
 */
int judge_tile(const job *self, tile part, const uint8_t *mask);

#endif
