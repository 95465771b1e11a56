/*
 * MKL's packed matrices: cblas_?gemm_pack copies op(A) or op(B), cblas_?gemm_compute multiplies.
 *
 * Our packed form is op(X) by rows behind a header that keeps alpha, which is applied outside like
 * everywhere. A product that is forwarded goes to the original's plain gemm, so that packing need
 * not know which products will be served.
 */
#ifndef HWGEN_BLAS_PACK_H
#define HWGEN_BLAS_PACK_H

#include "entry.h"

#pragma GCC visibility push(hidden)

enum { HW_PACKED = 151, HW_PACK_A = 161, HW_PACK_B = 162 };

/* Bytes of a packed rows x columns matrix. */
size_t hw_packed_bytes(char letter, int64_t rows, int64_t columns);
void *hw_packed_alloc(char letter, int64_t rows, int64_t columns);
/* Packs op(source); `order` and `transpose` as in the C interface. */
void hw_pack(char letter, int order, int transpose, int64_t rows, int64_t columns, double alpha,
             const void *source, int64_t leading, void *packed);

/* One operand of gemm_compute as plain gemm takes it. */
typedef struct {
    const void *data;
    int64_t leading;
    int transpose;
    double alpha;
} hw_unpacked;

hw_unpacked hw_unpack(int order, int64_t transpose, const void *data, int64_t leading);

#pragma GCC visibility pop
#endif
