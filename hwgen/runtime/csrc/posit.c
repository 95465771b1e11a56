#include "posit.h"

number posit_decode(const format *self, uint64_t bits) {
    int width = self->width;
    uint64_t mask = ((uint64_t)1 << width) - 1, sign = (uint64_t)1 << (width - 1);
    number result = {.exponent = self->min_exponent};
    if (bits == 0)
        return result;
    result.negative = (bits & sign) != 0;
    if (bits == sign) {
        result.kind = NOT_A_NUMBER;
        return result;
    }
    uint64_t magnitude = result.negative ? (~bits + 1) & mask : bits;
    uint64_t string = magnitude << (65 - width); /* the regime begins at the top */
    bool ones = string >> 63;
    int run = __builtin_clzll((ones ? ~string : string) | 1);
    if (run > width - 1)
        run = width - 1;
    int regime = ones ? run - 1 : -run;
    int rest = width - 2 - run; /* bits after the regime and the bit that ends it */
    int fraction_bits = rest - self->exponent_bits;
    uint64_t tail = rest > 0 ? magnitude & (((uint64_t)1 << rest) - 1) : 0;
    int exponent;
    if (fraction_bits >= 0) {
        exponent = (int)(tail >> fraction_bits);
        tail &= ((uint64_t)1 << fraction_bits) - 1;
    } else { /* exponent bits cut off by the end count as zeros */
        int cut = -fraction_bits > self->exponent_bits ? self->exponent_bits : -fraction_bits;
        exponent = (int)(tail << cut);
        fraction_bits = 0;
        tail = 0;
    }
    result.significand = (uint64_t)1 << fraction_bits | tail;
    result.exponent = regime * (1 << self->exponent_bits) + exponent - fraction_bits;
    return result;
}

/* The endless bit string of a magnitude in range, cut at the width; ties to the even pattern. */
static uint64_t round_string(const format *self, int scale, uint64_t fraction, bool sticky,
                             bool *inexact) {
    int es = self->exponent_bits;
    int regime = scale >> es, exponent = scale - regime * (1 << es);
    int run = regime >= 0 ? regime + 2 : 1 - regime;
    uint128 string = regime >= 0 ? (((uint128)1 << (regime + 1)) - 1) << 1 : 1;
    string = (string << es | (uint128)exponent) << 64 | fraction;
    int drop = run + es + 64 - (self->width - 1);
    uint64_t kept = (uint64_t)(string >> drop);
    bool guard = string >> (drop - 1) & 1;
    bool rest = sticky || any_below(string, drop - 1);
    *inexact = guard || rest;
    return kept + (guard && (rest || (kept & 1)));
}

encoding posit_round(const format *self, unrounded value) {
    encoding result = {0};
    int length = bit_length_128(value.significand);
    if (length == 0)
        return result;
    int limit = -self->min_exponent;
    int scale = value.exponent + length - 1;
    uint64_t largest = ((uint64_t)1 << (self->width - 1)) - 1;
    /* The bits under the leading one, as a fraction of 64 bits and a sticky bit. */
    uint128 aligned = value.significand << (128 - length);
    uint64_t fraction = (uint64_t)(aligned >> 63);
    bool sticky = value.sticky || any_below(aligned, 63);
    uint64_t magnitude;
    if (scale > limit || (scale == limit && (fraction != 0 || sticky))) {
        magnitude = largest;
        result.overflow = result.inexact = true;
    } else if (scale < -limit) {
        magnitude = 1;
        result.inexact = true;
    } else {
        magnitude = round_string(self, scale, fraction, sticky, &result.inexact);
        magnitude = magnitude < 1 ? 1 : magnitude > largest ? largest : magnitude;
    }
    uint64_t mask = ((uint64_t)1 << self->width) - 1;
    result.bits = (value.negative ? ~magnitude + 1 : magnitude) & mask;
    return result;
}
