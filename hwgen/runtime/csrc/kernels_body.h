/*
 * The inner loops of one instruction set; a file that defines KERNEL_NAME and includes this one is
 * compiled with its options. Floating point is used to the letter here: compiled without
 * contraction, in any rounding mode.
 */
#include "kernels.h"
#include "vector.h"

#if VECTOR_BYTES == 64
enum { ROWS = 8, VECTORS = 2 };
#else
enum { ROWS = 4, VECTORS = 2 };
#endif
enum { COLUMNS = VECTORS * DOUBLES, SINGLE_COLUMNS = VECTORS * FLOATS };

#define UNROLL _Pragma("GCC unroll 16")
/* Accumulators of a piece of ROWS / part rows, in registers. */
#define FOR_PIECE(part) UNROLL for (int r = 0; r < ROWS / (part); r++) \
    UNROLL for (int v = 0; v < VECTORS; v++)

#include "kernels_one.inc.h"
#include "kernels_rounded.inc.h"
#include "kernels_clamped.inc.h"
#include "kernels_sliced.inc.h"
#include "kernels_blocks.inc.h"
#include "kernels_single.inc.h"
#include "kernels_pack.inc.h"

const kernel_set KERNEL_NAME = {
    .name = KERNEL_TEXT,
    .fused = FUSED,
    .rows = ROWS,
    .columns = COLUMNS,
    .single_columns = SINGLE_COLUMNS,
    .sums =
        {
            [SUM_PLAIN] = sum_plain,
            [SUM_TRUNCATED] = sum_truncated,
            [SUM_NEAREST] = sum_nearest,
            [SUM_ODD] = sum_odd,
            [SUM_STOCHASTIC] = sum_stochastic,
            [SUM_SLICED] = sum_sliced,
            [SUM_SLICED_TRUNCATED] = sum_sliced_truncated,
            [SUM_SLICED_NEAREST] = sum_sliced_nearest,
            [SUM_BLOCKS_TRUNCATED] = sum_blocks_truncated,
            [SUM_BLOCKS_NEAREST] = sum_blocks_nearest,
            [SUM_BLOCKS_ODD] = sum_blocks_odd,
            [SUM_CLAMPED_TRUNCATED] = sum_clamped,
            [SUM_CLAMPED_NEAREST] = sum_clamped,
        },
    .product_sums = sum_products,
    .rounded_sums = sum_rounded,
    .rounded_product_sums = sum_rounded_products,
    .add_rounded = add_rounded,
    .single_sums = sum_single,
    .single_product_sums = sum_single_products,
    .carry = carry,
    .measure = measure,
    .split = split,
    .lowest = lowest,
    .round = round_values,
    .round_fixed = round_fixed_values,
    .widen = widen,
    .decode = decode,
    .join = join,
};
