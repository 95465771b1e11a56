/*
 * Inside of the BLAS library that is preloaded into programs.
 *
 * An exported function gathers its arguments (fortran.inc, cblas.inc, pack.inc, in the spellings of
 * spellings.c), a routine turns them into products (general.c and others of routines.h, update.c), a
 * product runs on the C kernels or on a device (product.c, device.c), and dispatch.c decides between
 * that and the library the program would have reached without us (original.c). See docs/blas.md for
 * the arithmetic.
 */
#ifndef HWGEN_BLAS_LIBRARY_H
#define HWGEN_BLAS_LIBRARY_H

#include <fenv.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../hwgen.h"

#pragma GCC visibility push(hidden)

/* --- Numbers ------------------------------------------------------------------------------- */

/* BLAS' letters for the type of a matrix: s, d (real), c, z (complex). */
static inline bool hw_is_complex(char letter) { return letter == 'c' || letter == 'z'; }
static inline hwgen_scalar hw_scalar_of(char letter) {
    return letter == 's' || letter == 'c' ? HWGEN_FLOAT32 : HWGEN_FLOAT64;
}
static inline size_t hw_scalar_bytes(hwgen_scalar scalar) {
    return scalar == HWGEN_FLOAT32 ? sizeof(float) : sizeof(double);
}
static inline size_t hw_element_bytes(char letter) {
    return hw_scalar_bytes(hw_scalar_of(letter)) << hw_is_complex(letter);
}
static inline const void *hw_at(const void *data, char letter, int64_t index) {
    return (const char *)data + index * (int64_t)hw_element_bytes(letter);
}
static inline void *hw_place(void *data, char letter, int64_t index) {
    return (char *)data + index * (int64_t)hw_element_bytes(letter);
}
/* One element, real and imaginary part; float32 to double and back loses nothing. */
void hw_load(char letter, const void *element, double value[2]);
void hw_store(char letter, void *element, const double value[2]);

/* --- Products ------------------------------------------------------------------------------ */

typedef struct hw_call hw_call;

/* Element (i, j) is data[i * row + j * column], perhaps conjugated; strides in elements. */
typedef struct {
    const void *data;
    int64_t row;
    int64_t column;
    bool conjugate;
} hw_view;

static inline hw_view hw_transposed(hw_view view) {
    return (hw_view){view.data, view.column, view.row, view.conjugate};
}

typedef enum { HW_FULL, HW_LOWER, HW_UPPER } hw_part;

/*
 * C := alpha*A*B + beta*C on one part of C (m x n); A is m x k. Element (i, j) of C is
 * c[i * row + j * column]. `hermitian` says that the diagonal of C is real.
 */
typedef struct {
    char letter;
    hw_part part;
    bool hermitian;
    int64_t m, n, k;
    double alpha[2], beta[2];
    hw_view a, b;
    void *c;
    int64_t row, column;
} hw_update;

int hw_update_run(hw_call *call, const hw_update *update);

/* Writes one row of a result; `t` holds the products of the parts, NULL for a product of zero. */
typedef struct {
    const void *t[4]; /* real: t[0]; complex: re*re, im*im, re*im, im*re */
    double sign_a, sign_b; /* -1 where the operand is conjugated */
    double alpha[2], beta[2];
} hw_row;

void hw_finish_row(char letter, const hw_row *row, int64_t count, void *c, int64_t step);

/* c = a*b in real numbers on what `call` runs on; see hwgen_gemm_values. */
int hw_product(hw_call *call, hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
               hwgen_matrix b, void *c, int64_t ldc);
int hw_device_product(const hwgen_datapath *datapath, hwgen_scalar scalar, int64_t m, int64_t n,
                      int64_t k, hwgen_matrix a, hwgen_matrix b, void *c, int64_t ldc);
/* The floating-point environment of the program, kept aside while the kernels run. */
typedef struct {
#ifdef __SSE2__
    unsigned control;
#else
    fenv_t all;
#endif
} hw_environment;

void hw_environment_enter(hw_environment *saved);
void hw_environment_leave(const hw_environment *saved);
/* Makes every NaN of a product the same; returns the exceptions (FE_*) that it tells of. */
int hw_settle(hwgen_scalar scalar, int64_t m, int64_t n, int64_t k, hwgen_matrix a,
              hwgen_matrix b, void *c, int64_t ldc);
/* Forgets the device in the child of a fork: its threads and files stayed with the parent. */
void hw_device_forked(void);

/* --- Configuration ------------------------------------------------------------------------- */

typedef enum { HW_GREATER, HW_GREATER_EQUAL, HW_LESS, HW_LESS_EQUAL, HW_EQUAL } hw_comparison;
typedef enum { HW_M, HW_N, HW_K, HW_MNK } hw_size;

typedef struct {
    hw_size size;
    hw_comparison comparison;
    int64_t value;
    bool last; /* of its rule */
} hw_term;

typedef struct {
    hwgen_datapath *datapath;
    const char *folder;
    const char *device; /* path of its library, NULL for the C kernels */
    char precisions[8];
    int64_t min_mnk;
    hw_term *terms;
    int term_count;
    int threads;
    const char *log; /* its path, NULL for none */
    bool check;
    bool assert_same;
    bool native;  /* serve nothing */
    bool profile; /* note what the products are like */
    bool record;  /* and keep some operands of each call site */
} hw_config;

/* What HWGEN_RUN says, read at the first call; NULL: everything goes to the original library. */
const hw_config *hw_config_get(void);
/* Reads the text of a configuration; on failure returns false and says why. */
bool hw_config_parse(hw_config *config, char *text, char *error, size_t size);
/* Why the rules keep a product of these sizes away; NULL where they let it in. */
const char *hw_config_refusal(const hw_config *config, char precision, int64_t m, int64_t n,
                              int64_t k);

/* One line on stderr: "hwgen: ...". */
__attribute__((format(printf, 1, 2))) void hw_say(const char *format, ...);

/* --- Calls --------------------------------------------------------------------------------- */

/* One exported symbol. */
typedef struct {
    const char *symbol;
    char precision; /* letter that the configuration knows it by: s d c z h */
    _Atomic(void *) original;
    _Atomic(unsigned long long) absent_since; /* loads so far when it was last not found, plus 1 */
    _Atomic(uint64_t) record; /* counters: generation << 32 | number of the record */
} hw_entry;

/* The function the program would have reached without us, or NULL. `caller` is in the program. */
void *hw_original(hw_entry *entry, const void *caller);
/* The same for another symbol, looked up each time. */
void *hw_original_named(const char *name, const void *caller);

/* What a call writes: `count` matrices of `lines` lines of `length` elements. */
typedef struct {
    char letter;
    hw_part part; /* LOWER: positions >= line; UPPER: positions <= line */
    void *data;
    void *const *list; /* or NULL: data + i * stride */
    int64_t stride, count; /* strides in elements */
    int64_t lines, length, line_stride;
} hw_region;

/* HW_ON_NOTHING: products are looked at only, and nothing is written. */
typedef enum { HW_ON_KERNELS, HW_ON_DEVICE, HW_ON_LOOPS, HW_ON_NOTHING } hw_place_to_run;

struct hw_call {
    hw_entry *entry;
    hw_entry *fallback; /* the symbol whose original takes over; mostly the entry itself */
    const void *caller;
    int illegal; /* position of the first illegal argument, or 0 */
    int64_t m, n, k;
    int64_t batch;
    uint64_t operations; /* of real numbers */
    int (*run)(hw_call *call);
    hw_region out;
    void *native; /* what to call while hw_step says so */

    const hw_config *config;
    hw_place_to_run on;
    bool stepwise;  /* later products take results of earlier ones */
    bool profiling; /* products of this call are to be noted */
    bool touched; /* part of the result is written: the original can no longer take over */
    int fault; /* HWGEN_* of a part that was finished by plain loops */
    int state;
    const char *reason;
    uint64_t started_ns;
    double seconds;
    void *saved; /* what the call had found where it writes, for check */

    /* The arguments of the routine. */
    hw_update update;
    char side, uplo, transpose, diagonal;
    const void *const *a_list, *const *b_list;
    int64_t a_stride, b_stride;
    int half; /* 16-bit operands: HW_BFLOAT16 or HW_FLOAT16 */
    int64_t a_lines, a_length, b_lines, b_length; /* of 16-bit operands, as they lie in memory */
    double extra; /* sdsdot's summand */
};

enum { HW_BFLOAT16 = 1, HW_FLOAT16 = 2 };

/*
 * Carries out a call: `while (hw_step(&call)) result = call.native(...)`. Returns true each time
 * the caller has to run the original function.
 */
bool hw_step(hw_call *call);

/* --- Counters, log, check ------------------------------------------------------------------ */

void hw_count_served(hw_call *call);
void hw_count_forwarded(hw_call *call, bool failed);
void hw_count_error(hw_call *call, double error);
void hw_count_device(const hwgen_device_state *state);
void hw_counters_forked(void);

bool hw_log_open(const char *path);
/* `error` below 0: not measured. */
void hw_log_call(const hw_call *call, const char *ran, double error);

bool hw_check_save(hw_call *call);
/* Puts back what the call had found, keeping the result. */
void hw_check_exchange(hw_call *call);
/* Returns the largest error relative to the largest element, and puts the result back. */
double hw_check_compare(hw_call *call);

/* Says that an argument is illegal as BLAS does, where there is no original to say it. */
void hw_illegal_argument(const hw_entry *entry, int position);

#pragma GCC visibility pop
#endif
