/*
 * Vectors of the instruction set that a file is compiled for. Everything but fused multiply-add
 * and broadcast is the compiler's own vector arithmetic.
 */
#ifndef HWGEN_VECTOR_H
#define HWGEN_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define FUSED 1
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#define FUSED 1
#else
#define VECTOR_BYTES 16
#ifdef __aarch64__
#include <arm_neon.h>
#define FUSED 1
#else
#define FUSED 0
#endif
#endif

#define INLINE static inline __attribute__((always_inline))

typedef double doubles __attribute__((vector_size(VECTOR_BYTES)));
typedef float floats __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t longs __attribute__((vector_size(VECTOR_BYTES)));
typedef int16_t shorts __attribute__((vector_size(VECTOR_BYTES)));

enum {
    DOUBLES = VECTOR_BYTES / 8, /* in a vector */
    FLOATS = VECTOR_BYTES / 4,
    SHORTS = VECTOR_BYTES / 2,
};

#define SIGNS INT64_MIN

INLINE doubles doubles_of(double x) {
#if defined(__AVX512F__)
    return (doubles)_mm512_set1_pd(x);
#elif defined(__AVX2__)
    return (doubles)_mm256_set1_pd(x);
#else
    return (doubles){x, x};
#endif
}

INLINE floats floats_of(float x) {
#if defined(__AVX512F__)
    return (floats)_mm512_set1_ps(x);
#elif defined(__AVX2__)
    return (floats)_mm256_set1_ps(x);
#else
    return (floats){x, x, x, x};
#endif
}

INLINE longs longs_of(int64_t x) {
    return (longs)doubles_of(((union { int64_t i; double d; }){.i = x}).d);
}

/* a * b + c; rounded once where FUSED. */
INLINE doubles multiply_add(doubles a, doubles b, doubles c) {
#if defined(__AVX512F__)
    return (doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    return (doubles)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

INLINE floats multiply_add_single(floats a, floats b, floats c) {
#if defined(__AVX512F__)
    return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

INLINE doubles load(const double *from) {
    doubles v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(double *to, doubles v) {
    memcpy(to, &v, sizeof v);
}

INLINE floats load_single(const float *from) {
    floats v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store_single(float *to, floats v) {
    memcpy(to, &v, sizeof v);
}

INLINE doubles absolute(doubles x) {
    return (doubles)((longs)x & longs_of(~SIGNS));
}

/* A positive magnitude with the sign of another number. */
INLINE doubles with_sign(doubles magnitude, doubles of) {
    return (doubles)((longs)magnitude | ((longs)of & longs_of(SIGNS)));
}

/* Where the mask is set (all bits of an element), a, else b. */
INLINE doubles choose(longs mask, doubles a, doubles b) {
    return (doubles)((mask & (longs)a) | (~mask & (longs)b));
}

#endif
