/* Numbers taken apart: what every format decodes to, and what every format rounds from. */
#ifndef HWGEN_NUMBER_H
#define HWGEN_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

typedef unsigned __int128 uint128;
typedef __int128 int128;

typedef enum { FINITE, INFINITE, NOT_A_NUMBER } kind;

/* (-1)^negative * significand * 2^exponent if finite; zeros keep their sign. */
typedef struct {
    uint64_t significand; /* 0 for zeros and specials */
    int32_t exponent;
    uint8_t kind;
    bool negative;
} number;

/*
 * A finite value to be rounded: (-1)^negative * (significand + d) * 2^exponent with 0 < d < 1 if
 * sticky, else d = 0. Where sticky is set, bit 127 or 126 of the significand is 1.
 */
typedef struct {
    uint128 significand;
    int32_t exponent;
    bool negative;
    bool sticky;
} unrounded;

static inline int bit_length_64(uint64_t value) {
    return value == 0 ? 0 : 64 - __builtin_clzll(value);
}

static inline int bit_length_128(uint128 value) {
    uint64_t high = (uint64_t)(value >> 64);
    return high != 0 ? 64 + bit_length_64(high) : bit_length_64((uint64_t)value);
}

/* value >> distance for any distance of 0 or more. */
static inline uint128 shift_right_128(uint128 value, int distance) {
    return distance < 128 ? value >> distance : 0;
}

/* Whether any of the lowest `count` bits is set. */
static inline bool any_below(uint128 value, int count) {
    return count >= 128 ? value != 0 : (value & (((uint128)1 << count) - 1)) != 0;
}

static inline bool is_zero(number value) {
    return value.kind == FINITE && value.significand == 0;
}

/* A float64 taken apart without rounding. */
number number_of_double(double value);

#endif
