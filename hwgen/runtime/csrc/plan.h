/* How a tile's sums are computed, and the proof from the operands' sizes that they are exact. */
#ifndef HWGEN_PLAN_H
#define HWGEN_PLAN_H

#include "pack.h"

/* Ways to compute a whole product. */
typedef enum {
    ROUTE_JUDGE,         /* element by element */
    ROUTE_WINDOW,        /* float64 slices */
    ROUTE_SINGLE_WINDOW, /* a float32 number a sum: few bits, nothing dropped */
    ROUTE_BLOCKS,        /* float64 slices, sums of scale blocks */
    ROUTE_SUM,           /* the machine's float64 sums */
    ROUTE_SINGLE_SUM,    /* the machine's float32 sums */
    ROUTE_ROUNDED_SUM,   /* float64 sums, rounded to a narrower format at every step */
} route;

typedef struct {
    const job *job;
    const kernel_set *kernels;
    route route;
    int64_t single_terms; /* ROUTE_SINGLE_WINDOW: products whose sum float32 holds */
    packed a;
    packed b;
    int64_t tile_rows; /* multiples of the panels' lines */
    int64_t tile_columns;
    int64_t tiles_across;
    float_rounding out_rounding; /* of an output format that is a float */
    float_rounding sum_rounding; /* of ROUTE_ROUNDED_SUM */
    int result;                  /* HWGEN_OK, or the first failure; atomic */
} product;

route choose_route(const job *self, const kernel_set *kernels, int64_t *single_terms);

/*
 * Proves for a tile's elements that no range event can occur, or can only where the layout's watch
 * finds it, and finds a layout that holds their sums. Elements that must be judged are marked in
 * the mask (rows x columns of the tile); the number of the others is returned. Where it is 0 there
 * may be no layout.
 */
int64_t certify(const product *self, tile part, layout *plan, uint8_t *mask);

/*
 * A layout for sums that saturate at every step, whatever the operands are. Marks elements with
 * specials; returns the number of the others, 0 where there is no such layout.
 */
int64_t plan_clamped(const product *self, tile part, layout *plan, uint8_t *mask);


/* Whether a tile's floating-point sums are exact at every step. */
bool sums_are_exact(const product *self, tile part);

/* Whether sums may leave the register: they are then reduced, and nobody asks for the event. */
static inline bool may_wrap(const job *self) {
    return self->datapath->window.overflow == OVERFLOW_WRAP && !wants_status(self);
}

#endif
