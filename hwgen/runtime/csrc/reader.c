#include "reader.h"

#include <math.h>
#include <stdlib.h>

#include "pattern.h"

enum { MAX_TABLE_WIDTH = 16, LEAST_BY_PARTS = 512 };

bool fits_double(const format *self) {
    /* Without infinities the highest binade of 11 exponent bits lies above float64's. */
    if (self->family == FORMAT_FLOAT && self->largest >> self->fraction_bits == 0x7FF)
        return false;
    return self->precision <= 53;
}

float_rounding float_rounding_of(const format *self) {
    int least_normal = self->min_exponent + self->fraction_bits;
    number largest = format_decode(self, self->largest);
    /* Any number too large, to see what becomes of it. */
    unrounded beyond = {1, 4096, false, false};
    return (float_rounding){
        .drop = 52 - self->fraction_bits,
        .least_normal = ldexp(1, least_normal),
        .subnormal_shift = ldexp(1, 52 + self->min_exponent),
        .largest = number_to_double(largest),
        .beyond = number_to_double(format_decode(self, format_round(self, beyond).bits)),
        .infinite = number_to_double(format_decode(self, format_infinity(self, false))),
    };
}

fixed_rounding fixed_rounding_of(const format *self) {
    return (fixed_rounding){
        .up = ldexp(1, self->fraction_bits),
        .down = ldexp(1, -self->fraction_bits),
        .least = self->is_signed ? -(double)self->largest - 1 : 0,
        .largest = (double)self->largest,
    };
}

static float_pattern float_pattern_of(const format *self) {
    int bias = (1 << (self->exponent_bits - 1)) - 1;
    bool infinity = format_has_infinity(self);
    return (float_pattern){
        .width = self->width,
        .up = 52 - self->fraction_bits,
        .factor = ldexp(1, 1023 - bias),
        .largest = self->largest,
        .infinity = infinity ? format_infinity(self, false) : 0,
    };
}

static bool values_are_exact(const format *fmt, hwgen_scalar scalar) {
    int exponent_bits = scalar == HWGEN_FLOAT32 ? 8 : 11;
    int fraction_bits = scalar == HWGEN_FLOAT32 ? 23 : 52;
    return fmt->specials == SPECIALS_IEEE && fmt->exponent_bits == exponent_bits &&
           fmt->fraction_bits == fraction_bits;
}

static double decoded(const format *fmt, uint64_t pattern) {
    return number_to_double(format_decode(fmt, pattern));
}

static int make_table(reader *self) {
    const format *fmt = self->source->format;
    int64_t patterns = (int64_t)1 << fmt->width;
    self->table = malloc((size_t)patterns * sizeof *self->table);
    if (self->table == NULL)
        return HWGEN_NO_MEMORY;
    for (int64_t bits = 0; bits < patterns; bits++)
        self->table[bits] = decoded(fmt, (uint64_t)bits);
    self->how = READ_BY_TABLE;
    return HWGEN_OK;
}

/* A block-scaled number is the product of its two parts, also where one is special. */
static int make_parts(reader *self) {
    const format *fmt = self->source->format;
    int elements = 1 << fmt->element->width, scales = 256;
    self->table = malloc((size_t)(elements + scales) * sizeof *self->table);
    if (self->table == NULL)
        return HWGEN_NO_MEMORY;
    for (int bits = 0; bits < elements || bits < scales; bits++) {
        number element, scale;
        uint64_t low = (uint64_t)(bits % elements), high = (uint64_t)(bits % scales);
        block_decode(fmt, high << fmt->element->width | low, &element, &scale);
        self->table[low] = number_to_double(element);
        self->table[elements + (int)high] = number_to_double(scale);
    }
    self->how = READ_BY_PARTS;
    return HWGEN_OK;
}

int reader_open(reader *self, const operand *source, const kernel_set *kernels) {
    const format *fmt = source->format;
    *self = (reader){.source = source, .kernels = kernels, .how = READ_ANY};
    bool values = source->patterns == NULL;
    if (fmt->family == FORMAT_FLOAT && values) {
        self->float_values = float_rounding_of(fmt);
        bool exact = values_are_exact(fmt, source->scalar);
        self->how = exact ? READ_EXACT_VALUES : READ_FLOAT_VALUES;
    } else if (fmt->family == FORMAT_FIXED && values) {
        self->fixed_values = fixed_rounding_of(fmt);
        self->how = READ_FIXED_VALUES;
    } else if (fmt->family == FORMAT_FLOAT) {
        self->float_patterns = float_pattern_of(fmt);
        self->how = READ_FLOAT_PATTERNS;
    } else if (fmt->family == FORMAT_BLOCK && source->lines * source->terms >= LEAST_BY_PARTS) {
        return make_parts(self);
    } else if (!values && fmt->width <= MAX_TABLE_WIDTH &&
               source->lines * source->terms >= (int64_t)2 << fmt->width) {
        return make_table(self);
    }
    return HWGEN_OK;
}

void reader_close(reader *self) {
    free(self->table);
}

static void convert_values(const reader *self, const void *from, int64_t count, double *out) {
    const operand *source = self->source;
    if (source->scalar == HWGEN_FLOAT32)
        self->kernels->widen(count, from, out);
    else
        memcpy(out, from, (size_t)count * sizeof *out);
    switch (self->how) {
    case READ_FLOAT_VALUES:
        self->kernels->round(&self->float_values, count, out, out);
        break;
    case READ_FIXED_VALUES:
        self->kernels->round_fixed(&self->fixed_values, count, out, out);
        break;
    case READ_EXACT_VALUES:
        break;
    default:
        for (int64_t i = 0; i < count; i++)
            if (!isnan(out[i])) /* one that the format lacks stays one */
                out[i] = decoded(source->format,
                                 format_encode(source->format, number_of_double(out[i])).bits);
    }
}

static void convert_patterns(const reader *self, const void *from, int64_t count, double *out) {
    const format *fmt = self->source->format;
    int bytes = format_bytes(fmt->width);
    const char *pattern = from;
    switch (self->how) {
    case READ_FLOAT_PATTERNS:
        self->kernels->decode(&self->float_patterns, bytes, count, from, out);
        break;
    case READ_BY_TABLE:
        for (int64_t i = 0; i < count; i++)
            out[i] = self->table[pattern_load(pattern + i * bytes, bytes)];
        break;
    case READ_BY_PARTS: {
        uint64_t elements = (uint64_t)1 << fmt->element->width;
        for (int64_t i = 0; i < count; i++) {
            uint64_t bits = pattern_load(pattern + i * bytes, bytes);
            out[i] = self->table[bits & (elements - 1)] *
                     self->table[elements + (bits >> fmt->element->width)];
        }
        break;
    }
    default:
        for (int64_t i = 0; i < count; i++)
            out[i] = decoded(fmt, pattern_load(pattern + i * bytes, bytes));
    }
}

static void read_run(const reader *self, int64_t index, int64_t count, int64_t stride,
                     double *out) {
    const operand *source = self->source;
    bool values = source->patterns == NULL;
    size_t bytes = (size_t)(values ? scalar_bytes(source->scalar)
                                   : format_bytes(source->format->width));
    const char *from = (const char *)(values ? source->values : source->patterns);
    from += index * (int64_t)bytes;
    uint64_t gathered[RUN];
    if (stride != 1 && count > 1) {
        char *to = (char *)gathered;
        for (int64_t i = 0; i < count; i++)
            pattern_store(to + (size_t)i * bytes, (int)bytes,
                          pattern_load(from + i * stride * (int64_t)bytes, (int)bytes));
        from = to;
    }
    if (values)
        convert_values(self, from, count, out);
    else
        convert_patterns(self, from, count, out);
}

void read_terms(const reader *self, int64_t line, int64_t first, int64_t count, double *out) {
    const operand *source = self->source;
    read_run(self, line * source->line_stride + first * source->term_stride, count,
             source->term_stride, out);
}

void read_lines(const reader *self, int64_t first, int64_t term, int64_t count, double *out) {
    const operand *source = self->source;
    read_run(self, first * source->line_stride + term * source->term_stride, count,
             source->line_stride, out);
}
