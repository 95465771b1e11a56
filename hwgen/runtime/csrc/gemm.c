/* The entry points: checks, operands, and the division of a product into tiles. */
#include "environment.h"
#include "pool.h"
#include "tile.h"

enum {
    FEW_PRODUCTS = 64, /* that are over sooner than operands are packed */
    TILE_ROWS = 96,    /* multiples of every panel's lines */
    MOST_TILE_COLUMNS = 256,
    LEAST_TILE_COLUMNS = 64,
    TILES_PER_THREAD = 3,
};

/* Numbers of an operand that are packed at once, more or less. */
static const int64_t MOST_PACKED = (int64_t)1 << 23;

/* The judge's tiles, which share nothing. */
typedef struct {
    const job *job;
    int64_t rows;
    int result; /* atomic */
} judging;

static void judge_rows(void *context, int64_t index) {
    judging *self = context;
    int64_t top = index * self->rows, left = self->job->m - top;
    tile part = {top, 0, left < self->rows ? left : self->rows, self->job->n};
    int result = judge_tile(self->job, part, NULL);
    if (result != HWGEN_OK)
        __atomic_store_n(&self->result, result, __ATOMIC_RELAXED);
}

static int judge_product(const job *self, int threads) {
    /* A few tiles for each thread even out; each decodes all of b. */
    int64_t rows = threads == 1 ? self->m : self->m / 64 + 1;
    judging work = {self, rows, HWGEN_OK};
    pool_run(judge_rows, &work, (self->m + rows - 1) / rows, threads);
    return work.result;
}

static pack_options options_of(const product *self, hwgen_side side) {
    const hwgen_datapath *datapath = self->job->datapath;
    bool single = self->route == ROUTE_SINGLE_SUM || self->route == ROUTE_SINGLE_WINDOW;
    bool is_window = !datapath->is_float_sum;
    bool random = is_window && datapath->window.rounding == ROUND_STOCHASTIC;
    int columns = single ? self->kernels->single_columns : self->kernels->columns;
    return (pack_options){
        .panel_lines = side == HWGEN_A ? self->kernels->rows : columns,
        .singles = single,
        .lows = is_window && wants_status(self->job) && self->route != ROUTE_BLOCKS,
        .lanes = is_window ? 1 : datapath->sum.lanes,
        .random = random ? &datapath->window : NULL,
        .side = side,
        .array_lanes = datapath->lanes[side],
    };
}

/* Tiles wide enough to reuse what is prepared for their rows, but enough of them to go round. */
static int64_t choose_columns(const job *self, int threads) {
    int64_t columns = MOST_TILE_COLUMNS, down = (self->m + TILE_ROWS - 1) / TILE_ROWS;
    if (threads == 0)
        threads = pool_cores();
    while (columns > LEAST_TILE_COLUMNS && threads > 1 &&
           down * ((self->n + columns - 1) / columns) < TILES_PER_THREAD * threads)
        columns /= 2;
    return columns;
}

/* Some rows and columns, with b packed already. */
static int run_rows(product *self, int threads) {
    int result =
        pack(&self->a, &self->job->a, self->kernels, options_of(self, HWGEN_A), threads);
    if (result == HWGEN_OK)
        result = run_tiles(self, threads);
    pack_free(&self->a);
    return result;
}

/* A block of the result as a product of its own. */
static job part_of(const job *self, tile part) {
    job result = *self;
    int64_t index = part.top * self->ldc + part.left;
    size_t bytes = self->to_values ? (size_t)scalar_bytes(self->scalar) : self->pattern_bytes;
    result.m = part.rows;
    result.n = part.cols;
    result.a = operand_lines(&self->a, part.top, part.rows);
    result.b = operand_lines(&self->b, part.left, part.cols);
    result.c = self->c + (size_t)index * bytes;
    if (self->status != NULL)
        result.status = self->status + index;
    return result;
}

/* As many whole tiles as may be packed at once. */
static int64_t block_lines(int64_t terms, int64_t tile_lines) {
    int64_t tiles = MOST_PACKED / ((terms + 1) * tile_lines);
    return (tiles < 1 ? 1 : tiles) * tile_lines;
}

static int64_t least_of(int64_t x, int64_t y) {
    return x < y ? x : y;
}

static int run_packed(const job *whole, product *self, int threads) {
    const hwgen_datapath *datapath = whole->datapath;
    const format *out = &datapath->sides[HWGEN_OUT];
    if (!datapath->raw && out->family == FORMAT_FLOAT)
        self->out_rounding = float_rounding_of(out);
    if (self->route == ROUTE_ROUNDED_SUM)
        self->sum_rounding = float_rounding_of(&datapath->sum.format);
    self->tile_rows = TILE_ROWS;
    self->tile_columns = choose_columns(whole, threads);
    int64_t rows = block_lines(whole->k, self->tile_rows);
    int64_t cols = block_lines(whole->k, self->tile_columns);
    int result = HWGEN_OK;
    for (int64_t left = 0; result == HWGEN_OK && left < whole->n; left += cols) {
        tile part = {0, left, 0, least_of(cols, whole->n - left)};
        job block = part_of(whole, part);
        self->job = &block;
        result = pack(&self->b, &block.b, self->kernels, options_of(self, HWGEN_B), threads);
        for (; result == HWGEN_OK && part.top < whole->m; part.top += rows) {
            part.rows = least_of(rows, whole->m - part.top);
            block = part_of(whole, part);
            result = run_rows(self, threads);
        }
        pack_free(&self->b);
    }
    return result;
}

static int run(job *self, const char *engine, int threads) {
    const kernel_set *kernels = kernel_set_named(engine);
    if (kernels == NULL)
        return HWGEN_UNSUPPORTED;
    if (self->m == 0 || self->n == 0)
        return HWGEN_OK;
    int64_t block = self->datapath->is_float_sum ? 0 : self->datapath->window.block;
    if (block > 0 && (operand_share_scales(&self->a, block) != HWGEN_OK ||
                      operand_share_scales(&self->b, block) != HWGEN_OK))
        return HWGEN_NO_MEMORY;
    product all = {.kernels = kernels};
    all.route = choose_route(self, kernels, &all.single_terms);
    /* Of few products each is judged by itself; so are sums of none. */
    double products = (double)self->m * (double)self->n * (double)self->k;
    if (all.route == ROUTE_JUDGE || products <= FEW_PRODUCTS)
        return judge_product(self, threads);
    return run_packed(self, &all, threads);
}

int hwgen_gemm_bits(const hwgen_datapath *datapath, int64_t m, int64_t n, int64_t k, const void *a,
                    const void *b, void *c, uint8_t *status, const char *engine, int threads) {
    job self = {
        .datapath = datapath,
        .m = m,
        .n = n,
        .k = k,
        .c = c,
        .ldc = n,
        .pattern_bytes = hwgen_pattern_bytes(datapath, HWGEN_OUT),
        .status = status,
    };
    operand_of_patterns(&self.a, &datapath->sides[HWGEN_A], a, m, k, k, 1);
    operand_of_patterns(&self.b, &datapath->sides[HWGEN_B], b, n, k, 1, n);
    int result = run(&self, engine, threads);
    operand_free(&self.a);
    operand_free(&self.b);
    return result;
}

int hwgen_gemm_values(const hwgen_datapath *datapath, hwgen_scalar scalar, int64_t m, int64_t n,
                      int64_t k, hwgen_matrix a, hwgen_matrix b, void *c, int64_t ldc,
                      uint8_t *status, const char *engine, int threads) {
    if (datapath->raw)
        return HWGEN_UNSUPPORTED;
    job self = {
        .datapath = datapath,
        .m = m,
        .n = n,
        .k = k,
        .to_values = true,
        .scalar = scalar,
        .c = c,
        .ldc = ldc,
        .pattern_bytes = hwgen_pattern_bytes(datapath, HWGEN_OUT),
        .total_status = status,
    };
    if (status != NULL)
        *status = 0;
    environment found = environment_enter();
    int result = operand_of_values(&self.a, &datapath->sides[HWGEN_A], scalar, a.data, m, k, a.row,
                                   a.column);
    if (result == HWGEN_OK)
        result = operand_of_values(&self.b, &datapath->sides[HWGEN_B], scalar, b.data, n, k,
                                   b.column, b.row);
    if (result == HWGEN_OK)
        result = run(&self, engine, threads);
    environment_leave(found);
    operand_free(&self.a);
    operand_free(&self.b);
    return result;
}
