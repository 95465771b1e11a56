/* Sums in float32, as a float32 accumulator rounds them or where they are exact. */

INLINE void single_terms(int64_t terms, const float *a, const float *b, float *sums, int64_t row,
                         int fused) {
    floats sum[ROWS][VECTORS];
    FOR_PIECE(1) sum[r][v] = load_single(sums + r * row + v * FLOATS);
    for (int64_t k = 0; k < terms; k++) {
        floats line[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++)
            line[v] = load_single(b + k * SINGLE_COLUMNS + v * FLOATS);
        UNROLL for (int r = 0; r < ROWS; r++) {
            floats x = floats_of(a[k * ROWS + r]);
            UNROLL for (int v = 0; v < VECTORS; v++)
                sum[r][v] = fused ? multiply_add_single(x, line[v], sum[r][v])
                                  : x * line[v] + sum[r][v];
        }
    }
    FOR_PIECE(1) store_single(sums + r * row + v * FLOATS, sum[r][v]);
}

static void sum_single(int64_t terms, const float *a, const float *b, float *sums, int64_t row) {
    single_terms(terms, a, b, sums, row, 1);
}

static void sum_single_products(int64_t terms, const float *a, const float *b, float *sums,
                                int64_t row) {
    single_terms(terms, a, b, sums, row, 0);
}
