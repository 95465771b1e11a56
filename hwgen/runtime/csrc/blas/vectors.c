/* gemv and the dot products. */
#include <stdlib.h>

#include "routines.h"

static int run_gemv(hw_call *call) {
    /* BLAS leaves y alone, beta too, where the matrix is empty. */
    if (call->update.k == 0)
        return HWGEN_OK;
    return hw_update_run(call, &call->update);
}

/* (trans, m, n, alpha, a, lda, x, incx, beta, y, incy) */
void hw_gemv(hw_call *call, char letter, const hw_arguments *arguments) {
    hw_update *u = &call->update;
    const char transpose = hw_option(arguments, 1);
    const int64_t m = hw_integer(arguments, 2), n = hw_integer(arguments, 3);
    const int64_t step_x = hw_integer(arguments, 8), step_y = hw_integer(arguments, 11);
    hw_require(call, arguments, 1, transpose == 'N' || transpose == 'T' || transpose == 'C');
    hw_require(call, arguments, 2, m >= 0);
    hw_require(call, arguments, 3, n >= 0);
    const hw_view a = hw_stored(call, arguments, 5, m, n);
    hw_require(call, arguments, 8, step_x != 0);
    hw_require(call, arguments, 11, step_y != 0);
    call->run = run_gemv;
    u->letter = letter;
    u->m = call->m = transpose == 'N' ? m : n;
    u->n = call->n = 1;
    u->k = call->k = transpose == 'N' ? n : m;
    hw_load(letter, hw_pointer(arguments, 4), u->alpha);
    hw_load(letter, hw_pointer(arguments, 9), u->beta);
    u->a = hw_op(letter, transpose, a);
    u->b = (hw_view){hw_vector(arguments, letter, 7, u->k, step_x), step_x, 1, false};
    u->c = (void *)hw_vector(arguments, letter, 10, u->m, step_y);
    u->row = step_y;
    u->column = 1;
    call->out.letter = letter;
    call->out.data = u->c;
    call->out.lines = u->m;
    call->out.length = 1;
    call->out.line_stride = step_y;
    call->operations = (uint64_t)(m > 0 && n > 0 ? m * n : 0) * (hw_is_complex(letter) ? 8 : 2);
}

static int run_dot(hw_call *call) { return hw_update_run(call, &call->update); }

/* (n, x, incx, y, incy, result) */
static void dot(hw_call *call, char letter, const hw_arguments *arguments, bool conjugate) {
    hw_update *u = &call->update;
    const int64_t n = hw_integer(arguments, 1);
    const int64_t step_x = hw_integer(arguments, 3), step_y = hw_integer(arguments, 5);
    call->run = run_dot;
    u->letter = letter;
    u->m = u->n = call->m = call->n = 1;
    u->k = call->k = n > 0 ? n : 0;
    u->alpha[0] = 1;
    u->alpha[1] = 0;
    u->a = (hw_view){hw_vector(arguments, letter, 2, n, step_x), 1, step_x, conjugate};
    u->b = (hw_view){hw_vector(arguments, letter, 4, n, step_y), step_y, 1, false};
    u->c = (void *)hw_pointer(arguments, 6);
    u->row = u->column = 1;
    call->out.letter = letter;
    call->out.data = u->c;
    call->out.lines = call->out.length = call->out.line_stride = 1;
    call->operations = (uint64_t)call->k * (hw_is_complex(letter) ? 8 : 2);
}

void hw_dotu(hw_call *call, char letter, const hw_arguments *arguments) {
    dot(call, letter, arguments, false);
}

void hw_dotc(hw_call *call, char letter, const hw_arguments *arguments) {
    dot(call, letter, arguments, hw_is_complex(letter));
}

/* --- products of float32 vectors in double precision ----------------------------------------- */

static void widen_vector(const hw_view *view, int64_t step, int64_t count, double *copy) {
    for (int64_t i = 0; i < count; i++)
        copy[i] = ((const float *)view->data)[i * step];
}

static int dot_as_double(hw_call *call, double *result) {
    hw_update u = call->update;
    double *copies = malloc((size_t)u.k * 2 * sizeof *copies + 1);
    if (copies == NULL)
        return HWGEN_NO_MEMORY;
    widen_vector(&u.a, u.a.column, u.k, copies);
    widen_vector(&u.b, u.b.row, u.k, copies + u.k);
    u.letter = 'd';
    u.a = (hw_view){copies, 1, 1, false};
    u.b = (hw_view){copies + u.k, 1, 1, false};
    u.c = result;
    const int status = hw_update_run(call, &u);
    free(copies);
    return status;
}

static int run_dsdot(hw_call *call) { return dot_as_double(call, call->update.c); }

/* (n, x, incx, y, incy, result) with x and y float32 and a double result */
void hw_dsdot(hw_call *call, char letter, const hw_arguments *arguments) {
    (void)letter;
    dot(call, 's', arguments, false);
    call->run = run_dsdot;
    call->out.letter = 'd';
}

static int run_sdsdot(hw_call *call) {
    double product;
    const int status = dot_as_double(call, &product);
    if (status == HWGEN_OK)
        *(float *)call->update.c = (float)(call->extra + product);
    return status;
}

/* (n, summand, x, incx, y, incy, result), all float32 */
void hw_sdsdot(hw_call *call, char letter, const hw_arguments *arguments) {
    const void *const *given = arguments->pointers;
    const void *plain[] = {given[0], given[2], given[3], given[4], given[5], given[6]};
    hw_arguments rest = *arguments;
    rest.pointers = plain;
    dot(call, letter, &rest, false);
    call->run = run_sdsdot;
    call->stepwise = true;
    call->extra = *(const float *)given[1];
}
