/* Floating-point sums, one step at a time: any operands, any IEEE-like format of the sum. */
#ifndef HWGEN_FLOATSUM_H
#define HWGEN_FLOATSUM_H

#include "datapath.h"

enum { MAX_LANES = 16 };

typedef struct {
    number lanes[MAX_LANES]; /* numbers of the sum's format */
    uint8_t status;          /* overflow and inexact of any step so far */
} sum_state;

void sum_clear(sum_state *self);
/* Adds a * b to a lane. */
void sum_add(sum_state *self, const float_sum *spec, int lane, number a, number b);
/* Adds the lanes in ascending order into the first. */
void sum_join(sum_state *self, const float_sum *spec);
/* Converts the first lane to the output format; returns the whole status. */
uint8_t sum_finish(const sum_state *self, const hwgen_datapath *datapath, void *pattern);

#endif
