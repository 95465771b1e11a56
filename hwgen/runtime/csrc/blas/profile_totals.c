/*
 * The largest element of |A| |B|, in float32 blocks as fast as the machine goes.
 *
 * What is rounded on the way moves a sum by at most a factor 1 + (SEGMENT + 4) * 2**-23, and what
 * underflows by less than k * 2**-125; the result is enlarged by as much. Magnitudes for which that
 * is not little are computed in double, one by one, scaled to 2 at most.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

enum {
    ROWS = 6,       /* of a tile */
    COLUMNS = 16,   /* two vectors of eight */
    SEGMENT = 2048, /* terms that are added up in float32 */
    SMALL = 1024,   /* products of fewer terms are computed one by one */
};

/* Largest magnitudes for which float32 will do: products up to 2**100, their sums below 2**127. */
static const double least = 0x1p-40, most = 0x1p50;

typedef float vector __attribute__((vector_size(32), aligned(32)));

/* sums[ROWS][COLUMNS] += the products of `k` columns of a panel of A and rows of one of B. */
static inline __attribute__((always_inline)) void tile_body(int64_t k, const float *a,
                                                            const float *b, double *sums) {
    vector left[ROWS] = {0}, right[ROWS] = {0};
    for (int64_t l = 0; l < k; l++, a += ROWS, b += COLUMNS) {
        const vector b0 = *(const vector *)b, b1 = *(const vector *)(b + 8);
        for (int i = 0; i < ROWS; i++) {
            left[i] += a[i] * b0;
            right[i] += a[i] * b1;
        }
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 8; j++) {
            sums[i * COLUMNS + j] += (double)left[i][j];
            sums[i * COLUMNS + 8 + j] += (double)right[i][j];
        }
}

typedef void tile_function(int64_t k, const float *a, const float *b, double *sums);

static void tile_plain(int64_t k, const float *a, const float *b, double *sums) {
    tile_body(k, a, b, sums);
}

#ifdef __x86_64__
__attribute__((target("avx2,fma"))) static void tile_avx2(int64_t k, const float *a,
                                                          const float *b, double *sums) {
    tile_body(k, a, b, sums);
}
#endif

static tile_function *best_tile(void) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return tile_avx2;
#endif
    return tile_plain;
}

/* Panels of `width` lines, k by k, of the magnitudes of a matrix lines x k. */
#define PACK(name, number, magnitude_of)                                                          \
    static void name(int64_t lines, int64_t k, hwgen_matrix x, int width, float *packed) {        \
        for (int64_t first = 0; first < lines; first += width, packed += width * k) {             \
            const number *start = (const number *)x.data + first * x.row;                         \
            const int64_t left = lines - first < width ? lines - first : width;                   \
            if (left < width)                                                                     \
                memset(packed, 0, (size_t)(width * k) * sizeof *packed);                          \
            for (int64_t l = 0; l < k; l++)                                                       \
                for (int64_t i = 0; i < left; i++) {                                              \
                    const number magnitude = magnitude_of(start[i * x.row + l * x.column]);       \
                    packed[l * width + i] = magnitude <= (number)most ? (float)magnitude : 0;     \
                }                                                                                 \
        }                                                                                         \
    }

PACK(pack_f32, float, fabsf)
PACK(pack_f64, double, fabs)

static float *pack(hwgen_scalar scalar, int64_t lines, int64_t k, hwgen_matrix x, int width) {
    const int64_t cells = (lines + width - 1) / width * width * k;
    float *packed = aligned_alloc(64, ((size_t)cells * sizeof(float) + 63) / 64 * 64);
    if (packed != NULL && scalar == HWGEN_FLOAT32)
        pack_f32(lines, k, x, width, packed);
    else if (packed != NULL)
        pack_f64(lines, k, x, width, packed);
    return packed;
}

static double largest_of_panels(int64_t m, int64_t n, int64_t k, const float *a, const float *b) {
    tile_function *tile = best_tile();
    double largest = 0;
    for (int64_t i = 0; i < m; i += ROWS)
        for (int64_t j = 0; j < n; j += COLUMNS) {
            double sums[ROWS * COLUMNS] = {0};
            for (int64_t first = 0; first < k; first += SEGMENT) {
                const int64_t terms = k - first < SEGMENT ? k - first : SEGMENT;
                tile(terms, a + i * k + first * ROWS, b + j * k + first * COLUMNS, sums);
            }
            for (int t = 0; t < ROWS * COLUMNS; t++)
                largest = sums[t] > largest ? sums[t] : largest;
        }
    return largest;
}

static double in_panels(hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
                        hwgen_matrix b) {
    const hwgen_matrix columns = {b.data, b.column, b.row};
    float *left = pack(scalar, m, k, a, ROWS), *right = pack(scalar, n, k, columns, COLUMNS);
    double largest = INFINITY;
    if (left != NULL && right != NULL)
        largest = largest_of_panels(m, n, k, left, right) + (double)k * 0x1p-125;
    free(left);
    free(right);
    return largest;
}

static double scaled(double number, int exponent) {
    return isfinite(number) ? ldexp(fabs(number), -exponent) : 0;
}

static double one_by_one(hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
                         hwgen_matrix b, int exponent_a, int exponent_b) {
    double largest = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++) {
                const double x = hw_number(scalar, a, i, l), y = hw_number(scalar, b, l, j);
                if (exponent_a == 0 && exponent_b == 0)
                    sum += isfinite(x) && isfinite(y) ? fabs(x * y) : 0;
                else
                    sum += scaled(x, exponent_a) * scaled(y, exponent_b);
            }
            largest = sum > largest ? sum : largest;
        }
    /* The smallest double more, for products that underflowed. */
    return largest * (1 + (double)k * DBL_EPSILON) + (double)k * DBL_MIN;
}

static bool is_moderate(double x) { return x >= least && x <= most; }

double hw_largest_total(hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
                        hwgen_matrix b, double most_a, double most_b) {
    if (is_moderate(most_a) && is_moderate(most_b)) {
        if (m * n <= SMALL / k || m * n <= 4)
            return one_by_one(scalar, m, n, k, a, b, 0, 0);
        return in_panels(scalar, m, n, k, a, b) * (1 + (SEGMENT + 4) * 0x1p-23);
    }
    int exponent_a, exponent_b;
    frexp(most_a, &exponent_a);
    frexp(most_b, &exponent_b);
    return ldexp(one_by_one(scalar, m, n, k, a, b, exponent_a, exponent_b),
                 exponent_a + exponent_b);
}
