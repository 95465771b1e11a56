/*
 * The end of an update outside the array: c = round(round(alpha*t) + beta*c), the sum fused with
 * its product, in the type of the matrix. Also single elements as pairs of doubles.
 */
#include <math.h>

#include "library.h"

void hw_load(char letter, const void *element, double value[2]) {
    value[1] = 0;
    switch (letter) {
    case 'c': value[1] = ((const float *)element)[1]; /* fall through */
    case 's': value[0] = ((const float *)element)[0]; break;
    case 'z': value[1] = ((const double *)element)[1]; /* fall through */
    default: value[0] = ((const double *)element)[0]; break;
    }
}

void hw_store(char letter, void *element, const double value[2]) {
    switch (letter) {
    case 'c': ((float *)element)[1] = (float)value[1]; /* fall through */
    case 's': ((float *)element)[0] = (float)value[0]; break;
    case 'z': ((double *)element)[1] = value[1]; /* fall through */
    default: ((double *)element)[0] = value[0]; break;
    }
}

/*
 * The functions for one machine type. A factor of one is skipped, not only for speed: a complex
 * product with 1 + 0i would make NaN of an infinity's zero partner. beta = 0 does not read c.
 */
#define FINISH(number, fused, finish_real, finish_complex, complex_term)                          \
    static void finish_real(const hw_row *row, int64_t count, number *c, int64_t step)            \
    {                                                                                             \
        const number *t = row->t[0];                                                              \
        const number alpha = (number)row->alpha[0], beta = (number)row->beta[0];                  \
        for (int64_t j = 0; j < count; j++) {                                                     \
            const number term = t == NULL ? 0 : alpha == 1 ? t[j] : alpha * t[j];                 \
            if (beta == 0)                                                                        \
                c[j * step] = term;                                                               \
            else if (beta == 1)                                                                   \
                c[j * step] += term;                                                              \
            else                                                                                  \
                c[j * step] = fused(beta, c[j * step], term);                                     \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    /* alpha * (A*B) for element j; every step is one rounding. */                                \
    static void complex_term(const hw_row *row, int64_t j, number term[2])                        \
    {                                                                                             \
        const number *rr = row->t[0], *ii = row->t[1], *ri = row->t[2], *ir = row->t[3];          \
        const number sign_a = (number)row->sign_a, sign_b = (number)row->sign_b;                  \
        const number alpha[2] = {(number)row->alpha[0], (number)row->alpha[1]};                   \
        const number re = rr[j] - sign_a * sign_b * ii[j];                                        \
        const number im = sign_b * ri[j] + sign_a * ir[j];                                        \
        if (alpha[1] == 0) {                                                                      \
            term[0] = alpha[0] == 1 ? re : alpha[0] * re;                                         \
            term[1] = alpha[0] == 1 ? im : alpha[0] * im;                                         \
            return;                                                                               \
        }                                                                                         \
        term[0] = fused(alpha[0], re, -(alpha[1] * im));                                          \
        term[1] = fused(alpha[0], im, alpha[1] * re);                                             \
    }                                                                                             \
                                                                                                  \
    static void finish_complex(const hw_row *row, int64_t count, number *c, int64_t step)         \
    {                                                                                             \
        const number beta[2] = {(number)row->beta[0], (number)row->beta[1]};                      \
        for (int64_t j = 0; j < count; j++) {                                                     \
            number term[2] = {0, 0}, *here = c + 2 * j * step;                                    \
            if (row->t[0] != NULL)                                                                \
                complex_term(row, j, term);                                                       \
            if (beta[0] == 0 && beta[1] == 0) {                                                   \
                here[0] = term[0];                                                                \
                here[1] = term[1];                                                                \
                continue;                                                                         \
            }                                                                                     \
            const number re = here[0], im = here[1];                                              \
            if (beta[1] == 0) {                                                                   \
                here[0] = beta[0] == 1 ? re + term[0] : fused(beta[0], re, term[0]);              \
                here[1] = beta[0] == 1 ? im + term[1] : fused(beta[0], im, term[1]);              \
            } else {                                                                              \
                here[0] = fused(beta[0], re, fused(-beta[1], im, term[0]));                       \
                here[1] = fused(beta[0], im, fused(beta[1], re, term[1]));                        \
            }                                                                                     \
        }                                                                                         \
    }

FINISH(float, fmaf, finish_s, finish_c, term_c)
FINISH(double, fma, finish_d, finish_z, term_z)

void hw_finish_row(char letter, const hw_row *row, int64_t count, void *c, int64_t step) {
    switch (letter) {
    case 's': finish_s(row, count, c, step); break;
    case 'd': finish_d(row, count, c, step); break;
    case 'c': finish_c(row, count, c, step); break;
    default: finish_z(row, count, c, step); break;
    }
}
