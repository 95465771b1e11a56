/* From sums to results. */
#ifndef HWGEN_FINISH_H
#define HWGEN_FINISH_H

#include "plan.h"

/* A tile's sums in float64: sum (i, j) of slice s is sums[s * slice + i * row + j]. */
typedef struct {
    const product *product;
    tile part;
    const layout *plan; /* NULL for floating-point sums, which may be special */
    double *sums;
    int64_t row;
    int64_t slice;
    const double *lost;    /* not 0 where bits were dropped, as sums; NULL if not known so */
    const int16_t *lowest; /* weight of the lowest bit of any product, as sums; NULL if not known */
    /* Elements whose results another way gives afterwards, rows x columns of the tile. */
    const uint8_t *mask;
} finishing;

void finish_tile(const finishing *self);

#endif
