/*
 * The floating-point environment. Programs may have set another rounding mode or the flushing of
 * subnormals; here it is IEEE 754's default, and what was found is put back.
 */
#ifndef HWGEN_ENVIRONMENT_H
#define HWGEN_ENVIRONMENT_H

#ifdef __x86_64__
#include <immintrin.h>

typedef unsigned environment;

enum { MXCSR_DEFAULT = 0x1F80, MXCSR_TOWARD_ZERO = 0x7F80 };

static inline environment environment_enter(void) {
    environment found = _mm_getcsr();
    _mm_setcsr(MXCSR_DEFAULT);
    return found;
}

static inline void environment_leave(environment found) {
    _mm_setcsr(found);
}

static inline void round_toward_zero(void) {
    _mm_setcsr(MXCSR_TOWARD_ZERO);
}

static inline void round_to_nearest(void) {
    _mm_setcsr(MXCSR_DEFAULT);
}

#else
#include <fenv.h>

typedef fenv_t environment;

static inline environment environment_enter(void) {
    environment found;
    fegetenv(&found);
    fesetenv(FE_DFL_ENV);
    return found;
}

static inline void environment_leave(environment found) {
    fesetenv(&found);
}

static inline void round_toward_zero(void) {
    fesetround(FE_TOWARDZERO);
}

static inline void round_to_nearest(void) {
    fesetround(FE_TONEAREST);
}

#endif
#endif
