/* Sums in one slice. Each kernel takes all ROWS x COLUMNS sums through all terms in registers. */

/* The constant whose last place is 2^low: numbers below it are cut there when added to it. */
INLINE double cutter(const layout *plan, int slice) {
    return plan->units[slice] * 4503599627370496.0; /* 2^52 */
}

/* The same for numbers of either sign, rounded to nearest. */
INLINE double signed_cutter(const layout *plan, int slice) {
    return plan->units[slice] * 6755399441055744.0; /* 1.5 * 2^52 */
}

typedef struct {
    doubles sum[ROWS][VECTORS];
} block;

INLINE void load_block(block *self, const double *sums, int64_t row) {
    FOR_PIECE(1) self->sum[r][v] = load(sums + r * row + v * DOUBLES);
}

INLINE void store_block(const block *self, double *sums, int64_t row) {
    FOR_PIECE(1) store(sums + r * row + v * DOUBLES, self->sum[r][v]);
}

INLINE void load_line(doubles *line, const double *from) {
    UNROLL for (int v = 0; v < VECTORS; v++) line[v] = load(from + v * DOUBLES);
}

/* One term of which nothing is dropped. */
INLINE void step_plain(block *self, const double *a, const doubles *b) {
    UNROLL for (int r = 0; r < ROWS; r++) {
        doubles x = doubles_of(a[r]);
        UNROLL for (int v = 0; v < VECTORS; v++)
            self->sum[r][v] = multiply_add(x, b[v], self->sum[r][v]);
    }
}

static void sum_plain(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                      int64_t row, int64_t slice) {
    (void)plan;
    (void)slice;
    block self;
    load_block(&self, sums, row);
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        step_plain(&self, a.values + k * ROWS, line);
    }
    store_block(&self, sums, row);
}

/* As sum_plain, with the product rounded too. */
static void sum_products(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                         int64_t row, int64_t slice) {
    (void)plan;
    (void)slice;
    block self;
    load_block(&self, sums, row);
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        UNROLL for (int r = 0; r < ROWS; r++) {
            doubles x = doubles_of(a.values[k * ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++) self.sum[r][v] += x * line[v];
        }
    }
    store_block(&self, sums, row);
}

/*
 * Magnitudes are cut by adding a constant that has b's sign and subtracting it again; the sign of a
 * is put in when the rest is added. Terms that have no bits to drop in this block need no cut.
 */
static void sum_truncated(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                          int64_t row, int64_t slice) {
    (void)slice;
    block self;
    load_block(&self, sums, row);
    doubles constant = doubles_of(cutter(plan, 0));
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        if (a.lows[k] + b.lows[k] >= plan->low) {
            step_plain(&self, a.values + k * ROWS, line);
            continue;
        }
        const double *split = a.splits + k * 2 * ROWS;
        doubles cut[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++) cut[v] = with_sign(constant, line[v]);
        UNROLL for (int r = 0; r < ROWS; r++) {
            doubles size = doubles_of(split[r]), sign = doubles_of(split[ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                doubles whole = multiply_add(size, line[v], cut[v]) - cut[v];
                self.sum[r][v] = multiply_add(sign, whole, self.sum[r][v]);
            }
        }
    }
    store_block(&self, sums, row);
}

static void sum_nearest(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                        int64_t row, int64_t slice) {
    (void)slice;
    block self;
    load_block(&self, sums, row);
    doubles cut = doubles_of(signed_cutter(plan, 0));
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        if (a.lows[k] + b.lows[k] >= plan->low) {
            step_plain(&self, a.values + k * ROWS, line);
            continue;
        }
        UNROLL for (int r = 0; r < ROWS; r++) {
            doubles x = doubles_of(a.values[k * ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++)
                self.sum[r][v] += multiply_add(x, line[v], cut) - cut;
        }
    }
    store_block(&self, sums, row);
}

/* Truncates; where that loses something, the last place of the still shifted number is set. */
static void sum_odd(int64_t terms, panel a, panel b, const layout *plan, double *sums, int64_t row,
                    int64_t slice) {
    (void)slice;
    block self;
    load_block(&self, sums, row);
    doubles constant = doubles_of(cutter(plan, 0));
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        if (a.lows[k] + b.lows[k] >= plan->low) {
            step_plain(&self, a.values + k * ROWS, line);
            continue;
        }
        const double *split = a.splits + k * 2 * ROWS;
        UNROLL for (int r = 0; r < ROWS; r++) {
            doubles size = doubles_of(split[r]), sign = doubles_of(split[ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                doubles cut = with_sign(constant, line[v]);
                doubles shifted = multiply_add(size, line[v], cut);
                doubles rest = multiply_add(size, line[v], cut - shifted);
                longs lost = (longs)(rest != doubles_of(0)) & longs_of(1);
                doubles whole = (doubles)((longs)shifted | lost) - cut;
                self.sum[r][v] = multiply_add(sign, whole, self.sum[r][v]);
            }
        }
    }
    store_block(&self, sums, row);
}

/*
 * A random number r of R bits makes the float64 number (1 + r / 2^R) * 2^low: b's words hold its
 * exponent, and the exclusive or of both sides' words its fraction. It is added to the product's
 * magnitude before the cut, of which the 1 is taken back.
 */
static void sum_stochastic(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                           int64_t row, int64_t slice) {
    (void)slice;
    block self;
    load_block(&self, sums, row);
    doubles constant = doubles_of(cutter(plan, 0));
    doubles above = doubles_of(cutter(plan, 0) + plan->units[0]);
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        if (a.lows[k] + b.lows[k] >= plan->low) {
            step_plain(&self, a.values + k * ROWS, line);
            continue;
        }
        const double *split = a.splits + k * 2 * ROWS;
        UNROLL for (int v = 0; v < VECTORS; v++) {
            longs word;
            memcpy(&word, b.words + k * COLUMNS + v * DOUBLES, sizeof word);
            word |= (longs)line[v] & longs_of(SIGNS);
            doubles cut = with_sign(constant, line[v]), back = with_sign(above, line[v]);
            UNROLL for (int r = 0; r < ROWS; r++) {
                doubles random = (doubles)(word ^ longs_of((int64_t)a.words[k * ROWS + r]));
                doubles size = doubles_of(split[r]), sign = doubles_of(split[ROWS + r]);
                doubles whole = multiply_add(size, line[v], random) + cut - back;
                self.sum[r][v] = multiply_add(sign, whole, self.sum[r][v]);
            }
        }
    }
    store_block(&self, sums, row);
}
