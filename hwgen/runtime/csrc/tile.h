/* Products by the kernels, tile by tile. */
#ifndef HWGEN_TILE_H
#define HWGEN_TILE_H

#include "plan.h"

/* Computes a whole product with operands packed; returns HWGEN_OK or what failed. */
int run_tiles(product *self, int threads);

#endif
