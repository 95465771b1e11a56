/*
 * Quantisation of block-scaled formats: OCP MX v1.0 section 6.3, and NVFP4 (hwgen.formats.block).
 */
#include <math.h>

#include "format.h"

enum { POWER_BIAS = 127, SCALE_NUMBERS = 127 }; /* e4m3 has 127 finite magnitudes */

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

/* Exponent of the leading one of the element's largest positive number. */
static int element_top(const format *element) {
    number largest = format_decode(element, element->largest);
    return largest.exponent + bit_length_64(largest.significand) - 1;
}

static void encode_by_power(const format *self, const double *values, int64_t count, double peak,
                            uint64_t *patterns) {
    format element = *self->element;
    element.beyond = BEYOND_SATURATE;
    int above;
    frexp(peak, &above);
    int shared = above - 1 - element_top(&element);
    if (shared < -POWER_BIAS || peak == 0)
        shared = -POWER_BIAS;
    if (shared > POWER_BIAS)
        shared = POWER_BIAS;
    uint64_t least = (uint64_t)1 << (element.width - 1);
    for (int64_t i = 0; i < count; i++) {
        number value = number_of_double(values[i]);
        unrounded scaled = {value.significand, value.exponent - shared, value.negative, false};
        uint64_t bits = format_round(&element, scaled).bits;
        /* mxint8 leaves its least element unused, so that negation changes signs only. */
        if (element.family == FORMAT_FIXED && bits == least)
            bits++;
        patterns[i] = (uint64_t)(shared + POWER_BIAS) << element.width | bits;
    }
}

/* The magnitude of pattern `bits` of a small float with the given fields. */
static double magnitude_of(int bits, int fraction_bits, int min_exponent) {
    int field = bits >> fraction_bits, fraction = bits & ((1 << fraction_bits) - 1);
    if (field == 0)
        return ldexp(fraction, min_exponent);
    return ldexp(fraction + (1 << fraction_bits), min_exponent + field - 1);
}

/*
 * The pattern of the one of `count` magnitudes, times `factor`, that is nearest to a value, ties to
 * the even pattern. Nothing is divided: ties are compared as products, which are exact.
 */
static int nearest(double value, int count, int fraction_bits, int min_exponent, double factor) {
    int low = 0, high = count - 1; /* the answer lies in low..high */
    while (low < high) {
        int upper = (low + high + 1) / 2;
        double tie = (magnitude_of(upper - 1, fraction_bits, min_exponent) +
                      magnitude_of(upper, fraction_bits, min_exponent)) /
                     2 * factor;
        if (value > tie || (value == tie && upper % 2 == 0))
            low = upper;
        else
            high = upper - 1;
    }
    return low;
}

static void encode_by_float(const format *self, const double *values, int64_t count, double peak,
                            uint64_t *patterns) {
    const format *element = self->element;
    double largest = number_to_double(format_decode(element, element->largest));
    int scale = nearest(peak, SCALE_NUMBERS, 3, -9, largest);
    if (scale == 0)
        scale = 1;
    double factor = magnitude_of(scale, 3, -9);
    if (peak == 0)
        scale = 0;
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = (uint64_t)nearest(fabs(values[i]), (int)element->largest + 1,
                                          element->fraction_bits, element->min_exponent, factor);
        uint64_t sign = signbit(values[i]) ? (uint64_t)1 << (element->width - 1) : 0;
        patterns[i] = (uint64_t)scale << element->width | sign | bits;
    }
}

void block_encode(const format *self, const double *values, int64_t count, uint64_t *patterns) {
    if (!all_finite(values, count)) {
        for (int64_t i = 0; i < count; i++)
            patterns[i] = format_nan(self);
        return;
    }
    double peak = peak_of(values, count);
    if (self->scale == SCALE_E8M0)
        encode_by_power(self, values, count, peak, patterns);
    else
        encode_by_float(self, values, count, peak, patterns);
}
