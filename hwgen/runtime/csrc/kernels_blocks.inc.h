/*
 * Sums whose summands are the exact sums of scale blocks. A block is summed plainly in registers,
 * then cut once, into as many slices as there are. The slice after the last one tells with a 1 that
 * a sum has lost bits: unlike those of products, they are not known from the operands.
 */

typedef enum { CUT_TRUNCATED, CUT_NEAREST, CUT_ODD } cut_rule;

INLINE doubles cut_at(const layout *plan, int slice, doubles sign, int rule) {
    if (rule == CUT_NEAREST)
        return doubles_of(signed_cutter(plan, slice));
    return with_sign(doubles_of(cutter(plan, slice)), sign);
}

INLINE void add_summand(doubles summand, const layout *plan, double *sums, int64_t slice,
                        int rule) {
    doubles rest = summand;
    for (int i = plan->slices - 1; i >= 0; i--) {
        doubles cut = cut_at(plan, i, summand, rule);
        doubles shifted = rest + cut;
        rest -= shifted - cut;
        longs lost = (longs)(rest != doubles_of(0));
        if (rule == CUT_ODD && i == 0)
            shifted = (doubles)((longs)shifted | (lost & 1));
        store(sums + i * slice, load(sums + i * slice) + (shifted - cut));
        if (i == 0) {
            double *flag = sums + plan->slices * slice;
            store(flag, choose(lost, doubles_of(1), load(flag)));
        }
    }
}

INLINE void block_terms(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                        int64_t row, int64_t slice, int rule) {
    for (int64_t first = 0; first < terms; first += plan->block) {
        int64_t end = terms - first < plan->block ? terms : first + plan->block;
        block self = {{{{0}}}};
        for (int64_t k = first; k < end; k++) {
            doubles line[VECTORS];
            load_line(line, b.values + k * COLUMNS);
            step_plain(&self, a.values + k * ROWS, line);
        }
        FOR_PIECE(1)
        add_summand(self.sum[r][v], plan, sums + r * row + v * DOUBLES, slice, rule);
    }
}

static void sum_blocks_truncated(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                                 int64_t row, int64_t slice) {
    block_terms(terms, a, b, plan, sums, row, slice, CUT_TRUNCATED);
}

static void sum_blocks_nearest(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                               int64_t row, int64_t slice) {
    block_terms(terms, a, b, plan, sums, row, slice, CUT_NEAREST);
}

static void sum_blocks_odd(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                           int64_t row, int64_t slice) {
    block_terms(terms, a, b, plan, sums, row, slice, CUT_ODD);
}
