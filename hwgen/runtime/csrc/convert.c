/* hwgen_encode and hwgen_decode: vectors of machine numbers and their patterns. */
#include <math.h>
#include <stdlib.h>

#include "block.h"
#include "datapath.h"
#include "environment.h"
#include "operand.h"
#include "pattern.h"

static int encode_blocks(const format *fmt, hwgen_scalar scalar, int64_t count, const void *values,
                         int64_t stride, void *patterns) {
    double *block = malloc((size_t)fmt->block * sizeof *block);
    uint64_t *encoded = malloc((size_t)fmt->block * sizeof *encoded);
    const block_encoder encoder = block_encoder_of(fmt);
    bool enough = block != NULL && encoded != NULL;
    int bytes = format_bytes(fmt->width);
    for (int64_t first = 0; enough && first < count; first += fmt->block) {
        int64_t length = count - first < fmt->block ? count - first : fmt->block;
        for (int64_t i = 0; i < length; i++)
            block[i] = scalar_load(scalar, values, (first + i) * stride);
        block_encode(&encoder, block, length, encoded);
        for (int64_t i = 0; i < length; i++)
            pattern_store((char *)patterns + (first + i) * bytes, bytes, encoded[i]);
    }
    free(block);
    free(encoded);
    return enough ? 0 : HWGEN_INVALID;
}

static int encode(const hwgen_datapath *datapath, hwgen_side side, hwgen_scalar scalar,
                  int64_t count, const void *values, int64_t stride, void *patterns) {
    const format *fmt = &datapath->sides[side];
    if (fmt->family == FORMAT_BLOCK)
        return encode_blocks(fmt, scalar, count, values, stride, patterns);
    int result = 0, bytes = format_bytes(fmt->width);
    for (int64_t i = 0; i < count; i++) {
        double value = scalar_load(scalar, values, i * stride);
        if (isnan(value) && !format_has_nan(fmt))
            result = HWGEN_INVALID;
        encoding encoded = format_encode(fmt, number_of_double(value));
        pattern_store((char *)patterns + i * bytes, bytes, encoded.bits);
    }
    return result;
}

int hwgen_encode(const hwgen_datapath *datapath, hwgen_side side, hwgen_scalar scalar,
                 int64_t count, const void *values, int64_t stride, void *patterns) {
    environment found = environment_enter();
    int result = encode(datapath, side, scalar, count, values, stride, patterns);
    environment_leave(found);
    return result;
}

void hwgen_decode(const hwgen_datapath *datapath, hwgen_side side, hwgen_scalar scalar,
                  int64_t count, const void *patterns, void *values, int64_t stride) {
    environment found = environment_enter();
    const format *fmt = &datapath->sides[side];
    int bytes = format_bytes(fmt->width);
    for (int64_t i = 0; i < count; i++) {
        uint64_t pattern = pattern_load((const char *)patterns + i * bytes, bytes);
        scalar_store_number(scalar, values, i * stride, format_decode(fmt, pattern));
    }
    environment_leave(found);
}
