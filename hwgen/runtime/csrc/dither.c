#include "dither.h"

enum { TAPS = 3 };

static const uint32_t FEEDBACK = 0x80200003u; /* x^32 + x^22 + x^2 + x + 1, in Galois form */

/* SplitMix64's mixing of integers. */
static uint64_t mix(uint64_t value) {
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

static uint32_t initial_state(uint32_t seed, hwgen_side side) {
    uint32_t state = (uint32_t)(mix((uint64_t)seed << 1 | (uint64_t)side) >> 32);
    return state != 0 ? state : 1;
}

/* Reduces a mask by masks that have leading bits of their own, in descending order. */
static uint32_t reduce(uint32_t mask, const uint32_t *basis, int count) {
    for (int i = 0; i < count; i++)
        if ((mask ^ basis[i]) < mask)
            mask ^= basis[i];
    return mask;
}

static void insert_descending(uint32_t *basis, int count, uint32_t mask) {
    for (; count > 0 && basis[count - 1] < mask; count--)
        basis[count] = basis[count - 1];
    basis[count] = mask;
}

/* Linearly independent masks of three bits each, one for each bit of a lane's word. */
static void lane_masks(hwgen_side side, int64_t lane, int bits, uint32_t *masks) {
    uint32_t basis[MAX_RANDOM_BITS];
    uint64_t start = mix((uint64_t)lane << 1 | (uint64_t)side);
    for (int found = 0; found < bits; start++) {
        uint64_t word = mix(start);
        uint32_t mask = 0;
        for (int tap = 0; tap < TAPS; tap++)
            mask |= (uint32_t)1 << (word >> 5 * tap & 31);
        uint32_t rest = reduce(mask, basis, found);
        if (__builtin_popcount(mask) != TAPS || rest == 0)
            continue;
        insert_descending(basis, found, rest);
        masks[found++] = mask;
    }
}

void dither_start(dither *self, const window *spec, hwgen_side side, int64_t lane) {
    self->bits = spec->random_bits;
    lane_masks(side, lane, self->bits, self->masks);
    self->state = initial_state(spec->seed, side);
}

uint32_t dither_next(dither *self) {
    uint32_t state = self->state, word = 0;
    for (int bit = 0; bit < self->bits; bit++)
        word |= (uint32_t)(__builtin_popcount(state & self->masks[bit]) & 1) << bit;
    self->state = state >> 1 ^ (state & 1 ? FEEDBACK : 0);
    return word;
}
