/* An operand of a product as the caller gave it: patterns, or machine numbers to be rounded. */
#ifndef HWGEN_OPERAND_H
#define HWGEN_OPERAND_H

#include "datapath.h"

/* `lines` rows of a or columns of b, each of `terms` numbers. */
typedef struct {
    const format *format;
    int64_t lines;
    int64_t terms;
    const void *patterns; /* NULL if values are given */
    const void *values;
    hwgen_scalar scalar;
    int64_t line_stride; /* in elements */
    int64_t term_stride;
    int64_t first; /* number of the first line among all; random numbers depend on it */
    void *owned;   /* patterns made from values of block-scaled formats, to be freed */
} operand;

void operand_of_patterns(operand *self, const format *fmt, const void *patterns, int64_t lines,
                         int64_t terms, int64_t line_stride, int64_t term_stride);
/* Returns HWGEN_OK or HWGEN_NO_MEMORY; operand_free releases what it made. */
int operand_of_values(operand *self, const format *fmt, hwgen_scalar scalar, const void *values,
                      int64_t lines, int64_t terms, int64_t line_stride, int64_t term_stride);
void operand_free(operand *self);
/*
 * Gives all terms of each block of `block` terms the scale of its last one, in patterns of its own.
 * Returns HWGEN_OK or HWGEN_NO_MEMORY.
 */
int operand_share_scales(operand *self, int64_t block);
/* Some of an operand's lines, which stays the owner. */
operand operand_lines(const operand *self, int64_t first, int64_t count);

/* Decodes terms of one line, from `first` on. */
void operand_numbers(const operand *self, int64_t line, int64_t first, int64_t count,
                     number *numbers);

/* The same of a block-scaled format, by parts. */
void operand_parts(const operand *self, int64_t line, int64_t count, number *elements,
                   number *scales);

static inline int scalar_bytes(hwgen_scalar scalar) {
    return scalar == HWGEN_FLOAT64 ? 8 : 4;
}

static inline double scalar_load(hwgen_scalar scalar, const void *values, int64_t index) {
    return scalar == HWGEN_FLOAT64 ? ((const double *)values)[index]
                                   : (double)((const float *)values)[index];
}

/* Stores a number as such a scalar, rounded once. */
static inline void scalar_store_number(hwgen_scalar scalar, void *values, int64_t index,
                                       number value) {
    if (scalar == HWGEN_FLOAT64)
        ((double *)values)[index] = number_to_double(value);
    else
        ((float *)values)[index] = number_to_single(value);
}

static inline void scalar_store(hwgen_scalar scalar, void *values, int64_t index, double value) {
    if (scalar == HWGEN_FLOAT64)
        ((double *)values)[index] = value;
    else
        ((float *)values)[index] = (float)value;
}

#endif
