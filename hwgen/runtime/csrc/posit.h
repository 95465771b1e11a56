/* Posits: a run of equal bits, exponent bits, fraction; negative patterns are complements. */
#ifndef HWGEN_POSIT_H
#define HWGEN_POSIT_H

#include "format.h"

number posit_decode(const format *self, uint64_t bits);
encoding posit_round(const format *self, unrounded value);

#endif
