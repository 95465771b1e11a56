/*
 * trmm and trsm.
 *
 * trmm: each element is one sum, ascending in k, rounded once, over the triangle; blocks of rows
 * share a product, with zeros where some of them end earlier than others.
 * trsm: blocks of rows are first freed of all earlier unknowns by one product, then solved row by
 * row; divisions are the machine's own. k runs in the order of solution.
 */
#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "routines.h"

enum { BLOCK = 32 }; /* rows of trmm that share a product, of trsm that are solved one by one */

/* op(A) and B as seen from the left side; strides of B are those of a matrix p x q. */
typedef struct {
    char letter;
    int64_t p, q;
    hw_view a;
    bool lower, unit;
    double alpha[2];
    char *b;
    int64_t row, column;
} problem;

static problem from_left(const hw_call *call) {
    const hw_update *u = &call->update;
    problem p = {.letter = u->letter, .p = u->m, .q = u->n, .a = u->a, .b = u->c, .row = u->row,
                 .column = u->column, .unit = call->diagonal == 'U',
                 .alpha = {u->alpha[0], u->alpha[1]}};
    p.lower = (call->uplo == 'L') == (call->transpose == 'N');
    if (call->side == 'R') {
        /* B*op(A) = (op(A)' * B')' */
        p.p = u->n;
        p.q = u->m;
        p.a = hw_transposed(p.a);
        p.lower = !p.lower;
        p.row = u->column;
        p.column = u->row;
    }
    return p;
}

static void *element_b(const problem *p, int64_t i, int64_t j) {
    return hw_place(p->b, p->letter, i * p->row + j * p->column);
}

static const void *element_a(const problem *p, int64_t i, int64_t j) {
    return hw_at(p->a.data, p->letter, i * p->a.row + j * p->a.column);
}

static void set_zero(const problem *p) {
    const size_t bytes = hw_element_bytes(p->letter);
    for (int64_t i = 0; i < p->p; i++)
        for (int64_t j = 0; j < p->q; j++)
            memset(element_b(p, i, j), 0, bytes);
}

static bool is_zero(const double value[2]) { return value[0] == 0 && value[1] == 0; }

/* --- trmm ---------------------------------------------------------------------------------- */

/* A block of rows of the result, and the columns of op(A) that any of them needs. */
typedef struct {
    int64_t top, rows, first, count;
} block;

static block block_at(const problem *p, int64_t top, int64_t rows) {
    return p->lower ? (block){top, rows, 0, top + rows} : (block){top, rows, top, p->p - top};
}

/* Row i of op(A) in the columns of a block: zeros outside the triangle, ones if the diagonal is. */
static void copy_row(const problem *p, int64_t i, const block *part, void *row) {
    static const double one[2] = {1, 0};
    const size_t bytes = hw_element_bytes(p->letter);
    for (int64_t l = 0; l < part->count; l++) {
        const int64_t column = part->first + l;
        void *element = hw_place(row, p->letter, l);
        if (p->unit && column == i)
            hw_store(p->letter, element, one);
        else if (p->lower ? column <= i : column >= i)
            memcpy(element, element_a(p, i, column), bytes);
        else
            memset(element, 0, bytes);
    }
}

static bool has_nan(const problem *p, const void *elements, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        double value[2];
        hw_load(p->letter, hw_at(elements, p->letter, i), value);
        if (isnan(value[0]) || isnan(value[1]))
            return true;
    }
    return false;
}

static int multiply_block(hw_call *call, const problem *p, const block *part, char *room) {
    const size_t bytes = hw_element_bytes(p->letter);
    for (int64_t row = 0; row < part->rows; row++)
        copy_row(p, part->top + row, part, hw_place(room, p->letter, row * part->count));
    char *result = room + (size_t)(part->rows * part->count) * bytes;
    const hw_update update = {
        .letter = p->letter, .m = part->rows, .n = p->q, .k = part->count,
        .alpha = {p->alpha[0], p->alpha[1]},
        .a = {room, part->count, 1, p->a.conjugate},
        .b = {element_b(p, part->first, 0), p->row, p->column, false},
        .c = result, .row = p->q, .column = 1,
    };
    int status = hw_update_run(call, &update);
    if (status != HWGEN_OK)
        return status;
    if (part->rows > 1 && has_nan(p, result, part->rows * p->q)) {
        /* Perhaps a zero outside the triangle met an infinity; single rows have no such zero. */
        for (int64_t row = 0; status == HWGEN_OK && row < part->rows; row++) {
            const int64_t i = part->top + (p->lower ? part->rows - 1 - row : row);
            const block single = block_at(p, i, 1);
            status = multiply_block(call, p, &single, room);
        }
        return status;
    }
    for (int64_t row = 0; row < part->rows; row++)
        for (int64_t j = 0; j < p->q; j++)
            memcpy(element_b(p, part->top + row, j),
                   hw_at(result, p->letter, row * p->q + j), bytes);
    call->touched = true;
    return HWGEN_OK;
}

static int run_trmm(hw_call *call) {
    const problem p = from_left(call);
    if (p.p == 0 || p.q == 0)
        return HWGEN_OK;
    if (is_zero(p.alpha)) {
        set_zero(&p);
        return HWGEN_OK;
    }
    char *room = malloc((size_t)((p.p + p.q) * BLOCK) * hw_element_bytes(p.letter));
    int status = room != NULL ? HWGEN_OK : HWGEN_NO_MEMORY;
    /* In this order no block is needed any more once it is overwritten. */
    const int64_t blocks = (p.p + BLOCK - 1) / BLOCK;
    for (int64_t step = 0; status == HWGEN_OK && step < blocks; step++) {
        const int64_t top = (p.lower ? blocks - 1 - step : step) * BLOCK;
        const block part = block_at(&p, top, p.p - top < BLOCK ? p.p - top : BLOCK);
        status = multiply_block(call, &p, &part, room);
    }
    free(room);
    return status;
}

/* --- trsm ---------------------------------------------------------------------------------- */

/* B[top:top+rows] := scale*B[top:top+rows] - A[top:.., first:top]*B[first:top] */
static int eliminate(hw_call *call, const problem *p, int64_t first, int64_t top, int64_t rows,
                     const double scale[2]) {
    const hw_update update = {
        .letter = p->letter, .m = rows, .n = p->q, .k = top - first,
        .alpha = {-1, 0}, .beta = {scale[0], scale[1]},
        .a = {element_a(p, top, first), p->a.row, p->a.column, p->a.conjugate},
        .b = {element_b(p, first, 0), p->row, p->column, false},
        .c = element_b(p, top, 0), .row = p->row, .column = p->column,
    };
    return hw_update_run(call, &update);
}

static void divide_row(const problem *p, int64_t i) {
    double diagonal[2], value[2];
    hw_load(p->letter, element_a(p, i, i), diagonal);
    if (p->a.conjugate)
        diagonal[1] = -diagonal[1];
    for (int64_t j = 0; j < p->q; j++) {
        void *element = element_b(p, i, j);
        hw_load(p->letter, element, value);
        if (hw_is_complex(p->letter)) {
            const double complex quotient = CMPLX(value[0], value[1])
                                            / CMPLX(diagonal[0], diagonal[1]);
            value[0] = creal(quotient);
            value[1] = cimag(quotient);
        } else {
            value[0] /= diagonal[0];
        }
        hw_store(p->letter, element, value);
    }
}

static int solve_block(hw_call *call, const problem *p, int64_t top, int64_t rows) {
    static const double one[2] = {1, 0};
    int status = eliminate(call, p, 0, top, rows, p->alpha);
    for (int64_t i = top; status == HWGEN_OK && i < top + rows; i++) {
        if (i > top)
            status = eliminate(call, p, top, i, 1, one);
        if (status == HWGEN_OK && !p->unit)
            divide_row(p, i);
        call->touched = true;
    }
    return status;
}

/* An upper triangle is a lower one seen from its last corner. */
static problem from_below(problem p) {
    p.a.data = element_a(&p, p.p - 1, p.p - 1);
    p.a.row = -p.a.row;
    p.a.column = -p.a.column;
    p.b = element_b(&p, p.p - 1, 0);
    p.row = -p.row;
    return p;
}

static int run_trsm(hw_call *call) {
    problem p = from_left(call);
    if (p.p == 0 || p.q == 0)
        return HWGEN_OK;
    if (is_zero(p.alpha)) {
        set_zero(&p);
        return HWGEN_OK;
    }
    if (!p.lower)
        p = from_below(p);
    int status = HWGEN_OK;
    for (int64_t top = 0; status == HWGEN_OK && top < p.p; top += BLOCK)
        status = solve_block(call, &p, top, p.p - top < BLOCK ? p.p - top : BLOCK);
    return status;
}

/* --- arguments ------------------------------------------------------------------------------- */

/* (side, uplo, transa, diag, m, n, alpha, a, lda, b, ldb) */
static void triangular(hw_call *call, char letter, const hw_arguments *arguments) {
    hw_update *u = &call->update;
    call->side = hw_option(arguments, 1);
    call->uplo = hw_option(arguments, 2);
    call->transpose = hw_option(arguments, 3);
    call->diagonal = hw_option(arguments, 4);
    const char transpose = call->transpose;
    call->stepwise = true;
    u->letter = letter;
    u->m = call->m = hw_integer(arguments, 5);
    u->n = call->n = hw_integer(arguments, 6);
    u->k = call->k = call->side == 'L' ? u->m : u->n;
    hw_require(call, arguments, 1, call->side == 'L' || call->side == 'R');
    hw_require(call, arguments, 2, call->uplo == 'L' || call->uplo == 'U');
    hw_require(call, arguments, 3, transpose == 'N' || transpose == 'T' || transpose == 'C');
    hw_require(call, arguments, 4, call->diagonal == 'U' || call->diagonal == 'N');
    hw_require(call, arguments, 5, u->m >= 0);
    hw_require(call, arguments, 6, u->n >= 0);
    hw_load(letter, hw_pointer(arguments, 7), u->alpha);
    u->a = hw_op(letter, transpose, hw_stored(call, arguments, 8, u->k, u->k));
    hw_writes_matrix(call, arguments, 10, u->m, u->n);
    const uint64_t products = u->m > 0 && u->n > 0
                                  ? (uint64_t)u->m * (uint64_t)u->n * (uint64_t)u->k : 0;
    call->operations = products * (hw_is_complex(letter) ? 4 : 1);
}

void hw_trmm(hw_call *call, char letter, const hw_arguments *arguments) {
    triangular(call, letter, arguments);
    call->run = run_trmm;
}

void hw_trsm(hw_call *call, char letter, const hw_arguments *arguments) {
    triangular(call, letter, arguments);
    call->run = run_trsm;
}
