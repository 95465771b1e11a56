#include "finish.h"

#include <math.h>

#include "pattern.h"
#include "register.h"

enum { MAX_COLUMNS = 256 };

static uint8_t dropped_at(const finishing *self, int64_t i, int64_t j) {
    if (self->lost != NULL && self->lost[i * self->row + j] != 0)
        return HWGEN_INEXACT;
    if (self->lowest == NULL)
        return 0;
    bool dropped = self->lowest[i * self->row + j] < self->product->job->datapath->window.lsb;
    return dropped ? HWGEN_INEXACT : 0;
}

static bool left_out(const finishing *self, int64_t i, int64_t j) {
    return self->mask[i * self->part.cols + j] != 0;
}

/* Status of rounding a number, special or beyond the format, by the general way. */
static uint8_t status_of(const format *out, double value) {
    encoding result = format_encode(out, number_of_double(value));
    int status = HWGEN_OVERFLOW * result.overflow | HWGEN_INEXACT * result.inexact;
    if (isnan(value) || format_decode(out, result.bits).kind == NOT_A_NUMBER)
        status |= HWGEN_INVALID;
    return (uint8_t)status;
}

static void store_status(const finishing *self, int64_t i, int64_t j, uint8_t status) {
    const job *job = self->product->job;
    int64_t row = self->part.top + i, col = self->part.left + j;
    if (job->status != NULL)
        job->status[row * job->ldc + col] = 0;
    if (wants_status(job))
        job_add_status(job, row, col, status);
}

static void store_floats(const finishing *self, int64_t i, const double *rounded) {
    const job *job = self->product->job;
    const format *out = &job->datapath->sides[HWGEN_OUT];
    int64_t index = (self->part.top + i) * job->ldc + self->part.left, count = self->part.cols;
    if (!job->to_values) {
        char *to = job->c + (size_t)index * job->pattern_bytes;
        for (int64_t j = 0; j < count; j++)
            pattern_store(to + (size_t)j * job->pattern_bytes, (int)job->pattern_bytes,
                          float_bits(out, rounded[j]));
    } else if (job->scalar == HWGEN_FLOAT64) {
        memcpy((double *)job->c + index, rounded, (size_t)count * sizeof *rounded);
    } else {
        float *to = (float *)job->c + index;
        for (int64_t j = 0; j < count; j++)
            to[j] = (float)rounded[j];
    }
}

/* Results in a float format: a row at a time. */
static void finish_floats(const finishing *self) {
    const product *all = self->product;
    const job *job = all->job;
    const format *out = &job->datapath->sides[HWGEN_OUT];
    double joined[MAX_COLUMNS], rounded[MAX_COLUMNS];
    for (int64_t i = 0; i < self->part.rows; i++) {
        double *sums = self->sums + i * self->row;
        if (self->plan != NULL && self->plan->slices > 1) {
            all->kernels->join(self->row, self->plan->slices, sums, self->slice, joined);
            sums = joined;
        }
        all->kernels->round(&all->out_rounding, self->part.cols, sums, rounded);
        store_floats(self, i, rounded);
        if (!wants_status(job))
            continue;
        for (int64_t j = 0; j < self->part.cols; j++) {
            if (left_out(self, i, j))
                continue;
            uint8_t status = rounded[j] != sums[j] ? HWGEN_INEXACT : 0;
            if (!(fabs(sums[j]) <= all->out_rounding.largest))
                status = status_of(out, sums[j]);
            store_status(self, i, j, status | dropped_at(self, i, j));
        }
    }
}

/* The integer of a one-slice sum in units of the register, reduced to its width. */
static int64_t register_of(const finishing *self, double sum) {
    const window *spec = &self->product->job->datapath->window;
    int64_t value = (int64_t)(sum * ldexp(1, -spec->lsb));
    int spare = spec->width < 64 ? 64 - spec->width : 0;
    return (int64_t)((uint64_t)value << spare) >> spare;
}

/* Results that are the register as it stands, or saturated to fewer bits. */
static void finish_integers(const finishing *self) {
    const job *job = self->product->job;
    const hwgen_datapath *datapath = job->datapath;
    const format *out = &datapath->sides[HWGEN_OUT];
    int width = datapath->raw ? datapath->window.width : out->width;
    uint64_t mask = width == 64 ? ~(uint64_t)0 : ((uint64_t)1 << width) - 1;
    double down = ldexp(1, datapath->window.lsb);
    int64_t largest = datapath->raw ? INT64_MAX : (int64_t)out->largest;
    int64_t least = datapath->raw ? INT64_MIN : out->is_signed ? -largest - 1 : 0;
    for (int64_t i = 0; i < self->part.rows; i++) {
        int64_t index = (self->part.top + i) * job->ldc + self->part.left;
        for (int64_t j = 0; j < self->part.cols; j++, index++) {
            if (left_out(self, i, j))
                continue;
            int64_t value = register_of(self, self->sums[i * self->row + j]);
            uint8_t status = dropped_at(self, i, j);
            if (value > largest || value < least) {
                value = value > largest ? largest : least;
                status |= HWGEN_OVERFLOW | HWGEN_INEXACT;
            }
            if (job->to_values)
                scalar_store(job->scalar, job->c, index, (double)value * down);
            else
                pattern_store(job->c + (size_t)index * job->pattern_bytes, (int)job->pattern_bytes,
                              (uint64_t)value & mask);
            store_status(self, i, j, status);
        }
    }
}

/* Any other result: through the register. */
static void finish_registers(const finishing *self) {
    const job *job = self->product->job;
    const layout *plan = self->plan;
    const window *spec = &job->datapath->window;
    register_state state;
    uint64_t pattern[REGISTER_LIMBS];
    for (int64_t i = 0; i < self->part.rows; i++) {
        for (int64_t j = 0; j < self->part.cols; j++) {
            if (left_out(self, i, j))
                continue;
            register_clear(&state, spec);
            for (int s = 0; s < plan->slices; s++) {
                double units = self->sums[s * self->slice + i * self->row + j] / plan->units[s];
                int position = plan->low - spec->lsb + SLICE_BITS * s;
                register_place(&state, (uint128)fabs(units), position, units < 0);
            }
            if (may_wrap(job))
                register_wrap(&state, spec);
            state.dropped = dropped_at(self, i, j) != 0;
            uint8_t status = register_finish(&state, job->datapath, pattern);
            job_store(job, self->part.top + i, self->part.left + j, pattern, status);
        }
    }
}

/* Whether results in a float format can be rounded from float64: once, and for all that is lost. */
static bool floats_suffice(const finishing *self) {
    const format *out = &self->product->job->datapath->sides[HWGEN_OUT];
    if (self->plan == NULL)
        return true;
    /* Joined slices are rounded to odd in 52 bits, which must be two more than the format has. */
    return !may_wrap(self->product->job) && (self->plan->slices == 1 || out->precision <= 50);
}

static bool integers_suffice(const finishing *self) {
    const hwgen_datapath *datapath = self->product->job->datapath;
    if (self->plan == NULL || self->plan->slices > 1)
        return false;
    /* A sum that wraps may be far above the register. */
    if (self->plan->low + SUM_BITS - datapath->window.lsb > 62)
        return false;
    if (datapath->raw)
        return datapath->window.width <= 64;
    const format *out = &datapath->sides[HWGEN_OUT];
    return out->family == FORMAT_FIXED && out->min_exponent == datapath->window.lsb;
}

void finish_tile(const finishing *self) {
    const hwgen_datapath *datapath = self->product->job->datapath;
    if (!datapath->raw && datapath->sides[HWGEN_OUT].family == FORMAT_FLOAT && floats_suffice(self))
        finish_floats(self);
    else if (integers_suffice(self))
        finish_integers(self);
    else
        finish_registers(self);
}
