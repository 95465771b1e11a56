/*
 * The inner loops, compiled once for each instruction set.
 *
 * Sums of products are kept in float64 numbers that hold integers exactly. A layout says how: slice
 * i counts in units of 2^(low + SLICE_BITS * i), and the sum is that of all slices. Products are
 * cut at the slices' units by adding and subtracting a large constant, whose last place is that
 * unit; what is cut off goes to the slice below. After MAX_TERMS summands at most slices hand what
 * exceeds them to the slice above, so that all stay exact.
 */
#ifndef HWGEN_KERNELS_H
#define HWGEN_KERNELS_H

#include <stdint.h>

#include "format.h"

enum {
    SLICE_BITS = 44,
    SUM_BITS = 51, /* of the top slice: a sum is at most 2^SUM_BITS of its units */
    MAX_SLICES = 16,
    MAX_TERMS = 256, /* MAX_TERMS * 2^SLICE_BITS and a remainder stay below 2^53 */
    NO_LOW = 8192,   /* stands for the lowest bit of a zero */
};

/* What happens to the bits of a product. */
typedef enum {
    SUM_PLAIN,      /* one slice, nothing is dropped: sum += a * b */
    SUM_TRUNCATED,  /* one slice, bits below it are dropped; runs in rounding mode toward zero */
    SUM_NEAREST,    /* one slice, ties to even; rounding mode to nearest */
    SUM_ODD,        /* one slice, the last bit of what lost bits is set; toward zero */
    SUM_STOCHASTIC, /* one slice, random numbers are added to the dropped bits; toward zero */
    SUM_SLICED,     /* several slices, nothing is dropped; to nearest */
    SUM_SLICED_TRUNCATED, /* toward zero */
    SUM_SLICED_NEAREST,   /* two slices; to nearest */
    SUM_BLOCKS_TRUNCATED, /* any number of slices, sums of scale blocks; toward zero */
    SUM_BLOCKS_NEAREST,
    SUM_BLOCKS_ODD, /* toward zero */
    SUM_CLAMPED_TRUNCATED, /* one slice, saturated at every step; toward zero */
    SUM_CLAMPED_NEAREST,   /* the same; to nearest */
    SUM_WAYS,
} sum_way;

/* How a register saturates: summands, then sums. */
typedef struct {
    double limit;   /* products from it on are out of range */
    double summand; /* what they become */
    double least;
    double most;
} clamping;

/* How a float format rounds, for vectors of float64 values. */
typedef struct {
    int drop; /* fraction bits that float64 has more */
    double least_normal;
    double subnormal_shift; /* its last place is the format's quantum */
    double largest;
    double beyond;   /* what a larger number becomes */
    double infinite; /* what infinity becomes */
} float_rounding;

typedef struct {
    sum_way way;
    int slices;
    int low; /* weight of the lowest slice's unit */
    int64_t block; /* SUM_BLOCKS_*: terms of a summand; terms are given in whole blocks */
    bool long_products; /* more than 53 bits */
    double units[MAX_SLICES];
    /*
     * Where sums are not known to stay in the register: after so many terms, each sum below the
     * limit has met no event, and meets none in the next so many. 0 where it is known.
     */
    int64_t watch_terms;
    double watch_limit;
    clamping clamps; /* of SUM_CLAMPED_* */
    const float_rounding *rounding; /* of sums that are rounded at every step; else not used */
} layout;

/*
 * Packed terms of as many lines as a kernel takes at once: term k of line l is values[k * lines +
 * l]. `splits` holds for each term the magnitudes of all lines, then their signs as +-1. `lows` is
 * for each term the weight of the lowest bit of any line, NO_LOW for zeros.
 */
typedef struct {
    const double *values;
    const double *splits;
    const int16_t *lows;
    const uint64_t *words; /* random numbers, as bits of a float64 */
} panel;

/* Adds `terms` products to the sums of rows x columns, slices `slice` elements apart. */
typedef void sum_kernel(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                        int64_t row, int64_t slice);
/* The same in float32, one slice, nothing dropped, or as a float32 sum would round. */
typedef void single_kernel(int64_t terms, const float *a, const float *b, float *sums, int64_t row);

/* How fixed point rounds: to multiples of `down`, within bounds in such units. */
typedef struct {
    double up;
    double down;
    double least;
    double largest;
} fixed_rounding;

/* How patterns of a float format become float64 values. */
typedef struct {
    int width;
    int up; /* shift of the fraction to float64's place */
    double factor; /* from float64's bias to the format's */
    uint64_t largest;
    uint64_t infinity; /* pattern; 0 where there is none */
} float_pattern;

/* What is known of a panel's line. */
typedef struct {
    double *largest; /* magnitude; infinite for lines with specials */
    double *squares; /* sum of squares, as float64 rounds it */
    int16_t *low;    /* weight of the lowest bit */
} line_facts;

typedef struct {
    const char *name;
    bool fused; /* a * b + c is rounded once */
    int rows;   /* lines of a panel of a */
    int columns;
    int single_columns;
    sum_kernel *sums[SUM_WAYS];
    sum_kernel *product_sums; /* rounds products too (muladd) */
    /* Sums that are rounded to a narrower format at every step, and a vector of them added. */
    sum_kernel *rounded_sums;
    sum_kernel *rounded_product_sums;
    void (*add_rounded)(int64_t count, const float_rounding *rounding, const double *sums,
                        double *totals);
    single_kernel *single_sums;
    single_kernel *single_product_sums;
    /* Moves what exceeds each slice to the next, for `count` sums. */
    void (*carry)(int64_t count, const layout *plan, double *sums, int64_t slice);
    /* Measures `terms` terms of a packed panel of `lines` lines; lows may be NULL. */
    void (*measure)(int64_t terms, int lines, const double *values, line_facts facts,
                    int16_t *term_lows, int16_t *lows);
    /* Splits values into magnitudes and signs. */
    void (*split)(int64_t terms, int lines, const double *values, double *splits);
    /* lowest[i] = min(lowest[i], min over terms of a's low + b's low), rows x columns. */
    void (*lowest)(int64_t terms, const int16_t *a, const int16_t *b, int16_t *lowest, int64_t row);
    void (*round)(const float_rounding *how, int64_t count, const double *in, double *out);
    void (*round_fixed)(const fixed_rounding *how, int64_t count, const double *in, double *out);
    void (*widen)(int64_t count, const float *in, double *out);
    void (*decode)(const float_pattern *how, int bytes, int64_t count, const void *in, double *out);
    /* Sums of several slices, rounded to odd in 52 bits or more. */
    void (*join)(int64_t count, int slices, const double *sums, int64_t slice, double *out);
} kernel_set;

/* The sets that this machine can run, best first, ended by NULL; by name, NULL if there is none. */
const kernel_set *const *kernel_sets(void);
const kernel_set *kernel_set_named(const char *name);

#endif
