#include "floatsum.h"

#include <string.h>

#include "pattern.h"

/* A number with a significand as long as a product's. */
typedef struct {
    uint128 significand;
    int32_t exponent;
    uint8_t kind;
    bool negative;
} term;

/* 256 bits. */
typedef struct {
    uint128 high;
    uint128 low;
} field;

/* Weight of the leading one in a field: it and a carry stay below the top. */
enum { FIELD_TOP = 254 };

void sum_clear(sum_state *self) {
    memset(self, 0, sizeof *self);
}

static term product_of(number a, number b) {
    term result = {.negative = a.negative != b.negative};
    if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER) {
        result.kind = NOT_A_NUMBER;
    } else if (a.kind == INFINITE || b.kind == INFINITE) {
        result.kind = is_zero(a) || is_zero(b) ? NOT_A_NUMBER : INFINITE;
    } else {
        result.significand = (uint128)a.significand * b.significand;
        result.exponent = a.exponent + b.exponent;
    }
    return result;
}

static term term_of(number value) {
    return (term){value.significand, value.exponent, value.kind, value.negative};
}

/* Rounds to the sum's format and notes what that raises. */
static number round_to_sum(sum_state *self, const format *fmt, unrounded exact) {
    encoding result = format_round(fmt, exact);
    self->status |= (uint8_t)(HWGEN_OVERFLOW * result.overflow | HWGEN_INEXACT * result.inexact);
    return format_decode(fmt, result.bits);
}

/*
 * Places a term whose leading bit weighs 2^(top - 1) at most into a field whose bit FIELD_TOP - 1
 * weighs that much. What falls below the field is kept as its lowest bit: the other term is then so
 * much larger that only the sign of this one matters.
 */
static field place(term value, int top) {
    if (value.significand == 0)
        return (field){0, 0};
    int shift = value.exponent - (top - FIELD_TOP);
    if (shift >= 128)
        return (field){value.significand << (shift - 128), 0};
    if (shift > 0)
        return (field){value.significand >> (128 - shift), value.significand << shift};
    bool lost = any_below(value.significand, -shift);
    return (field){0, shift_right_128(value.significand, -shift) | lost};
}

static int top_of(term value) {
    return value.exponent + bit_length_128(value.significand);
}

static unrounded unrounded_of(field sum, int base, bool negative) {
    if (sum.high == 0)
        return (unrounded){sum.low, base, negative, false};
    int spare = 128 - bit_length_128(sum.high);
    if (spare > 0) {
        sum.high = sum.high << spare | sum.low >> (128 - spare);
        sum.low <<= spare;
    }
    return (unrounded){sum.high, base + 128 - spare, negative, sum.low != 0};
}

static number add_finite(sum_state *self, const format *fmt, term x, term y) {
    if (x.significand == 0 || (y.significand != 0 && top_of(y) > top_of(x))) {
        term swap = x;
        x = y;
        y = swap;
    }
    if (x.significand == 0) /* two zeros */
        return (number){.negative = x.negative && y.negative};
    int top = top_of(x);
    field sum = place(x, top), other = place(y, top);
    if (x.negative == y.negative) {
        sum.low += other.low;
        sum.high += other.high + (sum.low < other.low);
    } else {
        bool borrow = sum.low < other.low;
        sum.low -= other.low;
        sum.high -= other.high + borrow;
    }
    bool negative = x.negative;
    if (sum.high >> 127) { /* equal tops, and y was the larger */
        sum.low = ~sum.low + 1;
        sum.high = ~sum.high + (sum.low == 0);
        negative = !negative;
    }
    if (sum.high == 0 && sum.low == 0)
        return (number){0};
    return round_to_sum(self, fmt, unrounded_of(sum, top - FIELD_TOP, negative));
}

static number add(sum_state *self, const format *fmt, term x, term y) {
    bool x_infinite = x.kind == INFINITE, y_infinite = y.kind == INFINITE;
    if (x.kind == NOT_A_NUMBER || y.kind == NOT_A_NUMBER ||
        (x_infinite && y_infinite && x.negative != y.negative))
        return (number){.kind = NOT_A_NUMBER};
    if (x_infinite || y_infinite)
        return (number){.kind = INFINITE, .negative = x_infinite ? x.negative : y.negative};
    return add_finite(self, fmt, x, y);
}

void sum_add(sum_state *self, const float_sum *spec, int lane, number a, number b) {
    term product = product_of(a, b);
    if (!spec->fused && product.kind == FINITE) {
        unrounded exact = {product.significand, product.exponent, product.negative, false};
        product = term_of(round_to_sum(self, &spec->format, exact));
    }
    self->lanes[lane] = add(self, &spec->format, term_of(self->lanes[lane]), product);
}

void sum_join(sum_state *self, const float_sum *spec) {
    for (int lane = 1; lane < spec->lanes; lane++)
        self->lanes[0] =
            add(self, &spec->format, term_of(self->lanes[0]), term_of(self->lanes[lane]));
}

uint8_t sum_finish(const sum_state *self, const hwgen_datapath *datapath, void *pattern) {
    const format *out = &datapath->sides[HWGEN_OUT];
    encoding result = format_encode(out, self->lanes[0]);
    uint8_t status = self->status;
    status |= (uint8_t)(HWGEN_OVERFLOW * result.overflow | HWGEN_INEXACT * result.inexact);
    if (self->lanes[0].kind == NOT_A_NUMBER || format_decode(out, result.bits).kind == NOT_A_NUMBER)
        status |= HWGEN_INVALID;
    pattern_store(pattern, format_bytes(out->width), result.bits);
    return status;
}
