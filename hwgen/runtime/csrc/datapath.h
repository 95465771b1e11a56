/* A datapath as read from its description. */
#ifndef HWGEN_DATAPATH_H
#define HWGEN_DATAPATH_H

#include "format.h"
#include "hwgen.h"

typedef enum { ROUND_ZERO, ROUND_EVEN, ROUND_ODD, ROUND_STOCHASTIC } rounding;
typedef enum { OVERFLOW_NAN, OVERFLOW_SATURATE, OVERFLOW_WRAP } overflow;

enum { MAX_WIDTH = 8192, MAX_DOT = 16, SUM_SPARE = 6 /* bits above W of a step's sum */ };
enum { REGISTER_LIMBS = (MAX_WIDTH + SUM_SPARE + 63) / 64 };

/* Two's complement register of `width` bits, bit 0 weighs 2^lsb. */
typedef struct {
    int msb;
    int lsb;
    int ovf;
    int width;
    rounding rounding;
    overflow overflow;
    uint32_t seed;
    int random_bits;
    int block; /* terms of a scale block, if their sum is one summand; 0 if products are summands */
    int dot;   /* summands that are added at once */
} window;

/* A sum that is rounded at every step. */
typedef struct {
    format format;
    int lanes;
    bool fused;
} float_sum;

struct hwgen_datapath {
    format sides[3];    /* by hwgen_side; the last is unused if out is raw */
    format elements[2]; /* of block-scaled operands */
    bool raw;
    bool is_float_sum;
    window window;
    float_sum sum;
    int64_t lanes[2]; /* rows and columns of the array; 0 for one as large as the product */
};

#endif
