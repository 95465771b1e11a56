/* The random words of stochastic rounding (hwgen.spec.dither defines them). */
#ifndef HWGEN_DITHER_H
#define HWGEN_DITHER_H

#include "datapath.h"

enum { MAX_RANDOM_BITS = 24 };

/* The words of one lane of a side, one a product. */
typedef struct {
    uint32_t masks[MAX_RANDOM_BITS];
    int bits;
    uint32_t state;
} dither;

void dither_start(dither *self, const window *spec, hwgen_side side, int64_t lane);
uint32_t dither_next(dither *self);

#endif
