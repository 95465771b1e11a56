/* gemm, its batches, and gemmt, which computes a triangle. */

#include "routines.h"

static bool is_transpose(char option) { return option == 'N' || option == 'T' || option == 'C'; }

static uint64_t volume(int64_t m, int64_t n, int64_t k) {
    return m > 0 && n > 0 && k > 0 ? (uint64_t)m * (uint64_t)n * (uint64_t)k : 0;
}

/* --- gemm ---------------------------------------------------------------------------------- */

int hw_run_gemm(hw_call *call) {
    for (int64_t i = 0; i < call->batch; i++) {
        hw_update update = call->update;
        update.a.data = call->a_list != NULL ? call->a_list[i]
                                             : hw_at(update.a.data, update.letter,
                                                     i * call->a_stride);
        update.b.data = call->b_list != NULL ? call->b_list[i]
                                             : hw_at(update.b.data, update.letter,
                                                     i * call->b_stride);
        update.c = call->out.list != NULL ? call->out.list[i]
                                          : hw_place(update.c, update.letter,
                                                     i * call->out.stride);
        const int status = hw_update_run(call, &update);
        if (status != HWGEN_OK)
            return status;
        call->touched = true;
    }
    return HWGEN_OK;
}

/* (transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) */
void hw_gemm(hw_call *call, char letter, const hw_arguments *arguments) {
    hw_update *u = &call->update;
    const char transpose_a = hw_option(arguments, 1), transpose_b = hw_option(arguments, 2);
    call->run = hw_run_gemm;
    u->letter = letter;
    u->m = call->m = hw_integer(arguments, 3);
    u->n = call->n = hw_integer(arguments, 4);
    u->k = call->k = hw_integer(arguments, 5);
    hw_require(call, arguments, 1, is_transpose(transpose_a));
    hw_require(call, arguments, 2, is_transpose(transpose_b));
    hw_require(call, arguments, 3, u->m >= 0);
    hw_require(call, arguments, 4, u->n >= 0);
    hw_require(call, arguments, 5, u->k >= 0);
    hw_load(letter, hw_pointer(arguments, 6), u->alpha);
    hw_load(letter, hw_pointer(arguments, 11), u->beta);
    const bool plain_a = transpose_a == 'N', plain_b = transpose_b == 'N';
    u->a = hw_op(letter, transpose_a, hw_stored(call, arguments, 7, plain_a ? u->m : u->k,
                                                plain_a ? u->k : u->m));
    u->b = hw_op(letter, transpose_b, hw_stored(call, arguments, 9, plain_b ? u->k : u->n,
                                                plain_b ? u->n : u->k));
    hw_writes_matrix(call, arguments, 12, u->m, u->n);
    call->operations = volume(u->m, u->n, u->k) * (hw_is_complex(letter) ? 8 : 2);
}

static void set_batch(hw_call *call, int64_t count) {
    call->batch = count;
    call->out.count = count;
    call->operations *= (uint64_t)(count > 0 ? count : 0);
}

void hw_gemm_group(hw_call *call, char letter, const hw_arguments *arguments, int64_t count) {
    hw_gemm(call, letter, arguments);
    call->a_list = hw_pointer(arguments, 7);
    call->b_list = hw_pointer(arguments, 9);
    call->out.list = hw_pointer(arguments, 12);
    set_batch(call, count);
}

/*
 * (transa, transb, m, n, k, alpha, a, lda, stridea, b, ldb, strideb, beta, c, ldc, stridec,
 * batch_size)
 */
void hw_gemm_strided(hw_call *call, char letter, const hw_arguments *arguments) {
    const void *plain[13];
    static const int positions[13] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 15};
    for (int i = 0; i < 13; i++)
        plain[i] = hw_pointer(arguments, positions[i]);
    hw_arguments member = *arguments;
    member.pointers = plain;
    hw_gemm(call, letter, &member);
    /* The order of the C interface stands before all of these. */
    if (call->illegal > arguments->c_interface)
        call->illegal = positions[call->illegal - 1 - arguments->c_interface]
                        + arguments->c_interface;
    call->a_stride = hw_integer(arguments, 9);
    call->b_stride = hw_integer(arguments, 12);
    call->out.stride = hw_integer(arguments, 16);
    const int64_t count = hw_integer(arguments, 17);
    hw_require(call, arguments, 17, count >= 0);
    set_batch(call, count);
}

/* (uplo, transa, transb, n, k, alpha, a, lda, b, ldb, beta, c, ldc) */
void hw_gemmt(hw_call *call, char letter, const hw_arguments *arguments) {
    hw_update *u = &call->update;
    const char uplo = hw_option(arguments, 1);
    const char transpose_a = hw_option(arguments, 2), transpose_b = hw_option(arguments, 3);
    const int64_t n = hw_integer(arguments, 4), k = hw_integer(arguments, 5);
    call->run = hw_run_gemm;
    u->letter = letter;
    u->part = uplo == 'L' ? HW_LOWER : HW_UPPER;
    u->m = u->n = call->m = call->n = n;
    u->k = call->k = k;
    hw_require(call, arguments, 1, uplo == 'L' || uplo == 'U');
    hw_require(call, arguments, 2, is_transpose(transpose_a));
    hw_require(call, arguments, 3, is_transpose(transpose_b));
    hw_require(call, arguments, 4, n >= 0);
    hw_require(call, arguments, 5, k >= 0);
    hw_load(letter, hw_pointer(arguments, 6), u->alpha);
    hw_load(letter, hw_pointer(arguments, 11), u->beta);
    const bool plain_a = transpose_a == 'N', plain_b = transpose_b == 'N';
    u->a = hw_op(letter, transpose_a,
                 hw_stored(call, arguments, 7, plain_a ? n : k, plain_a ? k : n));
    u->b = hw_op(letter, transpose_b,
                 hw_stored(call, arguments, 9, plain_b ? k : n, plain_b ? n : k));
    hw_writes_matrix(call, arguments, 12, n, n);
    call->operations = volume(n, n + 1, k) * (hw_is_complex(letter) ? 4 : 1);
}
