/*
 * Floating-point exceptions. The kernels compute in the default environment, whatever the program
 * has set (rounding, subnormals flushed to zero, traps), and what flags they leave means nothing.
 * Programs that look at the flags, as NumPy does, find in them what the results tell: "invalid"
 * where NaN came of numbers without one (an overflow of the accumulator too), "overflow" where
 * infinity came of finite ones. Every NaN becomes the same one, wherever it was computed.
 */
#include <fenv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

#include "library.h"

#ifdef __SSE2__
/* Only this register matters to 64-bit code, and it is written ten times faster than all. */
void hw_environment_enter(hw_environment *saved) {
    saved->control = _mm_getcsr();
    _mm_setcsr(0x1f80);
}

void hw_environment_leave(const hw_environment *saved) { _mm_setcsr(saved->control); }
#else
void hw_environment_enter(hw_environment *saved) {
    fegetenv(&saved->all);
    fesetenv(FE_DFL_ENV);
}

void hw_environment_leave(const hw_environment *saved) { fesetenv(&saved->all); }
#endif

static double element(hwgen_scalar scalar, const void *data, int64_t index) {
    return scalar == HWGEN_FLOAT32 ? ((const float *)data)[index] : ((const double *)data)[index];
}

static void set_nan(hwgen_scalar scalar, void *data, int64_t index) {
    if (scalar == HWGEN_FLOAT32)
        ((float *)data)[index] = NAN;
    else
        ((double *)data)[index] = NAN;
}

/* Bits of what a vector holds. */
enum { HAS_NAN = 1, HAS_INFINITY = 2, UNKNOWN = 4 };

static uint8_t find_specials(hwgen_scalar scalar, const void *data, int64_t start, int64_t step,
                             int64_t count) {
    uint8_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        const double value = element(scalar, data, start + i * step);
        if (!isfinite(value))
            found |= isnan(value) ? HAS_NAN : HAS_INFINITY;
    }
    return found;
}

/* By the exponent: integers are compared side by side, sums of floats only one after another. */
#define ALL_FINITE(name, word, exponent)                                                          \
    static bool name(const char *row, int64_t count) {                                            \
        word beyond = 0;                                                                          \
        for (int64_t j = 0; j < count; j++) {                                                     \
            word bits;                                                                            \
            memcpy(&bits, row + j * (int64_t)sizeof bits, sizeof bits);                           \
            beyond |= (bits & exponent) == exponent;                                              \
        }                                                                                         \
        return beyond == 0;                                                                       \
    }

ALL_FINITE(all_finite_f32, uint32_t, UINT32_C(0x7f800000))
ALL_FINITE(all_finite_f64, uint64_t, UINT64_C(0x7ff0000000000000))

static bool all_finite(hwgen_scalar scalar, const void *c, int64_t start, int64_t count) {
    return scalar == HWGEN_FLOAT32 ? all_finite_f32((const char *)c + start * 4, count)
                                   : all_finite_f64((const char *)c + start * 8, count);
}

/* Exceptions that row i of the result tells of. `columns` remembers what columns of b hold. */
static int exceptions_of_row(hwgen_scalar scalar, int64_t i, int64_t n, int64_t k, hwgen_matrix a,
                             hwgen_matrix b, void *c, int64_t ldc, uint8_t *columns) {
    int raised = 0;
    const uint8_t left = find_specials(scalar, a.data, i * a.row, a.column, k);
    for (int64_t j = 0; j < n; j++) {
        const double value = element(scalar, c, i * ldc + j);
        if (isfinite(value))
            continue;
        if (columns[j] == UNKNOWN)
            columns[j] = find_specials(scalar, b.data, j * b.column, b.row, k);
        const int given = left | columns[j];
        if (isnan(value)) {
            set_nan(scalar, c, i * ldc + j);
            raised |= given & HAS_NAN ? 0 : FE_INVALID;
        } else {
            raised |= given & HAS_INFINITY ? 0 : FE_OVERFLOW;
        }
    }
    return raised;
}

int hw_settle(hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
              hwgen_matrix b, void *c, int64_t ldc) {
    int raised = 0;
    uint8_t *columns = NULL;
    for (int64_t i = 0; i < m; i++) {
        if (all_finite(scalar, c, i * ldc, n))
            continue;
        if (columns == NULL) {
            columns = malloc((size_t)n);
            if (columns == NULL)
                return FE_INVALID;
            for (int64_t j = 0; j < n; j++)
                columns[j] = UNKNOWN;
        }
        raised |= exceptions_of_row(scalar, i, n, k, a, b, c, ldc, columns);
    }
    free(columns);
    return raised;
}
