/* One product of real matrices, on the C kernels, on a device, or by plain loops. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

/* Defines a plain product: rows of c gather multiples of rows of b. */
#define PLAIN_PRODUCT(name, number)                                                               \
    static void name(int64_t m, int64_t n, int64_t k, hwgen_matrix a, hwgen_matrix b, number *c,  \
                     int64_t ldc)                                                                 \
    {                                                                                             \
        const number *x = a.data, *y = b.data;                                                    \
        for (int64_t i = 0; i < m; i++) {                                                         \
            for (int64_t j = 0; j < n; j++)                                                       \
                c[i * ldc + j] = 0;                                                               \
            for (int64_t l = 0; l < k; l++) {                                                     \
                const number factor = x[i * a.row + l * a.column];                                \
                for (int64_t j = 0; j < n; j++)                                                   \
                    c[i * ldc + j] += factor * y[l * b.row + j * b.column];                       \
            }                                                                                     \
        }                                                                                         \
    }

PLAIN_PRODUCT(plain_product_f32, float)
PLAIN_PRODUCT(plain_product_f64, double)

static void plain_product(hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
                          hwgen_matrix b, void *c, int64_t ldc) {
    if (scalar == HWGEN_FLOAT32)
        plain_product_f32(m, n, k, a, b, c, ldc);
    else
        plain_product_f64(m, n, k, a, b, c, ldc);
}

/* Compares what the device gave with what the kernels give, bit for bit; NaN is NaN. */
static int assert_same(const hw_call *call, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k,
                       hwgen_matrix a, hwgen_matrix b, const void *c, int64_t ldc) {
    const size_t bytes = hw_scalar_bytes(scalar);
    char *expected = malloc((size_t)m * (size_t)n * bytes);
    if (expected == NULL)
        return HWGEN_NO_MEMORY;
    const int status = hwgen_gemm_values(call->config->datapath, scalar, m, n, k, a, b, expected,
                                         n, NULL, NULL, call->config->threads);
    for (int64_t i = 0; status == HWGEN_OK && i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            const char *want = expected + (size_t)(i * n + j) * bytes;
            const char *have = (const char *)c + (size_t)(i * ldc + j) * bytes;
            const double w = scalar == HWGEN_FLOAT32 ? *(const float *)want : *(const double *)want;
            const double h = scalar == HWGEN_FLOAT32 ? *(const float *)have : *(const double *)have;
            if (memcmp(want, have, bytes) == 0 || (isnan(w) && isnan(h)))
                continue;
            hw_say("%s: device and kernels differ at row %lld, column %lld of a %lld x %lld x %lld"
                   " product: %a and %a", call->entry->symbol, (long long)i, (long long)j,
                   (long long)m, (long long)n, (long long)k, h, w);
            abort();
        }
    free(expected);
    return status;
}

static int run_product(hw_call *call, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k,
                       hwgen_matrix a, hwgen_matrix b, void *c, int64_t ldc) {
    const hwgen_datapath *datapath = call->config->datapath;
    if (call->on == HW_ON_KERNELS)
        return hwgen_gemm_values(datapath, scalar, m, n, k, a, b, c, ldc, NULL, NULL,
                                 call->config->threads);
    const int status = hw_device_product(datapath, scalar, m, n, k, a, b, c, ldc);
    if (status == HWGEN_OK && call->config->assert_same)
        return assert_same(call, scalar, m, n, k, a, b, c, ldc);
    return status;
}

/* Runs a product in an environment of its own, and raises its exceptions in the program's. */
static int run_apart(hw_call *call, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k,
                     hwgen_matrix a, hwgen_matrix b, void *c, int64_t ldc) {
    hw_environment saved;
    hw_environment_enter(&saved);
    const int status = run_product(call, scalar, m, n, k, a, b, c, ldc);
    const int raised = status == HWGEN_OK ? hw_settle(scalar, m, n, k, a, b, c, ldc) : 0;
    hw_environment_leave(&saved);
    if (raised != 0)
        feraiseexcept(raised);
    return status;
}

int hw_product(hw_call *call, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
               hwgen_matrix b, void *c, int64_t ldc) {
    if (call->profiling)
        hw_profile_product(call, scalar, m, n, k, a, b);
    if (call->on == HW_ON_NOTHING)
        return HWGEN_OK;
    if (call->on != HW_ON_LOOPS && call->fault == HWGEN_OK) {
        const int status = run_apart(call, scalar, m, n, k, a, b, c, ldc);
        if (status == HWGEN_OK || !call->touched)
            return status;
        /* The original cannot take over half-way: the rest is finished here. */
        call->fault = status;
    }
    plain_product(scalar, m, n, k, a, b, c, ldc);
    return HWGEN_OK;
}
