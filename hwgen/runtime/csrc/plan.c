#include "plan.h"

#include <math.h>

enum {
    LEAST_UNIT = -1000, /* so that cutting constants and products' errors stay normal */
    MOST_UNIT = 900,
    SINGLE_BITS = 24,
    LEAST_SINGLE_TERMS = 32,
    LEAST_WATCH_TERMS = 2,
    MOST_WATCH_TERMS = 128,
};

/* Weight of the leading bit of the largest magnitude, plus one. */
static int top_of(const format *self) {
    bool is_unsigned = self->family == FORMAT_FIXED && !self->is_signed;
    unrounded beyond = {1, 1 << 14, !is_unsigned, false};
    format finite = *self;
    if (self->family == FORMAT_BLOCK) {
        int scale = self->scale == SCALE_E8M0 ? 128 : 9; /* of the largest, rounded up */
        return top_of(self->element) + scale;
    }
    finite.beyond = BEYOND_SATURATE;
    number largest = format_decode(self, format_round(&finite, beyond).bits);
    return largest.exponent + bit_length_64(largest.significand);
}

static bool fits_single(const format *self) {
    return self->precision <= SINGLE_BITS && self->min_exponent >= -149 && top_of(self) <= 128;
}

/*
 * Whether float64 holds products, and sums with two bits to spare. Products stay below 2^1000, lest
 * they meet as infinities of both signs; formats that keep to that have no bits below 2^-1022.
 */
static bool has_room(const format *a, const format *b, const format *sum) {
    return sum->exponent_bits <= 10 && sum->precision <= 51 && a->precision + b->precision <= 53 &&
           top_of(a) + top_of(b) <= 1000;
}

static route choose_sum(const hwgen_datapath *datapath, const kernel_set *kernels) {
    const format *a = &datapath->sides[HWGEN_A], *b = &datapath->sides[HWGEN_B];
    const format *sum = &datapath->sum.format;
    if (!fits_double(&datapath->sides[HWGEN_OUT]))
        return ROUTE_JUDGE;
    if (kernels->fused || !datapath->sum.fused) {
        if (sum->exponent_bits == 8 && sum->fraction_bits == 23 && fits_single(a) && fits_single(b))
            return ROUTE_SINGLE_SUM;
        if (sum->exponent_bits == 11 && sum->fraction_bits == 52 && fits_double(a) &&
            fits_double(b))
            return ROUTE_SUM;
    }
    return has_room(a, b, sum) ? ROUTE_ROUNDED_SUM : ROUTE_JUDGE;
}

/* Bits from the highest to the lowest that a number may have under a given scale. */
static int block_bits(const format *self) {
    int bits = top_of(self->element) - self->element->min_exponent;
    return self->scale == SCALE_E4M3 ? bits + 4 : bits;
}

static route choose_blocks(const format *a, const format *b, int64_t block) {
    int bits = block_bits(a) + block_bits(b) + bit_length_64((uint64_t)block);
    return bits <= 53 ? ROUTE_BLOCKS : ROUTE_JUDGE;
}

route choose_route(const job *self, const kernel_set *kernels, int64_t *single_terms) {
    const hwgen_datapath *datapath = self->datapath;
    const format *a = &datapath->sides[HWGEN_A], *b = &datapath->sides[HWGEN_B];
    if (datapath->is_float_sum)
        return choose_sum(datapath, kernels);
    if (!fits_double(a) || !fits_double(b))
        return ROUTE_JUDGE;
    if (datapath->window.block > 0)
        return choose_blocks(a, b, datapath->window.block);
    int low = a->min_exponent + b->min_exponent;
    int spare = SINGLE_BITS - (top_of(a) + top_of(b) - low);
    if (spare >= 0 && spare < 30 && datapath->window.lsb <= low && low >= -100) {
        *single_terms = (int64_t)1 << spare;
        if (*single_terms >= LEAST_SINGLE_TERMS)
            return ROUTE_SINGLE_WINDOW;
    }
    return ROUTE_WINDOW;
}

/* --- certificates ----------------------------------------------------------------------------- */

/* The largest of some lines' facts. */
typedef struct {
    double largest;
    double squares;
    int low;
    bool all; /* no line is left out */
} summary;

/* Lines with specials, or that reach below float64's normal numbers, are judged. */
static bool is_usable(const packed *side, int64_t line) {
    return side->facts.largest[line] < (double)INFINITY && side->facts.low[line] > -1074;
}

static summary summarise(const packed *side, int64_t first, int64_t count) {
    summary all = {.low = NO_LOW, .all = true};
    for (int64_t line = first; line < first + count; line++) {
        if (!is_usable(side, line)) {
            all.all = false;
            continue;
        }
        all.largest = fmax(all.largest, side->facts.largest[line]);
        all.squares = fmax(all.squares, side->facts.squares[line]);
        if (side->facts.low[line] < all.low)
            all.low = side->facts.low[line];
    }
    return all;
}

typedef struct {
    double product;  /* summands below it are in range */
    double sum;      /* sums below it stay in the register */
    double rounding; /* what rounding may add to a sum of magnitudes */
    double terms;
    double block;     /* terms of a summand */
    double summands;
} limits;

static limits limits_of(const product *self, bool drops) {
    const window *spec = &self->job->datapath->window;
    limits bounds = {
        .product = (double)INFINITY,
        .sum = (double)INFINITY,
        .terms = (double)self->job->k,
        .block = spec->block > 0 ? spec->block : 1,
    };
    bounds.summands = ceil(bounds.terms / bounds.block);
    if (!may_wrap(self->job)) {
        bounds.product = ldexp(1, spec->msb + 1);
        bounds.sum = ldexp(1, spec->msb + spec->ovf);
    }
    if (drops && spec->rounding != ROUND_ZERO)
        bounds.rounding = ldexp(bounds.summands, spec->lsb);
    return bounds;
}

/*
 * Bounds the sum of magnitudes over any terms: by their number, and by Cauchy and Schwarz. The
 * margins are far beyond the errors of these few operations and of the sums of squares.
 */
static double bound_sum(const limits *bounds, double largest_a, double largest_b, double squares_a,
                        double squares_b) {
    const double margin = 1 + 1e-6, tiny = 1e-280;
    double by_count = bounds->terms * largest_a * largest_b;
    double by_norms = sqrt(squares_a + tiny) * sqrt(squares_b + tiny);
    return (by_norms < by_count ? by_norms : by_count) * margin + bounds->rounding;
}

/* Bounds a summand's magnitude: a product, as float64 rounds it, or a block of them. */
static double bound_summand(const limits *bounds, double largest_a, double largest_b) {
    double product = largest_a * largest_b;
    return bounds->block > 1 ? product * bounds->block * (1 + 1e-6) : product;
}

/* Looks at each element by itself; returns the largest bound of those that pass. */
static double certify_each(const product *self, tile part, const limits *bounds, uint8_t *mask,
                           int64_t *passed) {
    const line_facts *a = &self->a.facts, *b = &self->b.facts;
    double largest = 0;
    *passed = 0;
    for (int64_t i = 0; i < part.rows; i++) {
        int64_t row = part.top + i;
        for (int64_t j = 0; j < part.cols; j++) {
            int64_t col = part.left + j;
            uint8_t *judged = &mask[i * part.cols + j];
            *judged = 1;
            if (!is_usable(&self->a, row) || !is_usable(&self->b, col))
                continue;
            double sum = bound_sum(bounds, a->largest[row], b->largest[col], a->squares[row],
                                   b->squares[col]);
            double summand = bound_summand(bounds, a->largest[row], b->largest[col]);
            if (!(summand < bounds->product) || !(sum < bounds->sum))
                continue;
            *judged = 0;
            ++*passed;
            largest = fmax(largest, sum);
        }
    }
    return largest;
}

/* --- layouts ---------------------------------------------------------------------------------- */

static sum_way way_of_blocks(rounding rule) {
    return rule == ROUND_ZERO   ? SUM_BLOCKS_TRUNCATED
           : rule == ROUND_EVEN ? SUM_BLOCKS_NEAREST
                                : SUM_BLOCKS_ODD;
}

static bool choose_way(layout *plan, rounding rule, bool drops, int least_bit, bool fused) {
    bool one = plan->slices == 1;
    /* Without a fused multiply-add, products must be exact, except where they fit or are cut. */
    bool exact = fused || !plan->long_products;
    if (!drops) {
        plan->way = one ? SUM_PLAIN : SUM_SLICED;
        return one || exact;
    }
    switch (rule) {
    case ROUND_ZERO:
        plan->way = one ? SUM_TRUNCATED : SUM_SLICED_TRUNCATED;
        return one || exact;
    case ROUND_EVEN:
        plan->way = one ? SUM_NEAREST : SUM_SLICED_NEAREST;
        return plan->slices <= 2 && exact;
    case ROUND_ODD:
        plan->way = SUM_ODD;
        /* What is lost must be seen, however small. */
        return one && exact && least_bit >= -1074;
    default:
        plan->way = SUM_STOCHASTIC;
        return one && exact;
    }
}

static bool choose_layout(const product *self, layout *plan, double sum, int least_bit) {
    const hwgen_datapath *datapath = self->job->datapath;
    const window *spec = &datapath->window;
    bool drops = least_bit < spec->lsb;
    plan->low = drops || least_bit >= NO_LOW ? spec->lsb : least_bit;
    plan->long_products =
        datapath->sides[HWGEN_A].precision + datapath->sides[HWGEN_B].precision > 53;
    plan->block = spec->block;
    plan->slices = 1;
    while (plan->slices <= MAX_SLICES &&
           sum > ldexp(1, plan->low + SUM_BITS + SLICE_BITS * (plan->slices - 1)))
        plan->slices++;
    int top = plan->low + SLICE_BITS * (plan->slices - 1);
    if (plan->slices > MAX_SLICES || plan->low < LEAST_UNIT || top > MOST_UNIT)
        return false;
    for (int i = 0; i < plan->slices; i++)
        plan->units[i] = ldexp(1, plan->low + SLICE_BITS * i);
    if (self->route == ROUTE_BLOCKS) {
        plan->way = way_of_blocks(spec->rounding);
        return true;
    }
    return choose_way(plan, spec->rounding, drops, least_bit, self->kernels->fused);
}

/*
 * Lets sums be watched instead of bounded: one that is far enough from the register's ends after
 * some terms meets no event in the next ones. Returns the bound of sums that pass, 0 if it cannot.
 */
static double watch(layout *plan, limits *bounds, double product) {
    double most = product < bounds->product ? product : bounds->product;
    most = (most + bounds->rounding / bounds->summands) * (1 + 1e-6);
    double summands = floor(bounds->sum / 2 / most), held = ceil(MOST_WATCH_TERMS / bounds->block);
    if (!(summands >= LEAST_WATCH_TERMS))
        return 0;
    if (summands > held)
        summands = held;
    plan->watch_terms = (int64_t)(summands * bounds->block);
    plan->watch_limit = (bounds->sum - summands * most) * (1 - 1e-6);
    double limit = bounds->sum;
    bounds->sum = (double)INFINITY; /* of single elements, which are watched now */
    return limit;
}

int64_t certify(const product *self, tile part, layout *plan, uint8_t *mask) {
    summary a = summarise(&self->a, part.top, part.rows);
    summary b = summarise(&self->b, part.left, part.cols);
    int least_bit = a.low >= NO_LOW || b.low >= NO_LOW ? NO_LOW : a.low + b.low;
    limits bounds = limits_of(self, least_bit < self->job->datapath->window.lsb);
    double product = bound_summand(&bounds, a.largest, b.largest);
    double sum = bound_sum(&bounds, a.largest, b.largest, a.squares, b.squares), watched = 0;
    int64_t passed = part.rows * part.cols;
    plan->watch_terms = 0;
    if (!(sum < bounds.sum))
        watched = watch(plan, &bounds, product);
    if (a.all && b.all && product < bounds.product && sum < bounds.sum)
        memset(mask, 0, (size_t)passed);
    else
        sum = certify_each(self, part, &bounds, mask, &passed);
    if (watched > 0)
        sum = watched;
    return choose_layout(self, plan, sum, least_bit) ? passed : 0;
}

/* Whether kernels can saturate: sums and summands of few bits, whose status nobody asks for. */
static bool can_clamp(const product *self) {
    const hwgen_datapath *datapath = self->job->datapath;
    const window *spec = &datapath->window;
    int bits = datapath->sides[HWGEN_A].precision + datapath->sides[HWGEN_B].precision;
    return spec->overflow == OVERFLOW_SATURATE && self->route == ROUTE_WINDOW && bits <= 53 &&
           (spec->rounding == ROUND_ZERO || spec->rounding == ROUND_EVEN) &&
           !wants_status(self->job) && spec->dot == 1 && spec->width < SUM_BITS &&
           spec->msb + 1 - spec->lsb < SUM_BITS && spec->lsb >= LEAST_UNIT &&
           spec->lsb <= MOST_UNIT;
}

int64_t plan_clamped(const product *self, tile part, layout *plan, uint8_t *mask) {
    const window *spec = &self->job->datapath->window;
    int64_t passed = 0;
    if (!can_clamp(self))
        return 0;
    double unit = ldexp(1, spec->lsb), limit = ldexp(1, spec->msb + 1);
    double end = ldexp(unit, spec->width - 1);
    *plan = (layout){
        .way = spec->rounding == ROUND_ZERO ? SUM_CLAMPED_TRUNCATED : SUM_CLAMPED_NEAREST,
        .slices = 1,
        .low = spec->lsb,
        .units = {unit},
        .clamps = {.limit = limit, .summand = limit - unit, .least = -end, .most = end - unit},
    };
    for (int64_t i = 0; i < part.rows; i++) {
        bool usable = is_usable(&self->a, part.top + i);
        for (int64_t j = 0; j < part.cols; j++) {
            bool known = usable && is_usable(&self->b, part.left + j);
            mask[i * part.cols + j] = known ? JUDGE_NOT : JUDGE_ALL;
            passed += known;
        }
    }
    return passed;
}

bool sums_are_exact(const product *self, tile part) {
    const format *sum = &self->job->datapath->sum.format;
    summary a = summarise(&self->a, part.top, part.rows);
    summary b = summarise(&self->b, part.left, part.cols);
    if (!a.all || !b.all)
        return false;
    if (a.low >= NO_LOW || b.low >= NO_LOW)
        return true;
    limits bounds = {.terms = (double)self->job->k};
    double total = bound_sum(&bounds, a.largest, b.largest, a.squares, b.squares);
    int low = a.low + b.low;
    return low >= sum->min_exponent && total <= ldexp(1, low + sum->precision) &&
           total <= number_to_double(format_decode(sum, sum->largest));
}
