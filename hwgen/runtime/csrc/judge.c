/* The general way: any datapath, element by element, product by product. */
#include <stdlib.h>

#include "dither.h"
#include "floatsum.h"
#include "job.h"
#include "pattern.h"
#include "register.h"

/* Decoded operands and random words of a tile's rows and columns. */
typedef struct {
    number *a; /* one row */
    number *b; /* all columns of the tile */
    number *a_scales; /* the same of sums of scale blocks, whose a and b are elements */
    number *b_scales;
    uint32_t *row_words;
    uint32_t *column_words;
} workspace;

enum { STRIP = 32 }; /* columns that are decoded together */

void job_add_status(const job *self, int64_t row, int64_t col, uint8_t status) {
    if (self->status != NULL)
        self->status[row * self->ldc + col] |= status;
    if (self->total_status != NULL)
        __atomic_fetch_or(self->total_status, status, __ATOMIC_RELAXED);
}

void job_store(const job *self, int64_t row, int64_t col, const void *pattern, uint8_t status) {
    int64_t index = row * self->ldc + col;
    if (self->status != NULL)
        self->status[index] = 0;
    job_add_status(self, row, col, status);
    if (!self->to_values) {
        memcpy(self->c + (size_t)index * self->pattern_bytes, pattern, self->pattern_bytes);
        return;
    }
    number value = {.kind = NOT_A_NUMBER};
    if (!(status & HWGEN_INVALID)) {
        const format *out = &self->datapath->sides[HWGEN_OUT];
        value = format_decode(out, pattern_load(pattern, format_bytes(out->width)));
    }
    scalar_store_number(self->scalar, self->c, index, value);
}

static void window_dot(const job *self, const number *a, const number *b, const uint32_t *row_words,
                       const uint32_t *column_words, register_state *state) {
    const window *spec = &self->datapath->window;
    int summands = 0;
    register_clear(state, spec);
    for (int64_t k = 0; k < self->k; k++) {
        uint32_t random = row_words == NULL ? 0 : row_words[k] ^ column_words[k];
        register_add(state, spec, a[k], b[k], random);
        if (++summands == spec->dot || k == self->k - 1) {
            register_settle(state, spec);
            summands = 0;
        }
    }
}

static void block_dot(const job *self, const workspace *work, int64_t place,
                      register_state *state) {
    const window *spec = &self->datapath->window;
    register_clear(state, spec);
    const number *b = work->b + place * self->k, *b_scales = work->b_scales + place * self->k;
    for (int64_t first = 0; first < self->k; first += spec->block) {
        int64_t count = self->k - first < spec->block ? self->k - first : spec->block;
        int64_t last = first + count - 1;
        register_add_block(state, spec, count, work->a + first, b + first, work->a_scales[last],
                           b_scales[last]);
    }
}

/* Stops where the status has all of `enough`, if that is not 0. */
static void sum_dot(const job *self, const number *a, const number *b, uint8_t enough,
                    sum_state *state) {
    const float_sum *spec = &self->datapath->sum;
    sum_clear(state);
    int lane = 0;
    for (int64_t k = 0; k < self->k; k++) {
        if (enough != 0 && (state->status & enough) == enough)
            return;
        sum_add(state, spec, lane, a[k], b[k]);
        lane = lane + 1 < spec->lanes ? lane + 1 : 0;
    }
    sum_join(state, spec);
}

static void judge_element(const job *self, const workspace *work, int64_t row, int64_t col,
                          int64_t place, uint8_t what) {
    uint64_t pattern[REGISTER_LIMBS];
    uint8_t status;
    const number *b = work->b + place * self->k;
    if (what == JUDGE_INEXACT) {
        sum_state state;
        sum_dot(self, work->a, b, HWGEN_INEXACT, &state);
        job_add_status(self, row, col, state.status);
        return;
    }
    if (self->datapath->is_float_sum) {
        sum_state state;
        sum_dot(self, work->a, b, 0, &state);
        status = sum_finish(&state, self->datapath, pattern);
    } else {
        register_state state;
        const uint32_t *words =
            work->column_words == NULL ? NULL : work->column_words + place * self->k;
        if (self->datapath->window.block > 0)
            block_dot(self, work, place, &state);
        else
            window_dot(self, work->a, b, work->row_words, words, &state);
        status = register_finish(&state, self->datapath, pattern);
    }
    job_store(self, row, col, pattern, status);
}

static void draw_words(const job *self, hwgen_side side, int64_t line, uint32_t *words) {
    int64_t lanes = self->datapath->lanes[side];
    line += side == HWGEN_A ? self->a.first : self->b.first;
    dither source;
    dither_start(&source, &self->datapath->window, side, lanes > 0 ? line % lanes : line);
    for (int64_t k = 0; k < self->k; k++)
        words[k] = dither_next(&source);
}

static bool any(const uint8_t *mask, int64_t count, int64_t stride) {
    for (int64_t i = 0; i < count; i++)
        if (mask[i * stride])
            return true;
    return false;
}

static void judge_strip(const job *self, tile part, const uint8_t *mask, int64_t mask_stride,
                        workspace *work) {
    bool random = work->row_words != NULL;
    for (int64_t j = 0; j < part.cols; j++) {
        if (mask != NULL && !any(mask + j, part.rows, mask_stride))
            continue;
        if (work->b_scales != NULL)
            operand_parts(&self->b, part.left + j, self->k, work->b + j * self->k,
                          work->b_scales + j * self->k);
        else
            operand_numbers(&self->b, part.left + j, 0, self->k, work->b + j * self->k);
        if (random)
            draw_words(self, HWGEN_B, part.left + j, work->column_words + j * self->k);
    }
    for (int64_t i = 0; i < part.rows; i++) {
        const uint8_t *line = mask == NULL ? NULL : mask + i * mask_stride;
        if (line != NULL && !any(line, part.cols, 1))
            continue;
        if (work->a_scales != NULL)
            operand_parts(&self->a, part.top + i, self->k, work->a, work->a_scales);
        else
            operand_numbers(&self->a, part.top + i, 0, self->k, work->a);
        if (random)
            draw_words(self, HWGEN_A, part.top + i, work->row_words);
        for (int64_t j = 0; j < part.cols; j++)
            if (line == NULL || line[j])
                judge_element(self, work, part.top + i, part.left + j, j,
                              line == NULL ? JUDGE_ALL : line[j]);
    }
}

/* Memory for `count` items of a kind that is wanted, never an empty allocation; 0 if not wanted. */
static void *room_for(bool wanted, size_t count, size_t bytes, bool *enough) {
    if (!wanted)
        return NULL;
    void *room = malloc((count + 1) * bytes);
    *enough = *enough && room != NULL;
    return room;
}

int judge_tile(const job *self, tile part, const uint8_t *mask) {
    bool is_window = !self->datapath->is_float_sum;
    bool random = is_window && self->datapath->window.rounding == ROUND_STOCHASTIC;
    bool blocks = is_window && self->datapath->window.block > 0;
    int64_t strip = part.cols < STRIP ? part.cols : STRIP;
    size_t terms = (size_t)self->k, all = terms * (size_t)strip;
    bool enough = true;
    workspace work = {
        .a = room_for(true, terms, sizeof *work.a, &enough),
        .b = room_for(true, all, sizeof *work.b, &enough),
        .a_scales = room_for(blocks, terms, sizeof *work.a, &enough),
        .b_scales = room_for(blocks, all, sizeof *work.b, &enough),
        .row_words = room_for(random, terms, sizeof *work.row_words, &enough),
        .column_words = room_for(random, all, sizeof *work.row_words, &enough),
    };
    for (int64_t first = 0; enough && first < part.cols; first += strip) {
        tile piece = part;
        piece.left += first;
        piece.cols = part.cols - first < strip ? part.cols - first : strip;
        judge_strip(self, piece, mask == NULL ? NULL : mask + first, part.cols, &work);
    }
    free(work.a);
    free(work.b);
    free(work.a_scales);
    free(work.b_scales);
    free(work.row_words);
    free(work.column_words);
    return enough ? HWGEN_OK : HWGEN_NO_MEMORY;
}
