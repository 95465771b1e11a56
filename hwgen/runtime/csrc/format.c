/* Floats, fixed point and the choice of the family; posits and blocks have files of their own. */
#include "format.h"

#include <math.h>
#include <string.h>

#include "posit.h"

int format_bytes(int width) {
    return width <= 8 ? 1 : width <= 16 ? 2 : width <= 32 ? 4 : 8;
}

static int bias(const format *self) {
    return (1 << (self->exponent_bits - 1)) - 1;
}

static uint64_t sign_bit(const format *self) {
    return (uint64_t)1 << (self->width - 1);
}

static uint64_t infinity_pattern(const format *self) {
    return sign_bit(self) - ((uint64_t)1 << self->fraction_bits);
}

static void complete_float(format *self) {
    self->width = 1 + self->exponent_bits + self->fraction_bits;
    self->precision = self->fraction_bits + 1;
    self->min_exponent = 1 - bias(self) - self->fraction_bits;
    if (self->specials == SPECIALS_IEEE)
        self->largest = infinity_pattern(self) - 1;
    else
        self->largest = sign_bit(self) - (self->specials == SPECIALS_NAN ? 2 : 1);
}

void format_complete(format *self) {
    switch (self->family) {
    case FORMAT_FLOAT:
        complete_float(self);
        break;
    case FORMAT_FIXED:
        self->precision = self->width;
        self->min_exponent = -self->fraction_bits;
        self->largest = ((uint64_t)1 << (self->is_signed ? self->width - 1 : self->width)) - 1;
        break;
    case FORMAT_POSIT: {
        int precision = self->width - 2 - self->exponent_bits;
        self->precision = precision < 1 ? 1 : precision;
        self->min_exponent = -((self->width - 2) * (1 << self->exponent_bits));
        break;
    }
    case FORMAT_BLOCK:
        self->width = self->element->width + 8;
        self->precision = self->element->precision + (self->scale == SCALE_E4M3 ? 4 : 0);
        self->min_exponent = self->element->min_exponent + (self->scale == SCALE_E4M3 ? -9 : -127);
        break;
    }
}

/* --- floats ----------------------------------------------------------------------------------- */

static number decode_float(const format *self, uint64_t bits) {
    uint64_t magnitude = bits & (sign_bit(self) - 1);
    number result = {.negative = bits != magnitude};
    if (magnitude > self->largest) {
        bool infinite = self->specials == SPECIALS_IEEE && magnitude == infinity_pattern(self);
        result.kind = infinite ? INFINITE : NOT_A_NUMBER;
        return result;
    }
    int field = (int)(magnitude >> self->fraction_bits);
    uint64_t hidden = (uint64_t)1 << self->fraction_bits;
    result.significand = (magnitude & (hidden - 1)) | (field == 0 ? 0 : hidden);
    result.exponent = self->min_exponent + (field == 0 ? 0 : field - 1);
    return result;
}

static uint64_t float_beyond(const format *self, bool negative) {
    if (self->beyond == BEYOND_NAN)
        return format_nan(self);
    uint64_t magnitude = self->beyond == BEYOND_INFINITY ? infinity_pattern(self) : self->largest;
    return magnitude | (negative ? sign_bit(self) : 0);
}

static encoding round_float(const format *self, unrounded value) {
    encoding result = {.bits = value.negative ? sign_bit(self) : 0};
    int length = bit_length_128(value.significand);
    if (length == 0)
        return result;
    /* The place of the last kept bit is that of the value's binade, or of the subnormals. */
    int last = value.exponent + length - self->precision;
    int field_less_one = last - self->min_exponent;
    if (field_less_one < 0) {
        field_less_one = 0;
        last = self->min_exponent;
    }
    int drop = last - value.exponent;
    uint128 kept;
    if (drop <= 0) {
        kept = value.significand << -drop; /* at most to the format's precision */
    } else {
        kept = shift_right_128(value.significand, drop);
        bool guard = drop <= 128 && (value.significand >> (drop - 1) & 1);
        bool rest = value.sticky || any_below(value.significand, drop - 1);
        result.inexact = guard || rest;
        kept += guard && (rest || (kept & 1));
    }
    /* Too large by far: the sum below would not fit 64 bits. */
    if (field_less_one > 1 << self->exponent_bits)
        field_less_one = 1 << self->exponent_bits;
    /* The hidden bit adds one to the exponent field, as does a carry out of rounding. */
    uint64_t magnitude = ((uint64_t)field_less_one << self->fraction_bits) + (uint64_t)kept;
    if (magnitude > self->largest)
        return (encoding){float_beyond(self, value.negative), true, true};
    result.bits |= magnitude;
    return result;
}

/* Such a number is a float64 with other exponents, its subnormals too after this scaling. */
uint64_t float_bits(const format *self, double value) {
    if (isnan(value))
        return format_nan(self);
    if (isinf(value))
        return format_infinity(self, value < 0);
    uint64_t bits, factor = (uint64_t)bias(self) << 52; /* 2^(bias - 1023) */
    double scale;
    memcpy(&scale, &factor, sizeof scale);
    double scaled = fabs(value) * scale;
    memcpy(&bits, &scaled, sizeof bits);
    return bits >> (52 - self->fraction_bits) | (signbit(value) ? sign_bit(self) : 0);
}

/* --- fixed point ------------------------------------------------------------------------------ */

static number decode_fixed(const format *self, uint64_t bits) {
    bool negative = self->is_signed && (bits & sign_bit(self));
    uint64_t mask = self->width == 64 ? ~(uint64_t)0 : ((uint64_t)1 << self->width) - 1;
    return (number){
        .significand = negative ? (~bits + 1) & mask : bits,
        .exponent = -self->fraction_bits,
        .negative = negative,
    };
}

static uint64_t fixed_limit(const format *self, bool negative) {
    if (!negative)
        return self->largest;
    return self->is_signed ? self->largest + 1 : 0;
}

static encoding round_fixed(const format *self, unrounded value) {
    encoding result = {0};
    uint64_t limit = fixed_limit(self, value.negative);
    int drop = -self->fraction_bits - value.exponent;
    uint128 kept = 0;
    int length = bit_length_128(value.significand);
    if (length == 0)
        return result;
    if (length - drop > 64) {
        result.overflow = true;
    } else if (drop <= 0) {
        kept = value.significand << -drop; /* sticky needs a significand too long for this */
    } else {
        kept = shift_right_128(value.significand, drop);
        bool guard = drop <= 128 && (value.significand >> (drop - 1) & 1);
        bool rest = value.sticky || any_below(value.significand, drop - 1);
        result.inexact = guard || rest;
        kept += guard && (rest || (kept & 1));
    }
    if (result.overflow || kept > limit) {
        result.overflow = result.inexact = true;
        kept = limit;
    }
    uint64_t mask = self->width == 64 ? ~(uint64_t)0 : ((uint64_t)1 << self->width) - 1;
    result.bits = (value.negative ? ~(uint64_t)kept + 1 : (uint64_t)kept) & mask;
    return result;
}

/* --- any format ------------------------------------------------------------------------------- */

void block_decode(const format *self, uint64_t bits, number *element, number *scale) {
    *element = format_decode(self->element, bits & (((uint64_t)1 << self->element->width) - 1));
    int pattern = (int)(bits >> self->element->width);
    if (self->scale == SCALE_E8M0) {
        *scale = (number){.significand = 1, .exponent = pattern - 127};
        if (pattern == 255)
            *scale = (number){.kind = NOT_A_NUMBER};
    } else {
        int field = pattern >> 3 & 15, fraction = pattern & 7;
        *scale = (number){
            .significand = (uint64_t)(field == 0 ? fraction : 8 + fraction),
            .exponent = (field == 0 ? 1 : field) - 10,
            .negative = pattern >> 7,
        };
        if ((pattern & 127) == 127)
            *scale = (number){.kind = NOT_A_NUMBER};
    }
}

static number decode_block(const format *self, uint64_t bits) {
    number element, scale;
    block_decode(self, bits, &element, &scale);
    element.significand *= scale.significand;
    element.exponent += scale.exponent;
    element.negative ^= scale.negative;
    if (scale.kind == NOT_A_NUMBER)
        element.kind = NOT_A_NUMBER;
    if (element.kind != FINITE)
        element.significand = 0;
    return element;
}

number format_decode(const format *self, uint64_t bits) {
    switch (self->family) {
    case FORMAT_FLOAT:
        return decode_float(self, bits);
    case FORMAT_FIXED:
        return decode_fixed(self, bits);
    case FORMAT_POSIT:
        return posit_decode(self, bits);
    default:
        return decode_block(self, bits);
    }
}

encoding format_round(const format *self, unrounded value) {
    switch (self->family) {
    case FORMAT_FLOAT:
        return round_float(self, value);
    case FORMAT_FIXED:
        return round_fixed(self, value);
    default:
        return posit_round(self, value);
    }
}

encoding format_encode(const format *self, number value) {
    if (value.kind == NOT_A_NUMBER)
        return (encoding){.bits = format_nan(self)};
    if (value.kind == INFINITE) {
        bool lost = !format_has_infinity(self);
        return (encoding){format_infinity(self, value.negative), lost, lost};
    }
    unrounded exact = {value.significand, value.exponent, value.negative, false};
    return format_round(self, exact);
}

bool format_has_nan(const format *self) {
    if (self->family == FORMAT_FLOAT)
        return self->specials != SPECIALS_NONE;
    return self->family != FORMAT_FIXED;
}

bool format_has_infinity(const format *self) {
    if (self->family == FORMAT_BLOCK)
        return format_has_infinity(self->element);
    return self->family == FORMAT_FLOAT && self->specials == SPECIALS_IEEE;
}

uint64_t format_nan(const format *self) {
    switch (self->family) {
    case FORMAT_FLOAT:
        if (self->specials == SPECIALS_IEEE)
            return infinity_pattern(self) | (uint64_t)1 << (self->fraction_bits - 1);
        return self->specials == SPECIALS_NAN ? sign_bit(self) - 1 : 0;
    case FORMAT_FIXED:
        return 0;
    case FORMAT_POSIT:
        return sign_bit(self);
    default:
        return (uint64_t)(self->scale == SCALE_E8M0 ? 0xFF : 0x7F) << self->element->width;
    }
}

uint64_t format_infinity(const format *self, bool negative) {
    switch (self->family) {
    case FORMAT_FLOAT:
        if (self->specials == SPECIALS_IEEE)
            return infinity_pattern(self) | (negative ? sign_bit(self) : 0);
        return float_beyond(self, negative);
    case FORMAT_FIXED: {
        uint64_t mask = self->width == 64 ? ~(uint64_t)0 : ((uint64_t)1 << self->width) - 1;
        uint64_t limit = fixed_limit(self, negative);
        return (negative ? ~limit + 1 : limit) & mask;
    }
    default:
        return format_nan(self);
    }
}

/* --- float64 ---------------------------------------------------------------------------------- */

number number_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int field = (int)(bits >> 52 & 0x7FF);
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    number result = {.negative = bits >> 63};
    if (field == 0x7FF) {
        result.kind = fraction != 0 ? NOT_A_NUMBER : INFINITE;
        return result;
    }
    result.significand = fraction | (field == 0 ? 0 : (uint64_t)1 << 52);
    result.exponent = (field == 0 ? 1 : field) - 1075;
    return result;
}

double number_to_double(number value) {
    if (value.kind == NOT_A_NUMBER)
        return (double)NAN;
    double magnitude = (double)INFINITY;
    if (value.kind == FINITE)
        magnitude = ldexp((double)value.significand, value.exponent);
    return value.negative ? -magnitude : magnitude;
}

float number_to_single(number value) {
    /* Only integers and fixed point are that long: far from the ends of float32's range. */
    if (bit_length_64(value.significand) <= 53)
        return (float)number_to_double(value);
    float magnitude = ldexpf((float)value.significand, value.exponent);
    return value.negative ? -magnitude : magnitude;
}
