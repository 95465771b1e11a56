/*
 * Sums in several slices. Registers hold the sums of a piece of the rows at a time; where there are
 * too many slices for that, the sums stay in memory.
 */

typedef struct {
    int64_t terms;
    panel a;
    panel b;
    const layout *plan;
    double *sums;
    int64_t row;
    int64_t slice;
} sliced_call;

/* The row-pieces that leave registers enough for S slices. */
#define PIECES(S) ((S) <= 2 ? 2 : 4)

/*
 * Adds the part of `rest` at and above each of the slices from `top` down to 1 to that slice, and
 * returns what is left for the lowest.
 */
INLINE doubles deal(doubles rest, int top, const doubles *cuts, doubles *sums, int64_t stride) {
    UNROLL for (int i = top; i >= 1; i--) {
        doubles part = rest + cuts[i] - cuts[i];
        sums[i * stride] += part;
        rest -= part;
    }
    return rest;
}

/* One piece of rows in registers, nothing dropped. The product is p, or p + error if it is long. */
INLINE void sliced_piece(const sliced_call *call, int S, int first, int long_products) {
    const int pieces = PIECES(S);
    doubles sums[ROWS / 2][VECTORS][4], cuts[4];
    UNROLL for (int i = 0; i < S; i++) cuts[i] = doubles_of(signed_cutter(call->plan, i));
    FOR_PIECE(pieces) UNROLL for (int i = 0; i < S; i++) sums[r][v][i] =
        load(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES);
    for (int64_t k = 0; k < call->terms; k++) {
        doubles line[VECTORS];
        load_line(line, call->b.values + k * COLUMNS);
        const double *a = call->a.values + k * ROWS + first;
        UNROLL for (int r = 0; r < ROWS / pieces; r++) {
            doubles x = doubles_of(a[r]);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                doubles product = x * line[v];
                sums[r][v][0] += deal(product, S - 1, cuts, sums[r][v], 1);
                if (long_products) {
                    doubles error = multiply_add(x, line[v], -product);
                    sums[r][v][0] += deal(error, S - 2, cuts, sums[r][v], 1);
                }
            }
        }
    }
    FOR_PIECE(pieces) UNROLL for (int i = 0; i < S; i++)
        store(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES, sums[r][v][i]);
}

/*
 * The same with bits dropped: magnitudes with b's sign. The error of a product that is truncated
 * lies under the product's last bit, so that each of the two may be cut by itself.
 */
INLINE void truncated_piece(const sliced_call *call, int S, int first, int long_products) {
    const int pieces = PIECES(S);
    doubles sums[ROWS / 2][VECTORS][4], constants[4];
    UNROLL for (int i = 0; i < S; i++) constants[i] = doubles_of(cutter(call->plan, i));
    FOR_PIECE(pieces) UNROLL for (int i = 0; i < S; i++) sums[r][v][i] =
        load(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES);
    for (int64_t k = 0; k < call->terms; k++) {
        doubles line[VECTORS];
        load_line(line, call->b.values + k * COLUMNS);
        const double *split = call->a.splits + k * 2 * ROWS + first;
        UNROLL for (int r = 0; r < ROWS / pieces; r++) {
            doubles size = doubles_of(split[r]), sign = doubles_of(split[ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                doubles product = size * line[v], rest = product;
                UNROLL for (int i = S - 1; i >= 0; i--) {
                    doubles cut = with_sign(constants[i], line[v]);
                    doubles part = rest + cut - cut;
                    sums[r][v][i] = multiply_add(sign, part, sums[r][v][i]);
                    rest -= part;
                }
                if (!long_products)
                    continue;
                rest = multiply_add(size, line[v], -product);
                UNROLL for (int i = S - 2; i >= 0; i--) {
                    doubles cut = with_sign(constants[i], line[v]);
                    doubles part = rest + cut - cut;
                    sums[r][v][i] = multiply_add(sign, part, sums[r][v][i]);
                    rest -= part;
                }
            }
        }
    }
    FOR_PIECE(pieces) UNROLL for (int i = 0; i < S; i++)
        store(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES, sums[r][v][i]);
}

/*
 * Two slices where the multiply-add is fused: the second cut is one, of the whole product less what
 * the first slice took, so that products may be long.
 */
INLINE void truncated_pair(const sliced_call *call, int first) {
    doubles sums[ROWS / 2][VECTORS][2];
    doubles high = doubles_of(cutter(call->plan, 1)), low = doubles_of(cutter(call->plan, 0));
    FOR_PIECE(2) UNROLL for (int i = 0; i < 2; i++) sums[r][v][i] =
        load(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES);
    for (int64_t k = 0; k < call->terms; k++) {
        const double *split = call->a.splits + k * 2 * ROWS + first;
        UNROLL for (int v = 0; v < VECTORS; v++) {
            doubles b = load(call->b.values + k * COLUMNS + v * DOUBLES);
            doubles cut_high = with_sign(high, b), cut_low = with_sign(low, b);
            UNROLL for (int r = 0; r < ROWS / 2; r++) {
                doubles size = doubles_of(split[r]), sign = doubles_of(split[ROWS + r]);
                doubles upper = multiply_add(size, b, cut_high) - cut_high;
                doubles lower = multiply_add(size, b, cut_low - upper) - cut_low;
                sums[r][v][1] = multiply_add(sign, upper, sums[r][v][1]);
                sums[r][v][0] = multiply_add(sign, lower, sums[r][v][0]);
            }
        }
    }
    FOR_PIECE(2) UNROLL for (int i = 0; i < 2; i++)
        store(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES, sums[r][v][i]);
}

/* As truncated_pair, to nearest: the sign needs no care, since the constants are half way up. */
INLINE void nearest_pair(const sliced_call *call, int first) {
    doubles sums[ROWS / 2][VECTORS][2];
    doubles high = doubles_of(signed_cutter(call->plan, 1));
    doubles low = doubles_of(signed_cutter(call->plan, 0));
    FOR_PIECE(2) UNROLL for (int i = 0; i < 2; i++) sums[r][v][i] =
        load(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES);
    for (int64_t k = 0; k < call->terms; k++) {
        const double *a = call->a.values + k * ROWS + first;
        UNROLL for (int v = 0; v < VECTORS; v++) {
            doubles b = load(call->b.values + k * COLUMNS + v * DOUBLES);
            UNROLL for (int r = 0; r < ROWS / 2; r++) {
                doubles x = doubles_of(a[r]);
                doubles upper = multiply_add(x, b, high) - high;
                sums[r][v][0] += multiply_add(x, b, low - upper) - low;
                sums[r][v][1] += upper;
            }
        }
    }
    FOR_PIECE(2) UNROLL for (int i = 0; i < 2; i++)
        store(call->sums + i * call->slice + (first + r) * call->row + v * DOUBLES, sums[r][v][i]);
}

/* Any number of slices, one vector of sums at a time, in memory. */
INLINE void many_slices(const sliced_call *call, int truncate) {
    const layout *plan = call->plan;
    int slices = plan->slices;
    for (int r = 0; r < ROWS; r++) {
        for (int v = 0; v < VECTORS; v++) {
            doubles sums[MAX_SLICES], constants[MAX_SLICES];
            double *place = call->sums + r * call->row + v * DOUBLES;
            for (int i = 0; i < slices; i++) {
                sums[i] = load(place + i * call->slice);
                constants[i] =
                    doubles_of(truncate ? cutter(plan, i) : signed_cutter(plan, i));
            }
            for (int64_t k = 0; k < call->terms; k++) {
                doubles b = load(call->b.values + k * COLUMNS + v * DOUBLES);
                const double *a =
                    truncate ? call->a.splits + k * 2 * ROWS : call->a.values + k * ROWS;
                doubles x = doubles_of(a[r]), sign = doubles_of(truncate ? a[ROWS + r] : 1.0);
                doubles product = x * b, rest = product;
                int top = slices - 1;
                for (int pass = 0; pass <= plan->long_products; pass++, top--) {
                    for (int i = top; i >= 0; i--) {
                        doubles cut = truncate ? with_sign(constants[i], b) : constants[i];
                        doubles part = rest + cut - cut;
                        sums[i] = multiply_add(sign, part, sums[i]);
                        rest -= part;
                    }
                    if (pass == 0)
                        rest = multiply_add(x, b, -product);
                }
            }
            for (int i = 0; i < slices; i++)
                store(place + i * call->slice, sums[i]);
        }
    }
}

#define CALL {terms, a, b, plan, sums, row, slice}
#define EACH_PIECE(S) for (int first = 0; first < ROWS; first += ROWS / PIECES(S))

static void sum_sliced(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                       int64_t row, int64_t slice) {
    const sliced_call call = CALL;
    switch (plan->slices << 1 | plan->long_products) {
    case 2 << 1:
        EACH_PIECE(2) sliced_piece(&call, 2, first, 0);
        break;
    case 2 << 1 | 1:
        EACH_PIECE(2) sliced_piece(&call, 2, first, 1);
        break;
    case 3 << 1:
        EACH_PIECE(3) sliced_piece(&call, 3, first, 0);
        break;
    case 3 << 1 | 1:
        EACH_PIECE(3) sliced_piece(&call, 3, first, 1);
        break;
    case 4 << 1:
        EACH_PIECE(4) sliced_piece(&call, 4, first, 0);
        break;
    case 4 << 1 | 1:
        EACH_PIECE(4) sliced_piece(&call, 4, first, 1);
        break;
    default:
        many_slices(&call, 0);
    }
}

static void sum_sliced_truncated(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                                 int64_t row, int64_t slice) {
    const sliced_call call = CALL;
    switch (plan->slices << 1 | plan->long_products) {
#if FUSED
    case 2 << 1:
    case 2 << 1 | 1:
        EACH_PIECE(2) truncated_pair(&call, first);
        break;
#else
    case 2 << 1:
        EACH_PIECE(2) truncated_piece(&call, 2, first, 0);
        break;
#endif
    case 3 << 1:
        EACH_PIECE(3) truncated_piece(&call, 3, first, 0);
        break;
    case 3 << 1 | 1:
        EACH_PIECE(3) truncated_piece(&call, 3, first, 1);
        break;
    case 4 << 1:
        EACH_PIECE(4) truncated_piece(&call, 4, first, 0);
        break;
    case 4 << 1 | 1:
        EACH_PIECE(4) truncated_piece(&call, 4, first, 1);
        break;
    default:
        many_slices(&call, 1);
    }
}

static void sum_sliced_nearest(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                               int64_t row, int64_t slice) {
    const sliced_call call = CALL;
    EACH_PIECE(2) nearest_pair(&call, first);
}

/* Moves what exceeds a slice to the next one, exactly; what stays is below the next one's unit. */
static void carry(int64_t count, const layout *plan, double *sums, int64_t slice) {
    for (int i = 0; i + 1 < plan->slices; i++) {
        doubles cut = doubles_of(signed_cutter(plan, i + 1));
        for (int64_t j = 0; j < count; j += DOUBLES) {
            double *lower = sums + i * slice + j, *upper = lower + slice;
            doubles value = load(lower);
            doubles part = value + cut - cut;
            store(lower, value - part);
            store(upper, load(upper) + part);
        }
    }
}
