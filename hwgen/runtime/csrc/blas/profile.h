/*
 * What `profile` keeps of the program's products: $HWGEN_RUN/profile.<pid>, mapped like the
 * counters, so that it outlives a crash. hwgen/explore/profile.py reads it.
 *
 * Layout (little-endian, no gaps): `profile_header`, then `sites_used` records of a call site. A
 * site is a symbol, K, and M and N rounded down to powers of two; the last record gathers what
 * finds no room. The file is sparse: bins that nothing fell into take no memory.
 */
#ifndef HWGEN_BLAS_PROFILE_H
#define HWGEN_BLAS_PROFILE_H

#include "library.h"

#pragma GCC visibility push(hidden)

enum {
    HW_LEAST_EXPONENT = -1074, /* of a double other than 0 */
    HW_NUMBER_BINS = 2098,     /* exponents of doubles */
    HW_PRODUCT_BINS = 4195,    /* sums of two of them */
    HW_SITES = 256,            /* and one for all others */
};

typedef struct {
    char symbol[40];
    int64_t m, n, k; /* -1 in the record of all others */
    uint64_t calls, macs;
    int64_t terms; /* the largest K of a product */
    uint64_t zeros_a, zeros_b, zero_products, zero_sums;
    uint64_t special_a, special_b; /* infinities and NaN, counted nowhere else */
    uint64_t samples;              /* elements whose partial sums were followed */
    double largest_a, largest_b;
    double largest_product; /* no |a b| is larger */
    double largest_total;   /* no sum over k of |a b| is larger */
    double largest_result;  /* of the samples */
    double least_result;    /* the smallest, over products, of the largest sampled result */
    double cancellation;    /* of samples: largest ratio of the sum of |a b| to |sum of a b| */
    int64_t lowest_a, lowest_b; /* weight of the lowest bit that is set anywhere */
    /* Bin i: HW_LEAST_EXPONENT + i = floor(log2 |x|); products: ea + eb of their factors. */
    uint64_t a[HW_NUMBER_BINS], b[HW_NUMBER_BINS];
    uint64_t products[HW_PRODUCT_BINS]; /* from 2 * HW_LEAST_EXPONENT on */
    uint64_t sums[HW_NUMBER_BINS];
} hw_site;

/* Adds a product of real matrices to the profile. */
void hw_profile_product(const hw_call *call, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k,
                        hwgen_matrix a, hwgen_matrix b);
/* Profiles a whole call that the original library is going to compute. */
void hw_profile_call(hw_call *call);
void hw_profile_forked(void);

/*
 * Writes some rows of A and columns of B into $HWGEN_RUN/operands.<pid>.<n>, at the first product
 * of a site; hwgen/explore/recorded.py reads it. What cannot be written is left out.
 */
void hw_record_operands(const char *folder, const hw_site *site, hwgen_scalar scalar, int64_t m,
                        int64_t n, int64_t k, hwgen_matrix a, hwgen_matrix b);

/* --- for profile.c only -------------------------------------------------------------------- */

/* The site of a call, with the lock held until hw_site_leave; NULL if there is no file. */
hw_site *hw_site_enter(const hw_call *call);
void hw_site_leave(void);

/* What is known of every element of an operand, lines x k. */
typedef struct {
    double *largest; /* k of them: the largest magnitude in each column */
    double most;     /* of all */
    int64_t lowest;  /* INT64_MAX if all are 0 */
    uint64_t special;
} hw_survey;

/* Fills a survey; infinities and NaN are taken for zero. */
void hw_survey_operand(hw_survey *survey, hwgen_scalar scalar, int64_t lines, int64_t k,
                       hwgen_matrix x);

/*
 * The largest element of |A| |B| or a little more: no less, whatever was rounded. `most_a` and
 * `most_b` are the largest magnitudes, not 0. Infinite if memory is short.
 */
double hw_largest_total(hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
                        hwgen_matrix b, double most_a, double most_b);

static inline double hw_number(hwgen_scalar scalar, hwgen_matrix x, int64_t i, int64_t j) {
    const int64_t index = i * x.row + j * x.column;
    return scalar == HWGEN_FLOAT32 ? (double)((const float *)x.data)[index]
                                   : ((const double *)x.data)[index];
}

#pragma GCC visibility pop
#endif
