/* Routines with a symmetric or Hermitian matrix: syrk, syr2k, symm and their Hermitian kin. */
#include <stdlib.h>

#include "routines.h"

static uint64_t triangle(int64_t n, int64_t k) {
    return n > 0 && k > 0 ? (uint64_t)n * (uint64_t)(n + 1) * (uint64_t)k : 0;
}

static void load_real(char letter, const void *number, double value[2]) {
    hw_load(hw_scalar_of(letter) == HWGEN_FLOAT32 ? 's' : 'd', number, value);
}

/* --- rank-k updates -------------------------------------------------------------------------- */

static int run_syrk(hw_call *call) { return hw_update_run(call, &call->update); }

/* alpha*A*B' + conj(alpha)*B*A' of a Hermitian C, alpha itself of a symmetric one: two updates. */
static int run_syr2k(hw_call *call) {
    hw_update second = call->update;
    const int status = hw_update_run(call, &call->update);
    if (status != HWGEN_OK)
        return status;
    /* (A*B')' = B*A', and with it the conjugations change places. */
    second.a = hw_transposed(call->update.b);
    second.b = hw_transposed(call->update.a);
    if (second.hermitian) {
        second.a.conjugate = !second.a.conjugate;
        second.b.conjugate = !second.b.conjugate;
        second.alpha[1] = -second.alpha[1];
    }
    second.beta[0] = 1;
    second.beta[1] = 0;
    return hw_update_run(call, &second);
}

/* Reads uplo, trans, n, k: the first four arguments of all rank-k updates. Returns trans. */
static char read_rank_k(hw_call *call, char letter, const hw_arguments *arguments, bool hermitian) {
    hw_update *u = &call->update;
    const char uplo = hw_option(arguments, 1), transpose = hw_option(arguments, 2);
    const bool complex_symmetric = hw_is_complex(letter) && !hermitian;
    u->letter = letter;
    u->part = uplo == 'L' ? HW_LOWER : HW_UPPER;
    u->hermitian = hermitian;
    u->m = u->n = call->m = call->n = hw_integer(arguments, 3);
    u->k = call->k = hw_integer(arguments, 4);
    hw_require(call, arguments, 1, uplo == 'L' || uplo == 'U');
    hw_require(call, arguments, 2, transpose == 'N' || (transpose == 'T' && !hermitian)
                                       || (transpose == 'C' && !complex_symmetric));
    hw_require(call, arguments, 3, u->n >= 0);
    hw_require(call, arguments, 4, u->k >= 0);
    return transpose;
}

static hw_view read_factor(hw_call *call, const hw_arguments *arguments, int position,
                           char transpose) {
    const hw_update *u = &call->update;
    const int64_t rows = transpose == 'N' ? u->n : u->k, columns = transpose == 'N' ? u->k : u->n;
    hw_view view = hw_op(u->letter, transpose, hw_stored(call, arguments, position, rows, columns));
    /* A**H * A: the left factor is the conjugated one. */
    view.conjugate = u->hermitian && transpose != 'N';
    return view;
}

static hw_view adjoint(const hw_update *u, hw_view view) {
    view = hw_transposed(view);
    view.conjugate = u->hermitian && !view.conjugate;
    return view;
}

/* (uplo, trans, n, k, alpha, a, lda, beta, c, ldc) */
static void rank_k(hw_call *call, char letter, const hw_arguments *arguments, bool hermitian) {
    hw_update *u = &call->update;
    const char transpose = read_rank_k(call, letter, arguments, hermitian);
    (hermitian ? load_real : hw_load)(letter, hw_pointer(arguments, 5), u->alpha);
    (hermitian ? load_real : hw_load)(letter, hw_pointer(arguments, 8), u->beta);
    u->a = read_factor(call, arguments, 6, transpose);
    u->b = adjoint(u, u->a);
    hw_writes_matrix(call, arguments, 9, u->n, u->n);
    call->run = run_syrk;
    call->operations = triangle(u->n, u->k) * (hw_is_complex(letter) ? 4 : 1);
}

/* (uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc) */
static void rank_2k(hw_call *call, char letter, const hw_arguments *arguments, bool hermitian) {
    hw_update *u = &call->update;
    const char transpose = read_rank_k(call, letter, arguments, hermitian);
    hw_load(letter, hw_pointer(arguments, 5), u->alpha);
    (hermitian ? load_real : hw_load)(letter, hw_pointer(arguments, 10), u->beta);
    u->a = read_factor(call, arguments, 6, transpose);
    u->b = adjoint(u, read_factor(call, arguments, 8, transpose));
    hw_writes_matrix(call, arguments, 11, u->n, u->n);
    call->run = run_syr2k;
    call->operations = triangle(u->n, u->k) * (hw_is_complex(letter) ? 8 : 2);
}

void hw_syrk(hw_call *call, char letter, const hw_arguments *arguments) {
    rank_k(call, letter, arguments, false);
}

void hw_herk(hw_call *call, char letter, const hw_arguments *arguments) {
    rank_k(call, letter, arguments, true);
}

void hw_syr2k(hw_call *call, char letter, const hw_arguments *arguments) {
    rank_2k(call, letter, arguments, false);
}

void hw_her2k(hw_call *call, char letter, const hw_arguments *arguments) {
    rank_2k(call, letter, arguments, true);
}

/* --- products with a symmetric matrix -------------------------------------------------------- */

/* The whole matrix from its triangle, by rows. */
static void *fill_out(const hw_call *call, const hw_view *stored, int64_t order) {
    const char letter = call->update.letter;
    const bool hermitian = call->diagonal == 'H';
    char *full = malloc((size_t)(order * order) * hw_element_bytes(letter));
    for (int64_t i = 0; full != NULL && i < order; i++)
        for (int64_t j = 0; j < order; j++) {
            const bool inside = call->uplo == 'L' ? j <= i : j >= i;
            const int64_t row = inside ? i : j, column = inside ? j : i;
            double value[2];
            hw_load(letter, hw_at(stored->data, letter,
                                  row * stored->row + column * stored->column), value);
            if (hermitian)
                value[1] = i == j ? 0 : inside ? value[1] : -value[1];
            hw_store(letter, hw_place(full, letter, i * order + j), value);
        }
    return full;
}

static int run_symm(hw_call *call) {
    hw_update u = call->update;
    hw_view *symmetric = call->side == 'L' ? &u.a : &u.b;
    void *full = NULL;
    const bool product = u.m > 0 && u.n > 0 && (u.alpha[0] != 0 || u.alpha[1] != 0);
    if (product) {
        full = fill_out(call, symmetric, u.k);
        if (full == NULL)
            return HWGEN_NO_MEMORY;
        *symmetric = (hw_view){full, u.k, 1, false};
    }
    const int status = hw_update_run(call, &u);
    free(full);
    return status;
}

/* (side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc) */
static void symmetric_product(hw_call *call, char letter, const hw_arguments *arguments,
                              bool hermitian) {
    hw_update *u = &call->update;
    call->side = hw_option(arguments, 1);
    call->uplo = hw_option(arguments, 2);
    call->diagonal = hermitian ? 'H' : 'S';
    call->run = run_symm;
    u->letter = letter;
    u->m = call->m = hw_integer(arguments, 3);
    u->n = call->n = hw_integer(arguments, 4);
    u->k = call->k = call->side == 'L' ? u->m : u->n;
    hw_require(call, arguments, 1, call->side == 'L' || call->side == 'R');
    hw_require(call, arguments, 2, call->uplo == 'L' || call->uplo == 'U');
    hw_require(call, arguments, 3, u->m >= 0);
    hw_require(call, arguments, 4, u->n >= 0);
    hw_load(letter, hw_pointer(arguments, 5), u->alpha);
    hw_load(letter, hw_pointer(arguments, 10), u->beta);
    const hw_view a = hw_stored(call, arguments, 6, u->k, u->k);
    const hw_view b = hw_stored(call, arguments, 8, u->m, u->n);
    u->a = call->side == 'L' ? a : b;
    u->b = call->side == 'L' ? b : a;
    hw_writes_matrix(call, arguments, 11, u->m, u->n);
    const uint64_t products = u->m > 0 && u->n > 0
                                  ? (uint64_t)u->m * (uint64_t)u->n * (uint64_t)u->k : 0;
    call->operations = products * (hw_is_complex(letter) ? 8 : 2);
}

void hw_symm(hw_call *call, char letter, const hw_arguments *arguments) {
    symmetric_product(call, letter, arguments, false);
}

void hw_hemm(hw_call *call, char letter, const hw_arguments *arguments) {
    symmetric_product(call, letter, arguments, true);
}
