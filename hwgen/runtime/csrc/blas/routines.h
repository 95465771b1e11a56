/* The routines: each reads BLAS' arguments, checks them, and says how the call is computed. */
#ifndef HWGEN_BLAS_ROUTINES_H
#define HWGEN_BLAS_ROUTINES_H

#include "library.h"

#pragma GCC visibility push(hidden)

/*
 * Arguments as Fortran passes them, one pointer each. The C interface has the same ones behind the
 * order of the matrices; options are then letters too.
 */
typedef struct {
    const void *const *pointers;
    int width;        /* bytes of an integer: 4 or 8 */
    bool row_major;
    bool c_interface; /* positions of illegal arguments count the order */
} hw_arguments;

typedef void hw_routine(hw_call *call, char letter, const hw_arguments *arguments);

hw_routine hw_gemm, hw_gemmt, hw_gemm_strided, hw_bf16_gemm, hw_f16_gemm;
hw_routine hw_gemv, hw_dotu, hw_dotc, hw_dsdot, hw_sdsdot;
hw_routine hw_syrk, hw_herk, hw_syr2k, hw_her2k, hw_symm, hw_hemm, hw_trmm, hw_trsm;

/* Runs the update of a call for each of its batch. */
int hw_run_gemm(hw_call *call);

/* A call before its arguments are read. */
void hw_call_start(hw_call *call, hw_entry *entry, const void *caller);

/* One group of a batch: as hw_gemm, with lists of `count` matrices in place of matrices. */
void hw_gemm_group(hw_call *call, char letter, const hw_arguments *arguments, int64_t count);

/* --- reading arguments, numbered from 1 as in BLAS ------------------------------------------- */

static inline const void *hw_pointer(const hw_arguments *arguments, int position) {
    return arguments->pointers[position - 1];
}
static inline int64_t hw_integer(const hw_arguments *arguments, int position) {
    const void *number = hw_pointer(arguments, position);
    return arguments->width == 8 ? *(const int64_t *)number : *(const int32_t *)number;
}
/* An option in capitals. */
static inline char hw_option(const hw_arguments *arguments, int position) {
    const char option = *(const char *)hw_pointer(arguments, position);
    return option >= 'a' && option <= 'z' ? (char)(option - 'a' + 'A') : option;
}
/* Notes the first illegal argument. */
static inline void hw_require(hw_call *call, const hw_arguments *arguments, int position,
                              bool legal) {
    if (!legal && call->illegal == 0)
        call->illegal = position + arguments->c_interface;
}

/* A stored matrix of `rows` x `columns`; checks its leading dimension. */
hw_view hw_stored(hw_call *call, const hw_arguments *arguments, int position, int64_t rows,
                  int64_t columns);
/* What the call writes: a whole matrix or a triangle of it. */
void hw_writes_matrix(hw_call *call, const hw_arguments *arguments, int position, int64_t rows,
                      int64_t columns);
/* op(view) for N, T, C. */
hw_view hw_op(char letter, char transpose, hw_view view);
/* A vector's first element; BLAS gives negative increments from the end. */
const void *hw_vector(const hw_arguments *arguments, char letter, int position, int64_t length,
                      int64_t increment);

#pragma GCC visibility pop
#endif
