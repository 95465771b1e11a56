/*
 * C := alpha*A*B + beta*C for every routine, in the machine type of C.
 *
 * A complex product is four real ones, each a sum of its own: Re = round(Re*Re) - round(Im*Im),
 * Im = round(Re*Im) + round(Im*Re).
 */
#include <stdlib.h>

#include "library.h"

enum {
    TRIANGLE_ROWS = 64,    /* rows of a triangle computed at once, a rectangle each */
    PANEL_CELLS = 4 << 20, /* room for products, in elements, before C is added */
    SMALL_BYTES = 1024,    /* products this small need no memory from the heap */
};

typedef struct {
    int64_t top, rows, left, columns;
} panel;

/* Real or imaginary parts of an operand, from element (i, j) on. */
static hwgen_matrix real_part(const hw_view *view, char letter, int part, int64_t i, int64_t j) {
    const int64_t width = hw_is_complex(letter) ? 2 : 1;
    const char *start = hw_at(view->data, letter, i * view->row + j * view->column);
    start += (size_t)part * hw_scalar_bytes(hw_scalar_of(letter));
    return (hwgen_matrix){start, width * view->row, width * view->column};
}

/* Parts of A and of B whose products t[0..3] of a row are. */
static const struct {
    int a, b;
} parts[4] = {{0, 0}, {1, 1}, {0, 1}, {1, 0}};

static int multiply(hw_call *call, const hw_update *u, const panel *p, char *products,
                    size_t bytes) {
    const int count = hw_is_complex(u->letter) ? 4 : 1;
    for (int i = 0; i < count; i++) {
        const int status = hw_product(call, hw_scalar_of(u->letter), p->rows, p->columns, u->k,
                                      real_part(&u->a, u->letter, parts[i].a, p->top, 0),
                                      real_part(&u->b, u->letter, parts[i].b, 0, p->left),
                                      products + (size_t)i * bytes, p->columns);
        if (status != HWGEN_OK)
            return status;
    }
    return HWGEN_OK;
}

/* Brings a panel of products, or of nothing, into C. */
static void finish(const hw_update *u, const panel *p, const char *products, size_t bytes) {
    const size_t scalar = hw_scalar_bytes(hw_scalar_of(u->letter));
    for (int64_t row = 0; row < p->rows; row++) {
        const int64_t i = p->top + row;
        const int64_t beyond = p->left + p->columns;
        const int64_t first = u->part == HW_UPPER && i > p->left ? i : p->left;
        const int64_t end = u->part == HW_LOWER && i + 1 < beyond ? i + 1 : beyond;
        hw_row line = {.sign_a = u->a.conjugate ? -1 : 1,
                       .sign_b = u->b.conjugate ? -1 : 1,
                       .alpha = {u->alpha[0], u->alpha[1]},
                       .beta = {u->beta[0], u->beta[1]}};
        for (int part = 0; products != NULL && part < 4; part++)
            line.t[part] = products + (size_t)part * bytes
                           + (size_t)(row * p->columns + first - p->left) * scalar;
        void *c = hw_place(u->c, u->letter, i * u->row + first * u->column);
        hw_finish_row(u->letter, &line, end - first, c, u->column);
        if (u->hermitian) {
            double value[2];
            void *diagonal = hw_place(u->c, u->letter, i * (u->row + u->column));
            hw_load(u->letter, diagonal, value);
            value[1] = 0;
            hw_store(u->letter, diagonal, value);
        }
    }
}

static int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

static int64_t panel_rows(const hw_update *u) {
    if (u->part != HW_FULL)
        return smaller(u->m, TRIANGLE_ROWS);
    const int64_t fitting = PANEL_CELLS / u->n;
    return smaller(u->m, fitting < TRIANGLE_ROWS ? TRIANGLE_ROWS : fitting);
}

/* The columns of C, from rows `top` on, that belong to its part. */
static panel rows_of(const hw_update *u, int64_t top, int64_t rows) {
    panel p = {top, rows, 0, u->n};
    if (u->part == HW_LOWER)
        p.columns = top + rows;
    if (u->part == HW_UPPER) {
        p.left = top;
        p.columns = u->n - top;
    }
    return p;
}

static int run_panel(hw_call *call, const hw_update *u, const panel *p, char *products,
                     size_t bytes) {
    const int status = multiply(call, u, p, products, bytes);
    if (status == HWGEN_OK && call->on != HW_ON_NOTHING) {
        finish(u, p, products, bytes);
        call->touched = true;
    }
    return status;
}

/*
 * Without memory from the heap, a piece of a row at a time: once a part of C is written, no other
 * library can take over.
 */
static int run_pieces(hw_call *call, const hw_update *u, char *small) {
    const int64_t width = SMALL_BYTES / 4 / (int64_t)sizeof(double);
    int status = HWGEN_OK;
    for (int64_t top = 0; top < u->m; top++) {
        panel p = rows_of(u, top, 1);
        const int64_t end = p.left + p.columns;
        for (; status == HWGEN_OK && p.left < end; p.left += width) {
            p.columns = smaller(width, end - p.left);
            status = run_panel(call, u, &p, small, SMALL_BYTES / 4);
        }
    }
    return status;
}

static int run_panels(hw_call *call, const hw_update *u) {
    char small[SMALL_BYTES] __attribute__((aligned(64)));
    const int64_t rows = panel_rows(u);
    const size_t scalar = hw_scalar_bytes(hw_scalar_of(u->letter));
    const size_t bytes = (size_t)(rows * u->n) * scalar;
    const size_t total = bytes * (hw_is_complex(u->letter) ? 4 : 1);
    char *products = total <= sizeof small ? small : malloc(total);
    if (products == NULL)
        return call->touched ? run_pieces(call, u, small) : HWGEN_NO_MEMORY;
    int status = HWGEN_OK;
    for (int64_t top = 0; status == HWGEN_OK && top < u->m; top += rows) {
        const panel p = rows_of(u, top, smaller(rows, u->m - top));
        status = run_panel(call, u, &p, products, bytes);
    }
    if (products != small)
        free(products);
    return status;
}

/* The same update of the transpose of C. */
static hw_update transposed(const hw_update *u) {
    hw_update t = *u;
    t.part = u->part == HW_LOWER ? HW_UPPER : u->part == HW_UPPER ? HW_LOWER : HW_FULL;
    t.m = u->n;
    t.n = u->m;
    t.a = hw_transposed(u->b);
    t.b = hw_transposed(u->a);
    t.row = u->column;
    t.column = u->row;
    return t;
}

static bool is(const double value[2], double number) {
    return value[0] == number && value[1] == 0;
}

/* Whether A and B may change places: always where the arithmetic is the machine's. */
static bool commutes(const hw_call *call) {
    const hwgen_datapath *datapath = call->config != NULL ? call->config->datapath : NULL;
    return datapath == NULL || hwgen_commutes(datapath);
}

int hw_update_run(hw_call *call, const hw_update *given) {
    hw_update u = *given;
    if (u.m <= 0 || u.n <= 0)
        return HWGEN_OK;
    /* The kernels write rows, and compute the elements of a row side by side. */
    if ((u.n == 1 || (u.row == 1 && u.m > 1)) && commutes(call))
        u = transposed(&u);
    if (u.k <= 0 || is(u.alpha, 0)) {
        const panel all = {0, u.m, 0, u.n};
        if (!is(u.beta, 1) && call->on != HW_ON_NOTHING)
            finish(&u, &all, NULL, 0);
        return HWGEN_OK;
    }
    const bool plain = u.part == HW_FULL && !hw_is_complex(u.letter) && is(u.alpha, 1)
                       && is(u.beta, 0) && u.column == 1 && (u.m == 1 || u.row >= u.n);
    if (plain)
        return hw_product(call, hw_scalar_of(u.letter), u.m, u.n, u.k,
                          real_part(&u.a, u.letter, 0, 0, 0), real_part(&u.b, u.letter, 0, 0, 0),
                          u.c, u.m == 1 ? u.n : u.row);
    return run_panels(call, &u);
}
