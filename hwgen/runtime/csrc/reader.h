/* Operands as float64 numbers, for formats whose every number is one. */
#ifndef HWGEN_READER_H
#define HWGEN_READER_H

#include "kernels.h"
#include "operand.h"

enum { RUN = 256 }; /* numbers that are read at once, at most */

typedef struct {
    const operand *source;
    const kernel_set *kernels;
    enum { READ_FLOAT_VALUES, READ_FIXED_VALUES, READ_EXACT_VALUES, READ_FLOAT_PATTERNS,
           READ_BY_TABLE, READ_BY_PARTS, READ_ANY } how;
    float_rounding float_values;
    fixed_rounding fixed_values;
    float_pattern float_patterns;
    double *table; /* of every pattern, or of elements and then scales; NULL unless it pays */
} reader;

/* Whether every number of a format is a float64. */
bool fits_double(const format *self);
float_rounding float_rounding_of(const format *self);
fixed_rounding fixed_rounding_of(const format *self);

/* Returns HWGEN_OK or HWGEN_NO_MEMORY. */
int reader_open(reader *self, const operand *source, const kernel_set *kernels);
void reader_close(reader *self);

/*
 * Reads up to RUN numbers, along the terms of a line or along the lines of a term. Specials come as
 * float64's.
 */
void read_terms(const reader *self, int64_t line, int64_t first, int64_t count, double *out);
void read_lines(const reader *self, int64_t first, int64_t term, int64_t count, double *out);

#endif
