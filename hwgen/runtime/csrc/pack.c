#include "pack.h"

#include "dither.h"
#include "pool.h"

typedef struct {
    packed *to;
    const reader *from;
    pack_options options;
} packing;

/* Where term k stands among the terms sorted by lanes. */
static int64_t sorted_place(const packing *self, int64_t term) {
    int lanes = self->options.lanes;
    if (lanes == 1)
        return term;
    return lane_start(self->to->terms, lanes, (int)(term % lanes)) + term / lanes;
}

/* Lines are neighbours in memory: reads all lines of a term at once. */
static void pack_by_lines(const packing *self, int64_t first, int64_t count, double *values) {
    int lines = self->to->lines;
    for (int64_t k = 0; k < self->to->terms; k++) {
        double *to = values + sorted_place(self, k) * lines;
        read_lines(self->from, first, k, count, to);
        for (int64_t l = count; l < lines; l++)
            to[l] = 0;
    }
}

static void pack_by_terms(const packing *self, int64_t first, int64_t count, double *values) {
    int lines = self->to->lines;
    int64_t terms = self->to->terms;
    double run[RUN];
    for (int64_t start = 0; start < terms; start += RUN) {
        int64_t length = terms - start < RUN ? terms - start : RUN;
        for (int64_t l = 0; l < lines; l++) {
            if (l < count)
                read_terms(self->from, first + l, start, length, run);
            else
                memset(run, 0, sizeof run);
            for (int64_t k = 0; k < length; k++)
                values[sorted_place(self, start + k) * lines + l] = run[k];
        }
    }
}

/* Random words as fractions of float64 numbers; b's also hold the exponent of 2^lsb. */
static void make_words(const packing *self, int64_t first, int64_t count, uint64_t *words) {
    const window *spec = self->options.random;
    int64_t terms = self->to->terms;
    int lines = self->to->lines, up = 52 - spec->random_bits;
    uint64_t exponent =
        self->options.side == HWGEN_B ? (uint64_t)(spec->lsb + 1023) << 52 : 0;
    for (int64_t l = 0; l < count; l++) {
        int64_t lanes = self->options.array_lanes;
        dither source;
        int64_t line = self->from->source->first + first + l;
        dither_start(&source, spec, self->options.side, lanes > 0 ? line % lanes : line);
        for (int64_t k = 0; k < terms; k++)
            words[k * lines + l] = exponent | (uint64_t)dither_next(&source) << up;
    }
}

static void pack_panel(void *context, int64_t index) {
    const packing *self = context;
    packed *to = self->to;
    const operand *source = self->from->source;
    int64_t first = index * to->lines, size = to->terms * to->lines;
    int64_t count = source->lines - first < to->lines ? source->lines - first : to->lines;
    double *values = to->values + index * size;
    if (source->line_stride == 1 && count > 1)
        pack_by_lines(self, first, count, values);
    else
        pack_by_terms(self, first, count, values);
    line_facts facts = {
        to->facts.largest + first,
        to->facts.squares + first,
        to->facts.low + first,
    };
    self->from->kernels->measure(to->terms, to->lines, values, facts,
                                 to->term_lows + index * to->terms,
                                 to->lows == NULL ? NULL : to->lows + index * size);
    if (to->singles != NULL)
        for (int64_t i = 0; i < size; i++)
            to->singles[index * size + i] = (float)values[i];
    if (to->words != NULL)
        make_words(self, first, count, to->words + index * size);
}

/* Returns how many bytes it takes. */
static size_t lay_out(packed *self, pack_options options, void *start) {
    size_t lines = (size_t)(self->panels * self->lines), terms = (size_t)self->terms, used = 0;
    self->values = memory_part(start, &used, lines * terms * sizeof *self->values);
    self->term_lows =
        memory_part(start, &used, (size_t)self->panels * terms * sizeof *self->term_lows);
    self->facts.largest = memory_part(start, &used, lines * sizeof *self->facts.largest);
    self->facts.squares = memory_part(start, &used, lines * sizeof *self->facts.squares);
    self->facts.low = memory_part(start, &used, lines * sizeof *self->facts.low);
    if (options.singles)
        self->singles = memory_part(start, &used, lines * terms * sizeof *self->singles);
    if (options.lows)
        self->lows = memory_part(start, &used, lines * terms * sizeof *self->lows);
    if (options.random != NULL)
        self->words = memory_part(start, &used, lines * terms * sizeof *self->words);
    return used;
}

int pack(packed *self, const operand *source, const kernel_set *kernels, pack_options options,
         int threads) {
    *self = (packed){
        .lines = options.panel_lines,
        .panels = (source->lines + options.panel_lines - 1) / options.panel_lines,
        .terms = source->terms,
    };
    self->memory = memory_take(lay_out(self, options, NULL));
    if (self->memory.start == NULL)
        return HWGEN_NO_MEMORY;
    lay_out(self, options, self->memory.start);
    if (self->words != NULL)
        memset(self->words, 0, (size_t)(self->panels * self->lines * self->terms) * 8);
    reader from;
    int result = reader_open(&from, source, kernels);
    packing work = {self, &from, options};
    if (result == HWGEN_OK)
        pool_run(pack_panel, &work, self->panels, threads);
    reader_close(&from);
    return result;
}

void pack_free(packed *self) {
    memory_give(self->memory);
}
