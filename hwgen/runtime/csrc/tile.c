#include "tile.h"

#include <stdlib.h>

#include "environment.h"
#include "finish.h"
#include "pool.h"

/* Terms that the kernels take at once: panels of them lie in the first-level cache. */
enum { TERMS = 128 };
_Static_assert((int)TERMS <= (int)MAX_TERMS, "slices hold the sums of so many products");

/* Work arrays of a tile. */
typedef struct {
    double *sums;
    float *singles;
    double *lane; /* of floating-point sums with lanes: the sums of one */
    float *single_lane;
    double *splits; /* one panel of a */
    int16_t *lowest;
    uint8_t *mask;
    int64_t row; /* sums from row to row */
    int64_t slice;
    memory memory;
} workspace;

static void fail(product *self, int failure) {
    __atomic_store_n(&self->result, failure, __ATOMIC_RELAXED);
}

static size_t lay_out(workspace *self, const product *all, tile part, int slices,
                      void *start) {
    size_t used = 0;
    bool lanes = all->job->datapath->is_float_sum && all->job->datapath->sum.lanes > 1;
    int64_t rows = (part.rows + all->a.lines - 1) / all->a.lines * all->a.lines;
    self->row = (part.cols + all->b.lines - 1) / all->b.lines * all->b.lines;
    self->slice = rows * self->row;
    size_t count = (size_t)self->slice;
    self->sums = memory_part(start, &used, count * (size_t)slices * sizeof *self->sums);
    self->splits =
        memory_part(start, &used, 2 * TERMS * (size_t)all->a.lines * sizeof *self->splits);
    if (all->b.singles != NULL)
        self->singles = memory_part(start, &used, count * sizeof *self->singles);
    if (lanes && all->b.singles != NULL)
        self->single_lane = memory_part(start, &used, count * sizeof *self->singles);
    else if (lanes)
        self->lane = memory_part(start, &used, count * sizeof *self->sums);
    if (all->a.lows != NULL)
        self->lowest = memory_part(start, &used, count * sizeof *self->lowest);
    return used;
}

/* The mask is made before, by itself: it is there before the number of slices is known. */
static bool workspace_open(workspace *self, const product *all, tile part, int slices) {
    self->memory = memory_take(lay_out(self, all, part, slices, NULL));
    if (self->memory.start == NULL)
        return false;
    lay_out(self, all, part, slices, self->memory.start);
    memset(self->sums, 0, (size_t)(self->slice * slices) * sizeof *self->sums);
    return true;
}

static bool is_toward_zero(sum_way way) {
    return way == SUM_TRUNCATED || way == SUM_ODD || way == SUM_STOCHASTIC ||
           way == SUM_SLICED_TRUNCATED || way == SUM_BLOCKS_TRUNCATED || way == SUM_BLOCKS_ODD ||
           way == SUM_CLAMPED_TRUNCATED;
}

static bool takes_splits(sum_way way) {
    return way == SUM_TRUNCATED || way == SUM_ODD || way == SUM_STOCHASTIC ||
           way == SUM_SLICED_TRUNCATED;
}

/* Terms that a kernel takes at once: as many as fit, in whole blocks. */
static int64_t terms_at_once(const layout *plan) {
    if (plan->watch_terms > 0)
        return plan->watch_terms;
    if (plan->block == 0)
        return TERMS;
    return plan->block < TERMS ? TERMS / plan->block * plan->block : plan->block;
}

static panel panel_at(const packed *side, int64_t index, int64_t term) {
    int64_t place = (index * side->terms + term) * side->lines;
    return (panel){
        .values = side->values + place,
        .lows = side->term_lows + index * side->terms + term,
        .words = side->words == NULL ? NULL : side->words + place,
    };
}

/* Adds some terms to all sums of a tile. */
static void add_terms(const product *self, tile part, const layout *plan, sum_kernel *kernel,
                      int64_t first, int64_t terms, workspace *work) {
    int rows = self->a.lines, columns = self->b.lines;
    for (int64_t i = 0; i < part.rows; i += rows) {
        panel a = panel_at(&self->a, (part.top + i) / rows, first);
        if (takes_splits(plan->way)) {
            self->kernels->split(terms, rows, a.values, work->splits);
            a.splits = work->splits;
        }
        for (int64_t j = 0; j < part.cols; j += columns) {
            panel b = panel_at(&self->b, (part.left + j) / columns, first);
            kernel(terms, a, b, plan, work->sums + i * work->row + j, work->row, work->slice);
        }
    }
}

static void add_single_terms(const product *self, tile part, single_kernel *kernel, int64_t first,
                             int64_t terms, workspace *work) {
    int rows = self->a.lines, columns = self->b.lines;
    for (int64_t i = 0; i < part.rows; i += rows) {
        const float *a = self->a.singles + (part.top + i) * self->a.terms + first * rows;
        for (int64_t j = 0; j < part.cols; j += columns) {
            const float *b = self->b.singles + (part.left + j) * self->b.terms + first * columns;
            kernel(terms, a, b, work->singles + i * work->row + j, work->row);
        }
    }
}

/* The lowest bit of any product of each element. */
static void find_lowest(const product *self, tile part, workspace *work) {
    int rows = self->a.lines, columns = self->b.lines;
    int64_t terms = self->a.terms;
    for (int64_t i = 0; i < work->slice; i++)
        work->lowest[i] = 2 * NO_LOW - 1;
    for (int64_t i = 0; i < part.rows; i += rows) {
        const int16_t *a = self->a.lows + (part.top + i) * terms;
        for (int64_t j = 0; j < part.cols; j += columns) {
            const int16_t *b = self->b.lows + (part.left + j) * terms;
            self->kernels->lowest(terms, a, b, work->lowest + i * work->row + j, work->row);
        }
    }
}

/* Marks sums that may have left the register, or may do so within the next terms. */
static void watch(const layout *plan, tile part, const workspace *work) {
    for (int64_t i = 0; i < part.rows; i++) {
        for (int64_t j = 0; j < part.cols; j++) {
            double sum = 0;
            for (int s = 0; s < plan->slices; s++)
                sum += work->sums[s * work->slice + i * work->row + j];
            if (!(__builtin_fabs(sum) < plan->watch_limit))
                work->mask[i * part.cols + j] = JUDGE_ALL;
        }
    }
}

static void sum_window(const product *self, tile part, const layout *plan, workspace *work) {
    sum_kernel *kernel = self->kernels->sums[plan->way];
    int64_t most = terms_at_once(plan);
    if (is_toward_zero(plan->way))
        round_toward_zero();
    for (int64_t first = 0; first < self->a.terms; first += most) {
        int64_t terms = self->a.terms - first < most ? self->a.terms - first : most;
        add_terms(self, part, plan, kernel, first, terms, work);
        if (plan->slices > 1)
            self->kernels->carry(work->slice, plan, work->sums, work->slice);
        if (plan->watch_terms > 0)
            watch(plan, part, work);
    }
    round_to_nearest();
    /* Once more to nearest, so that what is left in a slice is at most half the next one's unit. */
    if (plan->slices > 1)
        self->kernels->carry(work->slice, plan, work->sums, work->slice);
}

/* Few bits a product: float32 holds the sums of so many terms, float64 the sums of those. */
static void sum_single_window(const product *self, tile part, const layout *plan,
                              workspace *work) {
    bool watched = plan->watch_terms > 0 && plan->watch_terms < self->single_terms;
    int64_t held = watched ? plan->watch_terms : self->single_terms;
    int64_t most = held < TERMS ? held : TERMS;
    for (int64_t start = 0; start < self->a.terms; start += held) {
        int64_t end = self->a.terms - start < held ? self->a.terms : start + held;
        memset(work->singles, 0, (size_t)work->slice * sizeof *work->singles);
        for (int64_t first = start; first < end; first += most) {
            int64_t terms = end - first < most ? end - first : most;
            add_single_terms(self, part, self->kernels->single_sums, first, terms, work);
        }
        for (int64_t i = 0; i < work->slice; i++)
            work->sums[i] += (double)work->singles[i];
        if (plan->watch_terms > 0)
            watch(plan, part, work);
    }
}

/* Whether so many elements must be judged that sums which saturate at every step are faster. */
static bool judges_many(tile part, const uint8_t *mask) {
    int64_t count = part.rows * part.cols, judged = 0;
    for (int64_t i = 0; i < count; i++)
        judged += mask[i] != JUDGE_NOT;
    return judged > count / 64;
}

static void sum_tile(const product *self, tile part, layout *plan, workspace *work) {
    if (self->route == ROUTE_SINGLE_WINDOW)
        sum_single_window(self, part, plan, work);
    else
        sum_window(self, part, plan, work);
    /* What was found on the way may be known only now. */
    if (plan->watch_terms > 0 && judges_many(part, work->mask) &&
        plan_clamped(self, part, plan, work->mask) > 0) {
        memset(work->sums, 0, (size_t)work->slice * sizeof *work->sums);
        sum_window(self, part, plan, work);
    }
}

static void finish_window(product *self, tile part, const layout *plan, workspace *work) {
    bool drops = plan->way != SUM_PLAIN && plan->way != SUM_SLICED && plan->block == 0;
    if (drops && work->lowest != NULL)
        find_lowest(self, part, work);
    finishing end = {
        .product = self,
        .part = part,
        .plan = plan,
        .sums = work->sums,
        .row = work->row,
        .slice = work->slice,
        .lost = plan->block > 0 ? work->sums + plan->slices * work->slice : NULL,
        .lowest = drops ? work->lowest : NULL,
        .mask = work->mask,
    };
    finish_tile(&end);
}

/* What the kernels cannot tell is judged, if it is the whole tile. */
static int run_window(product *self, tile part, workspace *work) {
    layout plan, clamped;
    int64_t count = part.rows * part.cols;
    int64_t passed = certify(self, part, &plan, work->mask);
    if (passed == 0 || judges_many(part, work->mask)) {
        /* As many elements are the same ones: all without specials. */
        int64_t known = plan_clamped(self, part, &clamped, work->mask);
        if (known > passed) {
            plan = clamped;
            passed = known;
        }
    }
    if (passed == 0)
        return judge_tile(self->job, part, NULL);
    if (!workspace_open(work, self, part, plan.slices + (self->route == ROUTE_BLOCKS)))
        return HWGEN_NO_MEMORY;
    bool watched = plan.watch_terms > 0;
    sum_tile(self, part, &plan, work);
    finish_window(self, part, &plan, work);
    return watched || passed < count ? judge_tile(self->job, part, work->mask) : HWGEN_OK;
}

/* --- floating-point sums ---------------------------------------------------------------------- */

static sum_kernel *kernel_of_sum(const product *self) {
    const kernel_set *kernels = self->kernels;
    bool fused = self->job->datapath->sum.fused;
    if (self->route == ROUTE_ROUNDED_SUM)
        return fused ? kernels->rounded_sums : kernels->rounded_product_sums;
    return fused ? kernels->sums[SUM_PLAIN] : kernels->product_sums;
}

/* The terms of one lane into work->sums or work->singles, which are 0. */
static void sum_lane(const product *self, tile part, int lane, workspace *work) {
    const float_sum *spec = &self->job->datapath->sum;
    const kernel_set *kernels = self->kernels;
    const layout plan = {.way = SUM_PLAIN, .slices = 1, .rounding = &self->sum_rounding};
    int64_t end = lane_start(self->a.terms, spec->lanes, lane + 1);
    for (int64_t first = lane_start(self->a.terms, spec->lanes, lane); first < end;
         first += TERMS) {
        int64_t terms = end - first < TERMS ? end - first : TERMS;
        if (self->route == ROUTE_SINGLE_SUM)
            add_single_terms(self, part,
                             spec->fused ? kernels->single_sums : kernels->single_product_sums,
                             first, terms, work);
        else
            add_terms(self, part, &plan, kernel_of_sum(self), first, terms, work);
    }
}

static void sum_double_lanes(const product *self, tile part, workspace *work) {
    double *total = work->sums;
    sum_lane(self, part, 0, work);
    for (int lane = 1; lane < self->job->datapath->sum.lanes; lane++) {
        work->sums = work->lane;
        memset(work->sums, 0, (size_t)work->slice * sizeof *work->sums);
        sum_lane(self, part, lane, work);
        if (self->route == ROUTE_ROUNDED_SUM)
            self->kernels->add_rounded(work->slice, &self->sum_rounding, work->sums, total);
        else
            for (int64_t i = 0; i < work->slice; i++)
                total[i] += work->sums[i];
    }
    work->sums = total;
}

static void sum_single_lanes(const product *self, tile part, workspace *work) {
    size_t bytes = (size_t)work->slice * sizeof *work->singles;
    float *total = work->singles;
    memset(total, 0, bytes);
    sum_lane(self, part, 0, work);
    for (int lane = 1; lane < self->job->datapath->sum.lanes; lane++) {
        work->singles = work->single_lane;
        memset(work->singles, 0, bytes);
        sum_lane(self, part, lane, work);
        for (int64_t i = 0; i < work->slice; i++)
            total[i] += work->singles[i];
    }
    for (int64_t i = 0; i < work->slice; i++)
        work->sums[i] = (double)total[i];
}

/*
 * Marks what the machine's sums do not tell: the status of those that are special in the end, and
 * whether a step of the others was inexact. A sum that overflows stays special.
 */
static bool mark_unknown(const product *self, tile part, workspace *work) {
    const job *job = self->job;
    bool exact = sums_are_exact(self, part), any = false;
    for (int64_t i = 0; i < part.rows; i++) {
        for (int64_t j = 0; j < part.cols; j++) {
            uint8_t *mark = &work->mask[i * part.cols + j];
            if (!__builtin_isfinite(work->sums[i * work->row + j]))
                *mark = JUDGE_ALL;
            else if (!exact && job_lacks_inexact(job, part.top + i, part.left + j))
                *mark = JUDGE_INEXACT;
            any |= *mark != JUDGE_NOT;
        }
    }
    return any;
}

static void run_sum(product *self, tile part, workspace *work) {
    int failure = HWGEN_OK;
    memset(work->mask, JUDGE_NOT, (size_t)(part.rows * part.cols));
    if (!workspace_open(work, self, part, 1)) {
        failure = HWGEN_NO_MEMORY;
    } else {
        if (self->route == ROUTE_SINGLE_SUM)
            sum_single_lanes(self, part, work);
        else
            sum_double_lanes(self, part, work);
        finishing end = {
            .product = self,
            .part = part,
            .sums = work->sums,
            .row = work->row,
            .slice = work->slice,
            .mask = work->mask,
        };
        finish_tile(&end);
        if (wants_status(self->job) && mark_unknown(self, part, work))
            failure = judge_tile(self->job, part, work->mask);
    }
    if (failure != HWGEN_OK)
        fail(self, failure);
}

static void run_tile(void *context, int64_t index) {
    product *self = context;
    tile part = {
        .top = index / self->tiles_across * self->tile_rows,
        .left = index % self->tiles_across * self->tile_columns,
    };
    int64_t rows = self->job->m - part.top, cols = self->job->n - part.left;
    part.rows = rows < self->tile_rows ? rows : self->tile_rows;
    part.cols = cols < self->tile_columns ? cols : self->tile_columns;
    int failure = HWGEN_OK;
    workspace work = {.mask = malloc((size_t)(part.rows * part.cols))};
    if (work.mask == NULL)
        fail(self, HWGEN_NO_MEMORY);
    else if (self->job->datapath->is_float_sum)
        run_sum(self, part, &work);
    else if ((failure = run_window(self, part, &work)) != HWGEN_OK)
        fail(self, failure);
    memory_give(work.memory);
    free(work.mask);
}

int run_tiles(product *self, int threads) {
    int64_t down = (self->job->m + self->tile_rows - 1) / self->tile_rows;
    self->tiles_across = (self->job->n + self->tile_columns - 1) / self->tile_columns;
    pool_run(run_tile, self, down * self->tiles_across, threads);
    return self->result;
}
