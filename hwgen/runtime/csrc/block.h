/* Quantisation of block-scaled formats. */
#ifndef HWGEN_BLOCK_H
#define HWGEN_BLOCK_H

#include "kernels.h"

enum { MOST_MAGNITUDES = 8 }; /* of elements under a scale in e4m3: e2m1 has 8 */

typedef struct {
    const format *format;
    format element; /* saturating */
    int top;        /* weight of the leading bit of the element's largest number */
    float_rounding floats;
    fixed_rounding fixed;
    double ties[MOST_MAGNITUDES]; /* between each of the element's magnitudes and the one below */
} block_encoder;

block_encoder block_encoder_of(const format *fmt);

/*
 * Quantises the numbers of one block: a scale for all, elements that carry it. A NaN or an infinity
 * makes the whole block NaN.
 */
void block_encode(const block_encoder *self, const double *values, int64_t count,
                  uint64_t *patterns);

#endif
