/*
 * Quantisation of block-scaled formats: OCP MX v1.0 section 6.3, and NVFP4 (hwgen.formats.block).
 */
#include "block.h"

#include <math.h>

#include "reader.h"

enum {
    POWER_BIAS = 127,
    SCALE_NUMBERS = 127, /* finite magnitudes of e4m3 */
    PIECE = 64,          /* elements that are rounded together */
};

/* The magnitude of a pattern of e4m3. */
static double scale_of(int bits) {
    int field = bits >> 3, fraction = bits & 7;
    return field == 0 ? ldexp(fraction, -9) : ldexp(8 + fraction, field - 10);
}

block_encoder block_encoder_of(const format *fmt) {
    block_encoder self = {.format = fmt, .element = *fmt->element};
    self.element.beyond = BEYOND_SATURATE;
    number largest = format_decode(&self.element, self.element.largest);
    self.top = largest.exponent + bit_length_64(largest.significand) - 1;
    if (self.element.family == FORMAT_FLOAT) {
        self.floats = float_rounding_of(&self.element);
    } else {
        self.fixed = fixed_rounding_of(&self.element);
        /* The least number stays unused, so that negation changes signs only. */
        self.fixed.least = -self.fixed.largest;
    }
    for (uint64_t i = 1; fmt->scale == SCALE_E4M3 && i <= self.element.largest; i++)
        self.ties[i] = (number_to_double(format_decode(&self.element, i - 1)) +
                        number_to_double(format_decode(&self.element, i))) /
                       2;
    return self;
}

static bool all_finite(const double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

static double peak_of(const double *values, int64_t count) {
    double peak = 0;
    for (int64_t i = 0; i < count; i++)
        peak = fmax(peak, fabs(values[i]));
    return peak;
}

/* Elements of values times a factor, which is a power of two. */
static void round_elements(const block_encoder *self, const double *values, int64_t count,
                           double factor, uint64_t *patterns) {
    const kernel_set *kernels = kernel_sets()[0];
    const format *element = &self->element;
    double scaled[PIECE];
    for (int64_t i = 0; i < count; i++)
        scaled[i] = values[i] * factor;
    if (element->family == FORMAT_FLOAT) {
        kernels->round(&self->floats, count, scaled, scaled);
        for (int64_t i = 0; i < count; i++)
            patterns[i] = float_bits(element, scaled[i]);
    } else {
        kernels->round_fixed(&self->fixed, count, scaled, scaled);
        uint64_t mask = ((uint64_t)1 << element->width) - 1;
        for (int64_t i = 0; i < count; i++)
            patterns[i] = (uint64_t)(int64_t)(scaled[i] * self->fixed.up) & mask;
    }
}

static void encode_by_power(const block_encoder *self, const double *values, int64_t count,
                            double peak, uint64_t *patterns) {
    int above;
    frexp(peak, &above);
    int shared = above - 1 - self->top;
    if (shared < -POWER_BIAS || peak == 0)
        shared = -POWER_BIAS;
    if (shared > POWER_BIAS)
        shared = POWER_BIAS;
    double factor = ldexp(1, -shared);
    uint64_t scale = (uint64_t)(shared + POWER_BIAS) << self->element.width;
    for (int64_t first = 0; first < count; first += PIECE) {
        int64_t length = count - first < PIECE ? count - first : PIECE;
        round_elements(self, values + first, length, factor, patterns + first);
        for (int64_t i = first; i < first + length; i++)
            patterns[i] |= scale;
    }
}

/*
 * The scale nearest to peak / largest, ties to the even pattern. Nothing is divided: ties are
 * compared as products, which are exact.
 */
static int nearest_scale(double peak, double largest) {
    int low = 0, high = SCALE_NUMBERS - 1; /* the answer lies in low..high */
    while (low < high) {
        int upper = (low + high + 1) / 2;
        double tie = (scale_of(upper - 1) + scale_of(upper)) / 2 * largest;
        if (peak > tie || (peak == tie && upper % 2 == 0))
            low = upper;
        else
            high = upper - 1;
    }
    return low;
}

static void encode_by_float(const block_encoder *self, const double *values, int64_t count,
                            double peak, uint64_t *patterns) {
    int magnitudes = (int)self->element.largest + 1;
    int scale = nearest_scale(peak, self->floats.largest);
    if (scale == 0)
        scale = 1;
    double ties[MOST_MAGNITUDES];
    for (int i = 1; i < magnitudes; i++)
        ties[i] = self->ties[i] * scale_of(scale);
    if (peak == 0)
        scale = 0;
    for (int64_t i = 0; i < count; i++) {
        double size = fabs(values[i]);
        uint64_t bits = 0;
        for (int upper = 1; upper < magnitudes; upper++)
            bits += (upper % 2 == 0) ? size >= ties[upper] : size > ties[upper];
        uint64_t sign = signbit(values[i]) ? (uint64_t)1 << (self->element.width - 1) : 0;
        patterns[i] = (uint64_t)scale << self->element.width | sign | bits;
    }
}

void block_encode(const block_encoder *self, const double *values, int64_t count,
                  uint64_t *patterns) {
    if (!all_finite(values, count)) {
        for (int64_t i = 0; i < count; i++)
            patterns[i] = format_nan(self->format);
        return;
    }
    double peak = peak_of(values, count);
    if (self->format->scale == SCALE_E8M0)
        encode_by_power(self, values, count, peak, patterns);
    else
        encode_by_float(self, values, count, peak, patterns);
}
