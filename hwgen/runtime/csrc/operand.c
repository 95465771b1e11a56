#include "operand.h"

#include <stdlib.h>

#include "block.h"
#include "pattern.h"

void operand_of_patterns(operand *self, const format *fmt, const void *patterns, int64_t lines,
                         int64_t terms, int64_t line_stride, int64_t term_stride) {
    *self = (operand){
        .format = fmt,
        .lines = lines,
        .terms = terms,
        .patterns = patterns,
        .line_stride = line_stride,
        .term_stride = term_stride,
    };
}

/* Quantises each line block by block; `self` becomes an operand of patterns. */
static int quantise(operand *self) {
    const format *fmt = self->format;
    const block_encoder encoder = block_encoder_of(fmt);
    int bytes = format_bytes(fmt->width);
    size_t line_bytes = (size_t)self->terms * (size_t)bytes;
    char *patterns = malloc((size_t)self->lines * line_bytes + 1);
    double *block = malloc((size_t)fmt->block * sizeof *block);
    uint64_t *encoded = malloc((size_t)fmt->block * sizeof *encoded);
    bool enough = patterns != NULL && block != NULL && encoded != NULL;
    for (int64_t line = 0; enough && line < self->lines; line++) {
        for (int64_t first = 0; first < self->terms; first += fmt->block) {
            int64_t count = self->terms - first < fmt->block ? self->terms - first : fmt->block;
            int64_t index = line * self->line_stride + first * self->term_stride;
            for (int64_t i = 0; i < count; i++, index += self->term_stride)
                block[i] = scalar_load(self->scalar, self->values, index);
            block_encode(&encoder, block, count, encoded);
            char *out = patterns + (size_t)line * line_bytes + (size_t)first * (size_t)bytes;
            for (int64_t i = 0; i < count; i++)
                pattern_store(out + i * bytes, bytes, encoded[i]);
        }
    }
    free(block);
    free(encoded);
    if (!enough) {
        free(patterns);
        return HWGEN_NO_MEMORY;
    }
    operand_of_patterns(self, fmt, patterns, self->lines, self->terms, self->terms, 1);
    self->owned = patterns;
    return HWGEN_OK;
}

int operand_of_values(operand *self, const format *fmt, hwgen_scalar scalar, const void *values,
                      int64_t lines, int64_t terms, int64_t line_stride, int64_t term_stride) {
    *self = (operand){
        .format = fmt,
        .lines = lines,
        .terms = terms,
        .values = values,
        .scalar = scalar,
        .line_stride = line_stride,
        .term_stride = term_stride,
    };
    return fmt->family == FORMAT_BLOCK ? quantise(self) : HWGEN_OK;
}

int operand_share_scales(operand *self, int64_t block) {
    const format *fmt = self->format;
    int bytes = format_bytes(fmt->width);
    uint64_t element = ((uint64_t)1 << fmt->element->width) - 1;
    char *patterns = malloc((size_t)(self->lines * self->terms * bytes) + 1);
    if (patterns == NULL)
        return HWGEN_NO_MEMORY;
    for (int64_t line = 0; line < self->lines; line++) {
        const char *from = (const char *)self->patterns + line * self->line_stride * bytes;
        char *to = patterns + line * self->terms * bytes;
        for (int64_t k = 0; k < self->terms; k++) {
            int64_t end = (k / block + 1) * block;
            int64_t last = (end < self->terms ? end : self->terms) - 1;
            uint64_t own = pattern_load(from + k * self->term_stride * bytes, bytes);
            uint64_t shared = pattern_load(from + last * self->term_stride * bytes, bytes);
            pattern_store(to + k * bytes, bytes, (own & element) | (shared & ~element));
        }
    }
    free(self->owned);
    operand_of_patterns(self, fmt, patterns, self->lines, self->terms, self->terms, 1);
    self->owned = patterns;
    return HWGEN_OK;
}

void operand_free(operand *self) {
    free(self->owned);
}

operand operand_lines(const operand *self, int64_t first, int64_t count) {
    operand part = *self;
    int64_t offset = first * self->line_stride;
    if (self->patterns != NULL)
        part.patterns = (const char *)self->patterns + offset * format_bytes(self->format->width);
    else
        part.values = (const char *)self->values + offset * scalar_bytes(self->scalar);
    part.lines = count;
    part.first = self->first + first;
    part.owned = NULL;
    return part;
}

void operand_numbers(const operand *self, int64_t line, int64_t first, int64_t count,
                     number *numbers) {
    const format *fmt = self->format;
    int64_t index = line * self->line_stride + first * self->term_stride;
    if (self->patterns != NULL) {
        int bytes = format_bytes(fmt->width);
        const char *from = (const char *)self->patterns + index * bytes;
        for (int64_t i = 0; i < count; i++, from += self->term_stride * bytes)
            numbers[i] = format_decode(fmt, pattern_load(from, bytes));
        return;
    }
    for (int64_t i = 0; i < count; i++, index += self->term_stride) {
        number value = number_of_double(scalar_load(self->scalar, self->values, index));
        /* A NaN that the format lacks stays one, so that it is never taken for a zero. */
        if (value.kind != NOT_A_NUMBER)
            value = format_decode(fmt, format_encode(fmt, value).bits);
        numbers[i] = value;
    }
}

void operand_parts(const operand *self, int64_t line, int64_t count, number *elements,
                   number *scales) {
    int bytes = format_bytes(self->format->width);
    const char *from = (const char *)self->patterns + line * self->line_stride * bytes;
    for (int64_t i = 0; i < count; i++, from += self->term_stride * bytes)
        block_decode(self->format, pattern_load(from, bytes), &elements[i], &scales[i]);
}
