#include "register.h"

#include <string.h>

#include "pattern.h"

void register_clear(register_state *self, const window *spec) {
    self->count = (spec->width + SUM_SPARE + 63) / 64;
    memset(self->limbs, 0, (size_t)self->count * sizeof self->limbs[0]);
    self->event = self->dropped = self->nan = false;
    self->plus_infinity = self->minus_infinity = false;
}

/* Adds or subtracts a limb at a place, with its carries. */
static void add_limb(register_state *self, uint64_t limb, int place, bool negative) {
    for (; limb != 0 && place < self->count; place++) {
        uint64_t old = self->limbs[place];
        if (negative) {
            self->limbs[place] = old - limb;
            limb = old < limb;
        } else {
            self->limbs[place] = old + limb;
            limb = self->limbs[place] < limb;
        }
    }
}

void register_place(register_state *self, uint128 value, int position, bool negative) {
    int place = position >> 6, offset = position & 63;
    uint128 low = value << offset;
    add_limb(self, (uint64_t)low, place, negative);
    add_limb(self, (uint64_t)(low >> 64), place + 1, negative);
    if (offset != 0)
        add_limb(self, (uint64_t)(value >> (128 - offset)), place + 2, negative);
}

/* Where the limbs' value lies: 0 in the register's range, -1 below it, 1 above it. */
static int side_outside(const register_state *self, const window *spec) {
    int place = (spec->width - 1) >> 6, offset = (spec->width - 1) & 63;
    int128 above = (int64_t)self->limbs[self->count - 1];
    if (place < self->count - 1)
        above = (int128)((uint128)above << 64 | self->limbs[place]);
    above >>= offset;
    return above == 0 || above == -1 ? 0 : above < 0 ? -1 : 1;
}

void register_wrap(register_state *self, const window *spec) {
    int place = (spec->width - 1) >> 6, spare = 63 - ((spec->width - 1) & 63);
    int64_t kept = (int64_t)(self->limbs[place] << spare) >> spare;
    self->limbs[place] = (uint64_t)kept;
    for (int i = place + 1; i < self->count; i++)
        self->limbs[i] = (uint64_t)(kept >> 63);
}

/* The least register if `negative`, else the largest. */
static void set_extreme(register_state *self, const window *spec, bool negative) {
    int place = (spec->width - 1) >> 6, offset = (spec->width - 1) & 63;
    uint64_t fill = negative ? ~(uint64_t)0 : 0;
    for (int i = 0; i < self->count; i++)
        self->limbs[i] = i < place ? ~fill : fill;
    self->limbs[place] = negative ? fill << offset : ((uint64_t)1 << offset) - 1;
}

void register_settle(register_state *self, const window *spec) {
    int side = side_outside(self, spec);
    if (side == 0)
        return;
    self->event = true;
    if (spec->overflow == OVERFLOW_SATURATE)
        set_extreme(self, spec, side < 0);
    else
        register_wrap(self, spec);
}

static uint128 round_magnitude(register_state *self, const window *spec, uint128 product, int drop,
                               uint32_t random) {
    uint128 kept = shift_right_128(product, drop);
    if (!any_below(product, drop))
        return kept;
    self->dropped = true;
    switch (spec->rounding) {
    case ROUND_ZERO:
        return kept;
    case ROUND_EVEN: {
        bool guard = drop <= 128 && (product >> (drop - 1) & 1);
        return kept + (guard && (any_below(product, drop - 1) || (kept & 1)));
    }
    case ROUND_ODD:
        return kept | 1;
    default: {
        /* The R leading dropped bits; where fewer are dropped, zeros follow them. */
        int bits = spec->random_bits;
        uint128 leading = drop >= bits ? shift_right_128(product, drop - bits)
                                       : product << (bits - drop);
        leading &= ((uint128)1 << bits) - 1;
        return kept + (((uint64_t)leading + random) >> bits);
    }
    }
}

static void add_special(register_state *self, number a, number b) {
    if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER || is_zero(a) || is_zero(b))
        self->nan = true;
    else if (a.negative != b.negative)
        self->minus_infinity = true;
    else
        self->plus_infinity = true;
}

static void add_finite(register_state *self, const window *spec, uint128 magnitude, int exponent,
                       bool negative, uint32_t random) {
    if (magnitude == 0)
        return;
    int shift = exponent - spec->lsb;
    bool wild = bit_length_128(magnitude) + shift > spec->msb - spec->lsb + 1;
    if (shift < 0)
        magnitude = round_magnitude(self, spec, magnitude, -shift, random);
    self->event |= wild;
    if (wild && spec->overflow == OVERFLOW_SATURATE) {
        /* The largest summand, 2^(msb + 1) - 2^lsb. */
        register_place(self, 1, spec->msb - spec->lsb + 1, negative);
        register_place(self, 1, 0, !negative);
    } else {
        register_place(self, magnitude, shift < 0 ? 0 : shift, negative);
    }
}

void register_add(register_state *self, const window *spec, number a, number b, uint32_t random) {
    if (a.kind != FINITE || b.kind != FINITE)
        add_special(self, a, b);
    else
        add_finite(self, spec, (uint128)a.significand * b.significand, a.exponent + b.exponent,
                   a.negative != b.negative, random);
}

/* Exponents of a block's lowest bits: elements have few bits, so that their sum fits 128. */
static int lowest_exponent(int64_t count, const number *numbers) {
    int lowest = INT32_MAX;
    for (int64_t i = 0; i < count; i++)
        if (numbers[i].significand != 0 && numbers[i].exponent < lowest)
            lowest = numbers[i].exponent;
    return lowest;
}

void register_add_block(register_state *self, const window *spec, int64_t count, const number *a,
                        const number *b, number scale_a, number scale_b) {
    register_state specials = {0};
    int low_a = lowest_exponent(count, a), low_b = lowest_exponent(count, b);
    int128 sum = 0;
    for (int64_t i = 0; i < count; i++) {
        if (a[i].kind != FINITE || b[i].kind != FINITE) {
            add_special(&specials, a[i], b[i]);
        } else if (a[i].significand != 0 && b[i].significand != 0) {
            int128 size = (int128)(a[i].significand * b[i].significand)
                          << (a[i].exponent - low_a + b[i].exponent - low_b);
            sum += a[i].negative != b[i].negative ? -size : size;
        }
    }
    if (specials.nan || (specials.plus_infinity && specials.minus_infinity) ||
        scale_a.kind != FINITE || scale_b.kind != FINITE) {
        self->nan = true;
    } else if (specials.plus_infinity || specials.minus_infinity) {
        self->plus_infinity |= specials.plus_infinity;
        self->minus_infinity |= specials.minus_infinity;
    } else if (sum != 0) {
        bool negative = (sum < 0) != (scale_a.negative != scale_b.negative);
        uint128 size = (uint128)(sum < 0 ? -sum : sum) * scale_a.significand * scale_b.significand;
        add_finite(self, spec, size, low_a + low_b + scale_a.exponent + scale_b.exponent, negative,
                   0);
        register_settle(self, spec);
    }
}

/* Magnitude of the register as its 128 leading bits and a sticky bit. */
unrounded register_value(const register_state *self, int lsb) {
    uint64_t size[REGISTER_LIMBS];
    unrounded value = {.negative = (int64_t)self->limbs[self->count - 1] < 0};
    bool carry = value.negative;
    int top = -1;
    for (int i = 0; i < self->count; i++) {
        size[i] = value.negative ? ~self->limbs[i] + carry : self->limbs[i];
        carry = carry && size[i] == 0;
        if (size[i] != 0)
            top = i;
    }
    if (top < 0)
        return value;
    value.significand = size[top];
    value.exponent = lsb + 64 * top;
    if (top >= 1) {
        value.significand = value.significand << 64 | size[top - 1];
        value.exponent -= 64;
    }
    if (top >= 2) {
        int spare = 128 - bit_length_128(value.significand);
        value.exponent -= spare;
        uint64_t rest = size[top - 2];
        if (spare > 0) {
            value.significand = value.significand << spare | rest >> (64 - spare);
            rest <<= spare;
        }
        value.sticky = rest != 0;
        for (int i = 0; i < top - 2; i++)
            value.sticky |= size[i] != 0;
    }
    return value;
}

static void write_raw(const register_state *self, int width, void *pattern) {
    if (width <= 64) {
        uint64_t mask = width == 64 ? ~(uint64_t)0 : ((uint64_t)1 << width) - 1;
        pattern_store(pattern, format_bytes(width), self->limbs[0] & mask);
        return;
    }
    int words = (width + 63) / 64;
    uint64_t *out = pattern;
    memcpy(out, self->limbs, (size_t)words * sizeof *out);
    if (width % 64 != 0)
        out[words - 1] &= ((uint64_t)1 << width % 64) - 1;
}

static uint8_t finish_raw(const register_state *self, const hwgen_datapath *datapath, bool special,
                          uint8_t status, void *pattern) {
    if (special) {
        memset(pattern, 0, hwgen_pattern_bytes(datapath, HWGEN_OUT));
        return status | HWGEN_INVALID;
    }
    write_raw(self, datapath->window.width, pattern);
    return status;
}

uint8_t register_finish(const register_state *self, const hwgen_datapath *datapath, void *pattern) {
    const window *spec = &datapath->window;
    const format *out = &datapath->sides[HWGEN_OUT];
    uint8_t status = (uint8_t)(HWGEN_OVERFLOW * self->event | HWGEN_INEXACT * self->dropped);
    bool nan = self->nan || (self->plus_infinity && self->minus_infinity) ||
               (self->event && spec->overflow == OVERFLOW_NAN);
    bool infinite = !nan && (self->plus_infinity || self->minus_infinity);
    if (datapath->raw)
        return finish_raw(self, datapath, nan || infinite, status, pattern);
    encoding result;
    if (nan) {
        result = (encoding){.bits = format_nan(out)};
        status |= HWGEN_INVALID;
    } else if (infinite) {
        number value = {.kind = INFINITE, .negative = self->minus_infinity};
        result = format_encode(out, value);
    } else {
        result = format_round(out, register_value(self, spec->lsb));
    }
    if (result.overflow) {
        status |= HWGEN_OVERFLOW;
        if (format_decode(out, result.bits).kind == NOT_A_NUMBER)
            status |= HWGEN_INVALID;
    }
    if (result.inexact)
        status |= HWGEN_INEXACT;
    pattern_store(pattern, format_bytes(out->width), result.bits);
    return status;
}
