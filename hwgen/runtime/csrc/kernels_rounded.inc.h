/*
 * Sums rounded at every step to a format narrower than float64, of products that are exact in it.
 * Each sum is rounded to odd first, which needs two bits more than the format has: the rounding to
 * the format then sees whatever was lost (S. Boldo and G. Melquiond, IEEE Transactions on Computers
 * 57(4), 2008).
 */

typedef uint64_t patterns __attribute__((vector_size(VECTOR_BYTES)));

typedef struct {
    patterns half;
    patterns keep;
    int drop;
    doubles least_normal;
    doubles shift;
    doubles largest;
} step_rounding;

INLINE step_rounding step_rounding_of(const float_rounding *how) {
    uint64_t half = ((uint64_t)1 << (how->drop - 1)) - 1;
    return (step_rounding){
        .half = (patterns)longs_of((int64_t)half),
        .keep = (patterns)longs_of((int64_t)(~(uint64_t)0 << how->drop)),
        .drop = how->drop,
        .least_normal = doubles_of(how->least_normal),
        .shift = doubles_of(how->subnormal_shift),
        .largest = doubles_of(how->largest),
    };
}

/* To nearest, ties to even; too large becomes infinite, specials stay. */
INLINE doubles round_step(const step_rounding *how, doubles x) {
    doubles size = absolute(x);
    patterns bits = (patterns)size;
    doubles normal = (doubles)((bits + how->half + ((bits >> how->drop) & 1)) & how->keep);
    doubles small = size + how->shift - how->shift;
    doubles result = choose((longs)(size < how->least_normal), small, normal);
    result = choose((longs)(result > how->largest), doubles_of(__builtin_inf()), result);
    return choose((longs)(x == x), with_sign(result, x), x);
}

INLINE doubles add_to_odd(doubles x, doubles y) {
    doubles sum = x + y, part = sum - x;
    doubles error = (x - (sum - part)) + (y - part);
    longs inexact = (longs)(absolute(error) > doubles_of(0)); /* NaN beside infinities is none */
    longs even = ((longs)sum & 1) - 1;
    longs step = ((longs)sum ^ (longs)error) >> 63 | 1;
    return (doubles)((longs)sum + (step & inexact & even));
}

INLINE void rounded_terms(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                          int64_t row, int fused) {
    block self;
    load_block(&self, sums, row);
    const step_rounding how = step_rounding_of(plan->rounding);
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        UNROLL for (int r = 0; r < ROWS; r++) {
            doubles x = doubles_of(a.values[k * ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                doubles product = x * line[v];
                if (!fused)
                    product = round_step(&how, product);
                self.sum[r][v] = round_step(&how, add_to_odd(self.sum[r][v], product));
            }
        }
    }
    store_block(&self, sums, row);
}

static void sum_rounded(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                        int64_t row, int64_t slice) {
    (void)slice;
    rounded_terms(terms, a, b, plan, sums, row, 1);
}

static void sum_rounded_products(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                                 int64_t row, int64_t slice) {
    (void)slice;
    rounded_terms(terms, a, b, plan, sums, row, 0);
}

/* The same for lanes: totals += sums, rounded. */
static void add_rounded(int64_t count, const float_rounding *rounding, const double *sums,
                        double *totals) {
    const step_rounding how = step_rounding_of(rounding);
    for (int64_t i = 0; i < count; i += DOUBLES)
        store(totals + i, round_step(&how, add_to_odd(load(totals + i), load(sums + i))));
}
