/*
 * hwgen's arithmetic in C: what the BLAS library, the simulated hardware and Python share.
 *
 * A datapath is read from a description, a text that hwgen/runtime/description.py writes; nothing
 * here parses what users type. Bits and status are those of the golden model (hwgen.model.gemm).
 * All functions may be called from several threads at once; a hwgen_datapath is never changed after
 * it has been read.
 */
#ifndef HWGEN_H
#define HWGEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HWGEN_API __attribute__((visibility("default")))

/* Status of one result, and of a whole call: the OR of its results'. */
enum { HWGEN_INVALID = 1, HWGEN_OVERFLOW = 2, HWGEN_INEXACT = 4 };

/* What a call returns. */
enum {
    HWGEN_OK = 0,
    HWGEN_NO_MEMORY = 1,
    HWGEN_UNSUPPORTED = 2,
    HWGEN_BAD_DESCRIPTION = 3,
    HWGEN_DEVICE_FAILED = 4,
};

typedef struct hwgen_datapath hwgen_datapath;

/* Which operand a number belongs to. */
typedef enum { HWGEN_A, HWGEN_B, HWGEN_OUT } hwgen_side;

/* Reads a description; on failure returns NULL and a line for the user in `error`. */
HWGEN_API hwgen_datapath *hwgen_datapath_read(const char *description, char *error, size_t size);
HWGEN_API void hwgen_datapath_free(hwgen_datapath *datapath);

/*
 * Whether B' A' is the transpose of A B, bit for bit: A and B have one format, and rows are rounded
 * as columns are.
 */
HWGEN_API int hwgen_commutes(const hwgen_datapath *datapath);

/* Bytes of a pattern in memory: 1, 2, 4 or 8; 8 * words for a raw register beyond 64 bits. */
HWGEN_API size_t hwgen_pattern_bytes(const hwgen_datapath *datapath, hwgen_side side);
/* Terms that share a scale: 1, or the block of a block-scaled format. */
HWGEN_API int64_t hwgen_block_terms(const hwgen_datapath *datapath, hwgen_side side);

/*
 * Product of bit patterns: a is m x k and b is k x n, patterns in the narrowest unsigned integer
 * that holds them (the bits above a pattern must be 0), row by row without gaps; c is m x n
 * likewise, and overlaps neither. `status` is m x n bytes or NULL.
 * `engine` picks the instruction set: NULL for the best of this machine, or "portable", "avx2",
 * "avx512"; one that the machine does not have is HWGEN_UNSUPPORTED. `threads` 0 takes as many as
 * the machine has. Neither changes a bit. The caller's floating-point environment neither matters
 * nor changes.
 */
HWGEN_API int hwgen_gemm_bits(const hwgen_datapath *datapath, int64_t m, int64_t n, int64_t k,
                              const void *a, const void *b, void *c, uint8_t *status,
                              const char *engine, int threads);

/* A matrix of machine numbers: element (i, j) is data[i * row + j * column]. */
typedef struct {
    const void *data;
    int64_t row;
    int64_t column;
} hwgen_matrix;

typedef enum { HWGEN_FLOAT32, HWGEN_FLOAT64 } hwgen_scalar;

/*
 * Product of machine numbers: a and b are rounded to the operand formats first (blocks of
 * block-scaled formats extend along k), then c[i * ldc + j] = the result's value as such a number,
 * NaN where it is invalid. Results are rounded to the output format, then, where that is wider than
 * `scalar`, to `scalar`. `status` is NULL, or receives the OR of all results' status (slower).
 * `scalar` is the type of a, b and c. A NaN that an operand's format lacks stays one. out=raw is
 * HWGEN_UNSUPPORTED.
 */
HWGEN_API int hwgen_gemm_values(const hwgen_datapath *datapath, hwgen_scalar scalar, int64_t m,
                                int64_t n, int64_t k, hwgen_matrix a, hwgen_matrix b, void *c,
                                int64_t ldc, uint8_t *status, const char *engine, int threads);

/*
 * Patterns of machine numbers and back, `count` numbers `stride` elements apart on the value side,
 * dense on the pattern side. Blocks of block-scaled formats are consecutive; a last, shorter block
 * is one of its own. NaN for a format without NaN becomes 0 and HWGEN_INVALID in the result of
 * hwgen_encode, which is otherwise 0.
 */
HWGEN_API int hwgen_encode(const hwgen_datapath *datapath, hwgen_side side, hwgen_scalar scalar,
                           int64_t count, const void *values, int64_t stride, void *patterns);
HWGEN_API void hwgen_decode(const hwgen_datapath *datapath, hwgen_side side, hwgen_scalar scalar,
                            int64_t count, const void *patterns, void *values, int64_t stride);

/* The instruction sets that this machine can run, best first, ended by NULL. */
HWGEN_API const char *const *hwgen_engines(void);

/*
 * A device: something that multiplies patterns tile by tile. Simulated hardware (and boards) offer
 * these functions in a shared library under the names hwgen_device_open and so on.
 *
 * A block is `beats` beats of `rows * dot` patterns of a and `cols * dot` patterns of b, as the
 * core's streams take them: `dot` successive terms of each row or column, zeros where the last beat
 * has none. It gives rows x cols patterns of c (row 0 first) and as many status bytes; patterns in
 * memory as above. hwgen_device_run runs `blocks` of them back to back, of equal length.
 */
typedef struct hwgen_device hwgen_device;

typedef struct {
    int64_t rows;
    int64_t cols;
    int64_t dot;      /* products that an element adds in one cycle */
    uint64_t cycles;  /* of the array's clock, since the device was opened */
    uint64_t beats;   /* beats of operands taken; rows * cols * dot MACs each */
    char digest[65];  /* sha256 of the design, as its manifest states it */
} hwgen_device_state;

typedef hwgen_device *hwgen_device_open_fn(char *error, size_t size);
typedef int hwgen_device_run_fn(hwgen_device *device, int64_t blocks, int64_t beats,
                                const void *a, const void *b, void *c, uint8_t *status);
typedef void hwgen_device_state_fn(const hwgen_device *device, hwgen_device_state *state);
typedef void hwgen_device_close_fn(hwgen_device *device);
/* Why the device failed, a line for the user; empty while it works. */
typedef const char *hwgen_device_reason_fn(const hwgen_device *device);

#ifdef __cplusplus
}
#endif
#endif
