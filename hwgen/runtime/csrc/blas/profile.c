/*
 * What the operands, products and partial sums of a product are like.
 *
 * Magnitudes and lowest bits are told of every element of every product: windows are sized by them.
 * Histograms are of every product of a site at first, later of one in several. Counting m*n*k
 * products one by one would cost as much as computing them: instead, for each k, the histogram of
 * exponents in column k of A times that in row k of B. Such a product's exponent is ea + eb or one
 * more.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

enum {
    COLUMNS = 16,            /* k's that are looked at together: a cache line of float32 */
    COUNTED_CALLS = 32,      /* of a site; then */
    COUNTED_ONE_IN = 8,      /* which counts for all of them */
    MOST_SAMPLES = 64,       /* elements whose partial sums are followed; */
    ELEMENTS_A_SAMPLE = 256, /* of small products fewer are */
    ZERO = -32767,           /* among exponents */
    SPECIAL = -32768,
};

typedef struct {
    uint64_t counts[HW_NUMBER_BINS];
    int first, last; /* bins in use: first..last, none if first > last */
    uint64_t zeros, finite;
} column_counts;

/* One operand while a product is looked at. */
typedef struct {
    hwgen_matrix numbers; /* count x k */
    int64_t count;
    hw_survey survey;
    int16_t *exponents; /* COLUMNS x count */
    column_counts column;
    uint64_t zeros;
    uint64_t *bins; /* of the call site */
} operand;

static uint64_t magnitude_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & ~((uint64_t)1 << 63);
}

/* floor(log2 |x|) of a finite x other than 0. */
static int exponent_of(uint64_t bits) {
    const int biased = (int)(bits >> 52);
    return biased != 0 ? biased - 1023 : 63 - __builtin_clzll(bits) + HW_LEAST_EXPONENT;
}

/* --- histograms ---------------------------------------------------------------------------- */

/* Exponents of columns first..first+width of an operand. */
static void take_exponents(operand *x, hwgen_scalar scalar, int64_t first, int width) {
    for (int64_t i = 0; i < x->count; i++)
        for (int l = 0; l < width; l++) {
            const uint64_t bits = magnitude_bits(hw_number(scalar, x->numbers, i, first + l));
            int16_t *exponent = &x->exponents[l * x->count + i];
            if (bits == 0)
                *exponent = ZERO;
            else if (bits >> 52 == 0x7ff)
                *exponent = SPECIAL;
            else
                *exponent = (int16_t)exponent_of(bits);
        }
}

static void count_column(operand *x, int l) {
    column_counts *column = &x->column;
    const int16_t *exponents = x->exponents + l * x->count;
    column->first = HW_NUMBER_BINS;
    column->last = -1;
    column->zeros = column->finite = 0;
    for (int64_t i = 0; i < x->count; i++) {
        const int bin = exponents[i] - HW_LEAST_EXPONENT;
        if (bin < 0) {
            column->zeros += exponents[i] == ZERO;
            continue;
        }
        column->counts[bin]++;
        column->first = bin < column->first ? bin : column->first;
        column->last = bin > column->last ? bin : column->last;
        column->finite++;
    }
    x->zeros += column->zeros;
}

/* Adds a column's counts to the operand's, and makes room for the next. */
static void clear_column(operand *x, uint64_t weight) {
    column_counts *column = &x->column;
    for (int i = column->first; i <= column->last; i++) {
        x->bins[i] += weight * column->counts[i];
        column->counts[i] = 0;
    }
}

static void count_products(hw_site *site, const column_counts *a, const column_counts *b,
                           uint64_t weight) {
    for (int i = a->first; i <= a->last; i++) {
        const uint64_t factor = weight * a->counts[i];
        if (factor == 0)
            continue;
        for (int j = b->first; j <= b->last; j++)
            site->products[i + j] += factor * b->counts[j];
    }
    site->zero_products += weight * (a->zeros * (b->zeros + b->finite) + a->finite * b->zeros);
}

static void count_exponents(hw_site *site, hwgen_scalar scalar, int64_t k, operand *a, operand *b,
                            uint64_t weight) {
    for (int64_t first = 0; first < k; first += COLUMNS) {
        const int width = k - first < COLUMNS ? (int)(k - first) : COLUMNS;
        take_exponents(a, scalar, first, width);
        take_exponents(b, scalar, first, width);
        for (int l = 0; l < width; l++) {
            count_column(a, l);
            count_column(b, l);
            count_products(site, &a->column, &b->column, weight);
            clear_column(a, weight);
            clear_column(b, weight);
        }
    }
    site->zeros_a += weight * a->zeros;
    site->zeros_b += weight * b->zeros;
}

/* --- partial sums -------------------------------------------------------------------------- */

static void count_sum(hw_site *site, double sum, uint64_t weight) {
    const uint64_t bits = magnitude_bits(sum);
    if (bits == 0)
        site->zero_sums += weight;
    else if (bits >> 52 != 0x7ff)
        site->sums[exponent_of(bits) - HW_LEAST_EXPONENT] += weight;
}

/* Follows the partial sums of one element, in double; returns its magnitude. */
static double follow_sum(hw_site *site, hwgen_scalar scalar, int64_t k, hwgen_matrix a,
                         hwgen_matrix b, int64_t i, int64_t j, uint64_t weight) {
    double sum = 0, total = 0;
    for (int64_t l = 0; l < k; l++) {
        const double product = hw_number(scalar, a, i, l) * hw_number(scalar, b, l, j);
        sum += product;
        total += fabs(product);
        if (weight > 0)
            count_sum(site, sum, weight);
    }
    const double result = fabs(sum);
    if (result > 0 && isfinite(total) && total / result > site->cancellation)
        site->cancellation = total / result;
    return isfinite(result) ? result : 0;
}

/* Elements are picked by the golden ratio: spread out, and the same in every run. */
static void follow_sums(hw_site *site, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k,
                        hwgen_matrix a, hwgen_matrix b, uint64_t weight) {
    const uint64_t elements = (uint64_t)m * (uint64_t)n;
    uint64_t samples = (elements + ELEMENTS_A_SAMPLE - 1) / ELEMENTS_A_SAMPLE;
    samples = samples < MOST_SAMPLES ? samples : MOST_SAMPLES;
    double largest = 0;
    for (uint64_t t = 0; t < samples; t++) {
        const uint64_t fraction = t * UINT64_C(0x9e3779b97f4a7c15);
        const int64_t index = (int64_t)((unsigned __int128)fraction * elements >> 64);
        const double result = follow_sum(site, scalar, k, a, b, index / n, index % n, weight);
        largest = result > largest ? result : largest;
    }
    site->samples += samples;
    if (largest > site->largest_result)
        site->largest_result = largest;
    if (largest > 0 && largest < site->least_result)
        site->least_result = largest;
}

/* --- a product ----------------------------------------------------------------------------- */

static int64_t lower(int64_t x, int64_t y) { return x < y ? x : y; }

static void keep_surveys(hw_site *site, int64_t k, const hw_survey *a, const hw_survey *b) {
    double largest = 0;
    for (int64_t l = 0; l < k; l++) {
        const double product = a->largest[l] * b->largest[l];
        largest = product > largest ? product : largest;
    }
    /* Exact for float32; a product of doubles was rounded, perhaps down. */
    if (largest != (double)(float)largest && largest < DBL_MAX)
        largest = nextafter(largest, INFINITY);
    site->largest_product = fmax(site->largest_product, largest);
    site->largest_a = fmax(site->largest_a, a->most);
    site->largest_b = fmax(site->largest_b, b->most);
    site->lowest_a = lower(site->lowest_a, a->lowest);
    site->lowest_b = lower(site->lowest_b, b->lowest);
    site->special_a += a->special;
    site->special_b += b->special;
}

/* Makes `*room` at least `count` elements of `bytes` large. */
static bool make_room(void **room, int64_t *size, int64_t count, size_t bytes) {
    if (count <= *size)
        return true;
    free(*room);
    *room = malloc((size_t)count * bytes);
    *size = *room != NULL ? count : 0;
    return *room != NULL;
}

/* With the lock held, so that the room of the last product serves again. */
static bool start_operand(int side, operand *x, hwgen_matrix numbers, int64_t count, int64_t k) {
    static int64_t exponents[2], columns[2];
    x->numbers = numbers;
    x->count = count;
    x->zeros = 0;
    return make_room((void **)&x->exponents, &exponents[side], count * COLUMNS, sizeof(int16_t))
           && make_room((void **)&x->survey.largest, &columns[side], k, sizeof(double));
}

static void add_product(hw_site *site, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k,
                        hwgen_matrix a, hwgen_matrix b) {
    static operand left, right;
    const hwgen_matrix columns = {b.data, b.column, b.row};
    if (!start_operand(0, &left, a, m, k) || !start_operand(1, &right, columns, n, k)) {
        site->largest_total = INFINITY; /* unknown */
        return;
    }
    left.bins = site->a;
    right.bins = site->b;
    hw_survey_operand(&left.survey, scalar, m, k, a);
    hw_survey_operand(&right.survey, scalar, n, k, columns);
    keep_surveys(site, k, &left.survey, &right.survey);
    if (left.survey.most > 0 && right.survey.most > 0) {
        const double total = hw_largest_total(scalar, m, n, k, a, b, left.survey.most,
                                              right.survey.most);
        site->largest_total = fmax(site->largest_total, total);
    }
    uint64_t weight = 1;
    if (site->calls >= COUNTED_CALLS)
        weight = site->calls % COUNTED_ONE_IN == 0 ? COUNTED_ONE_IN : 0;
    if (weight > 0)
        count_exponents(site, scalar, k, &left, &right, weight);
    follow_sums(site, scalar, m, n, k, a, b, weight);
    site->calls++;
    site->macs += (uint64_t)m * (uint64_t)n * (uint64_t)k;
    site->terms = k > site->terms ? k : site->terms;
}

void hw_profile_product(const hw_call *call, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k,
                        hwgen_matrix a, hwgen_matrix b) {
    hw_environment saved;
    hw_site *site = hw_site_enter(call);
    if (site == NULL)
        return;
    hw_environment_enter(&saved);
    if (call->config->record && site->calls == 0)
        hw_record_operands(call->config->folder, site, scalar, m, n, k, a, b);
    add_product(site, scalar, m, n, k, a, b);
    hw_environment_leave(&saved);
    hw_site_leave();
}

void hw_profile_call(hw_call *call) {
    /* Where later products take results of earlier ones they are computed, and undone. */
    const bool undo = call->stepwise;
    if (undo && !hw_check_save(call))
        return;
    call->on = undo ? HW_ON_LOOPS : HW_ON_NOTHING;
    /* Only memory can be short; the profile then lacks the call, and the program nothing. */
    const int status = call->run(call);
    (void)status;
    call->profiling = false;
    call->touched = false;
    if (undo) {
        hw_check_exchange(call);
        free(call->saved);
        call->saved = NULL;
    }
}
