/* Patterns in memory: the narrowest unsigned integer that holds them. */
#ifndef HWGEN_PATTERN_H
#define HWGEN_PATTERN_H

#include <stdint.h>
#include <string.h>

static inline uint64_t pattern_load(const void *from, int bytes) {
    uint64_t wide;
    uint32_t half;
    uint16_t quarter;
    switch (bytes) {
    case 1:
        return *(const uint8_t *)from;
    case 2:
        memcpy(&quarter, from, sizeof quarter);
        return quarter;
    case 4:
        memcpy(&half, from, sizeof half);
        return half;
    default:
        memcpy(&wide, from, sizeof wide);
        return wide;
    }
}

static inline void pattern_store(void *to, int bytes, uint64_t pattern) {
    uint8_t small = (uint8_t)pattern;
    uint16_t quarter = (uint16_t)pattern;
    uint32_t half = (uint32_t)pattern;
    switch (bytes) {
    case 1:
        memcpy(to, &small, sizeof small);
        break;
    case 2:
        memcpy(to, &quarter, sizeof quarter);
        break;
    case 4:
        memcpy(to, &half, sizeof half);
        break;
    default:
        memcpy(to, &pattern, sizeof pattern);
        break;
    }
}

#endif
