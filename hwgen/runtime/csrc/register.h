/* The window's register, one product at a time: any operands, any width, every rule. */
#ifndef HWGEN_REGISTER_H
#define HWGEN_REGISTER_H

#include "datapath.h"

typedef struct {
    uint64_t limbs[REGISTER_LIMBS]; /* two's complement, sign-extended; lowest first */
    int count;                      /* limbs in use: W + SUM_SPARE bits or more */
    bool event;
    bool dropped;
    bool nan;
    bool plus_infinity;
    bool minus_infinity;
} register_state;

void register_clear(register_state *self, const window *spec);
/*
 * Adds a * b, as one of at most MAX_DOT summands before the sum is judged; `random` is the number
 * that stochastic rounding adds to the dropped bits.
 */
void register_add(register_state *self, const window *spec, number a, number b, uint32_t random);
/* Judges the sum of the register and a step's summands, and brings it back into the range. */
void register_settle(register_state *self, const window *spec);
/*
 * Adds, as a step of its own, the sum of a scale block's products of elements, times the scales of
 * its last term: one summand, exact before it is rounded.
 */
void register_add_block(register_state *self, const window *spec, int64_t count, const number *a,
                        const number *b, number scale_a, number scale_b);
/* Adds value * 2^position to the limbs, modulo their width. */
void register_place(register_state *self, uint128 value, int position, bool negative);
/* Reduces the limbs modulo 2^W, to the register's range. */
void register_wrap(register_state *self, const window *spec);
/* Writes the result's pattern as hwgen_gemm_bits gives it, and returns its status. */
uint8_t register_finish(const register_state *self, const hwgen_datapath *datapath, void *pattern);
/* The register as a value to be rounded. */
unrounded register_value(const register_state *self, int lsb);

#endif
