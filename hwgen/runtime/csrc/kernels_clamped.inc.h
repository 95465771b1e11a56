/*
 * Sums that saturate at every step, of products that are exact in float64. Magnitudes are cut at
 * the register's unit by adding and subtracting a constant, as the rounding mode says.
 */
static void sum_clamped(int64_t terms, panel a, panel b, const layout *plan, double *sums,
                        int64_t row, int64_t slice) {
    (void)slice;
    block self;
    load_block(&self, sums, row);
    doubles cut = doubles_of(cutter(plan, 0));
    doubles limit = doubles_of(plan->clamps.limit), summand = doubles_of(plan->clamps.summand);
    doubles least = doubles_of(plan->clamps.least), most = doubles_of(plan->clamps.most);
    for (int64_t k = 0; k < terms; k++) {
        doubles line[VECTORS];
        load_line(line, b.values + k * COLUMNS);
        UNROLL for (int r = 0; r < ROWS; r++) {
            doubles x = doubles_of(a.values[k * ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                doubles product = x * line[v], size = absolute(product);
                size = choose((longs)(size < limit), size, summand);
                size = size + cut - cut;
                doubles sum = self.sum[r][v] + with_sign(size, product);
                sum = choose((longs)(sum < most), sum, most);
                self.sum[r][v] = choose((longs)(sum > least), sum, least);
            }
        }
    }
    store_block(&self, sums, row);
}
