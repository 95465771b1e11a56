/* Number formats: patterns to numbers and back (hwgen.formats says what each is). */
#ifndef HWGEN_FORMAT_H
#define HWGEN_FORMAT_H

#include "number.h"

typedef enum { FORMAT_FLOAT, FORMAT_FIXED, FORMAT_POSIT, FORMAT_BLOCK } family;
typedef enum { SPECIALS_IEEE, SPECIALS_NAN, SPECIALS_NONE } specials;
typedef enum { BEYOND_INFINITY, BEYOND_SATURATE, BEYOND_NAN } beyond;
typedef enum { SCALE_E8M0, SCALE_E4M3 } scale_kind;

typedef struct format format;
struct format {
    family family;
    int width;
    int exponent_bits; /* of floats; of posits ES */
    int fraction_bits; /* of floats and fixed point */
    bool is_signed;    /* of fixed point */
    specials specials; /* of floats */
    beyond beyond;     /* of floats: what a too large result becomes */
    scale_kind scale;  /* of block-scaled formats */
    int block;
    const format *element;
    /* Derived. */
    int precision;    /* bits of the widest significand */
    int min_exponent; /* every value is an integer times 2^min_exponent */
    uint64_t largest; /* floats: pattern of the largest finite number; fixed: largest number */
};

/* What rounding to a format raises; a subset of the public status. */
typedef struct {
    uint64_t bits;
    bool overflow;
    bool inexact;
} encoding;

/* Fills in what is derived. */
void format_complete(format *self);
int format_bytes(int width);

number format_decode(const format *self, uint64_t bits);
/* A pattern of a block-scaled format by its two parts. */
void block_decode(const format *self, uint64_t bits, number *element, number *scale);
/* Rounds once, ties to even; not for block-scaled formats. */
encoding format_round(const format *self, unrounded value);
/* The same for any number: specials become what the format makes of them. */
encoding format_encode(const format *self, number value);
/* The pattern of a number of a float format. */
uint64_t float_bits(const format *self, double value);
uint64_t format_nan(const format *self);
bool format_has_nan(const format *self);
bool format_has_infinity(const format *self);
/* What an infinite result becomes. */
uint64_t format_infinity(const format *self, bool negative);
/* The number as a float64, rounded where it is longer than 53 bits. */
double number_to_double(number value);
/* The number as a float32, rounded once. */
float number_to_single(number value);

#endif
