/* The largest magnitudes and the lowest bit of an operand, in vectors as far as the compiler can. */
#include <math.h>
#include <string.h>

#include "profile.h"

static void survey_f64(hw_survey *survey, int64_t lines, int64_t k, hwgen_matrix x) {
    for (int64_t i = 0; i < lines; i++)
        for (int64_t l = 0; l < k; l++) {
            const double number = hw_number(HWGEN_FLOAT64, x, i, l);
            const double magnitude = fabs(number);
            uint64_t bits;
            memcpy(&bits, &magnitude, sizeof bits);
            if (!isfinite(number)) {
                survey->special++;
            } else if (bits != 0) {
                const int biased = (int)(bits >> 52);
                const uint64_t significand = biased == 0 ? bits : bits | (uint64_t)1 << 52;
                const int64_t low = __builtin_ctzll(significand) + HW_LEAST_EXPONENT
                                    + (biased > 0 ? biased - 1 : 0);
                survey->lowest = low < survey->lowest ? low : survey->lowest;
                survey->largest[l] = magnitude > survey->largest[l] ? magnitude
                                                                    : survey->largest[l];
            }
        }
}

enum {
    INFINITE = 0x7f800000, /* pattern of the float32 */
    HIDDEN = 0x00800000,   /* bit of its significand that is not in the pattern */
    NOTHING = 1 << 20,     /* above all exponents */
    CHUNK = 256,           /* numbers that are looked at together */
};

typedef struct {
    int32_t lowest, special;
} low_bits;

/* Magnitudes of `count` numbers, specials as 0, and what their bits are. No branch: vectors. */
static inline __attribute__((always_inline)) low_bits chunk_body(const float *numbers,
                                                                 int64_t stride, int count,
                                                                 int32_t *magnitudes) {
    low_bits found = {NOTHING, 0};
    for (int i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, &numbers[i * stride], sizeof bits);
        magnitudes[i] = bits & 0x7fffffff;
    }
    for (int i = 0; i < count; i++) {
        const int32_t special = magnitudes[i] >= INFINITE;
        const int32_t bits = magnitudes[i] & (special - 1);
        const int32_t normal = bits >= HIDDEN;
        const int32_t significand = (bits & (HIDDEN - 1)) | (normal << 23);
        /* The lowest bit as a float, whose exponent says where it stands. */
        const float lowest = (float)(significand & -significand);
        int32_t pattern;
        memcpy(&pattern, &lowest, sizeof pattern);
        const int32_t biased = (bits >> 23) + 1 - normal;
        const int32_t low = (pattern >> 23) - 127 + biased - 150 + (bits == 0) * 2 * NOTHING;
        found.lowest = low < found.lowest ? low : found.lowest;
        found.special += special;
        magnitudes[i] = bits;
    }
    return found;
}

typedef low_bits chunk_function(const float *numbers, int64_t stride, int count,
                                int32_t *magnitudes);

static low_bits chunk_plain(const float *numbers, int64_t stride, int count, int32_t *magnitudes) {
    return stride == 1 ? chunk_body(numbers, 1, count, magnitudes)
                       : chunk_body(numbers, stride, count, magnitudes);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static low_bits chunk_avx2(const float *numbers, int64_t stride,
                                                           int count, int32_t *magnitudes) {
    return stride == 1 ? chunk_body(numbers, 1, count, magnitudes)
                       : chunk_body(numbers, stride, count, magnitudes);
}
#endif

static chunk_function *best_chunk(void) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return chunk_avx2;
#endif
    return chunk_plain;
}

static float number_of(int32_t pattern) {
    float number;
    memcpy(&number, &pattern, sizeof number);
    return number;
}

static void keep_lowest(hw_survey *survey, low_bits found) {
    survey->special += (uint64_t)found.special;
    if (found.lowest < NOTHING && found.lowest < survey->lowest)
        survey->lowest = found.lowest;
}

static int chunk_size(int64_t left) { return left < CHUNK ? (int)left : CHUNK; }

/* Along k: each number is of another column. */
static void survey_lines(hw_survey *survey, int64_t lines, int64_t k, hwgen_matrix x) {
    chunk_function *look = best_chunk();
    int32_t magnitudes[CHUNK], largest[CHUNK];
    for (int64_t first = 0; first < k; first += CHUNK) {
        const int count = chunk_size(k - first);
        memset(largest, 0, sizeof largest);
        for (int64_t i = 0; i < lines; i++) {
            const float *numbers = (const float *)x.data + i * x.row + first * x.column;
            keep_lowest(survey, look(numbers, x.column, count, magnitudes));
            for (int l = 0; l < count; l++)
                largest[l] = magnitudes[l] > largest[l] ? magnitudes[l] : largest[l];
        }
        for (int l = 0; l < count; l++)
            survey->largest[first + l] = (double)number_of(largest[l]);
    }
}

/* Along the lines: all numbers are of one column. */
static void survey_columns(hw_survey *survey, int64_t lines, int64_t k, hwgen_matrix x) {
    chunk_function *look = best_chunk();
    int32_t magnitudes[CHUNK];
    for (int64_t l = 0; l < k; l++) {
        int32_t largest = 0;
        for (int64_t first = 0; first < lines; first += CHUNK) {
            const int count = chunk_size(lines - first);
            const float *numbers = (const float *)x.data + first * x.row + l * x.column;
            keep_lowest(survey, look(numbers, x.row, count, magnitudes));
            for (int i = 0; i < count; i++)
                largest = magnitudes[i] > largest ? magnitudes[i] : largest;
        }
        survey->largest[l] = (double)number_of(largest);
    }
}

void hw_survey_operand(hw_survey *survey, hwgen_scalar scalar, int64_t lines, int64_t k,
                       hwgen_matrix x) {
    survey->lowest = INT64_MAX;
    survey->special = 0;
    survey->most = 0;
    memset(survey->largest, 0, (size_t)k * sizeof *survey->largest);
    if (scalar == HWGEN_FLOAT64)
        survey_f64(survey, lines, k, x);
    else if (x.column == 1 || lines == 1)
        survey_lines(survey, lines, k, x);
    else
        survey_columns(survey, lines, k, x);
    for (int64_t l = 0; l < k; l++)
        survey->most = survey->largest[l] > survey->most ? survey->largest[l] : survey->most;
}
