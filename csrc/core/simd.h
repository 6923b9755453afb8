// Sixteen lanes at a time, written once with the compiler's vector types and lowered to whatever
// the instruction set has. Only what those types cannot say is written per instruction set.
//
// Everything that is compiled several times lives in an inline namespace named PCCLUST_ISA, so that
// the linker never mistakes one version for another.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifndef PCCLUST_ISA
#define PCCLUST_ISA baseline
#endif

#define PCCLUST_INLINE inline __attribute__((always_inline))

namespace pcclust::inline PCCLUST_ISA {

typedef float F32x16 __attribute__((vector_size(64)));
typedef int32_t I32x16 __attribute__((vector_size(64)));
typedef double F64x8 __attribute__((vector_size(64)));
typedef int64_t I64x8 __attribute__((vector_size(64)));

// The 64-byte vector of T, and the integers of its width.
template <class T>
struct Vector;
template <>
struct Vector<float> {
  using Type = F32x16;
  using Mask = I32x16;
  static constexpr int lanes = 16;
};
template <>
struct Vector<double> {
  using Type = F64x8;
  using Mask = I64x8;
  static constexpr int lanes = 8;
};

template <class V, class T>
PCCLUST_INLINE V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <class V, class T>
PCCLUST_INLINE void store(T* to, V v) {
  std::memcpy(to, &v, sizeof(V));
}

template <class V, class T>
PCCLUST_INLINE V splat(T value) {
  return value - V{};
}

template <class V>
PCCLUST_INLINE V maximum(V a, V b) {
  return a > b ? a : b;
}

template <class V>
PCCLUST_INLINE V minimum(V a, V b) {
  return a < b ? a : b;
}

#if defined(__x86_64__)
// One bit for each lane of a comparison's result (all ones or all zeros).
PCCLUST_INLINE uint32_t bits(I32x16 mask) {
#if defined(__AVX512DQ__)
  return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
  const __m256* half = reinterpret_cast<const __m256*>(&mask);
  return static_cast<uint32_t>(_mm256_movemask_ps(half[0])) |
         static_cast<uint32_t>(_mm256_movemask_ps(half[1])) << 8;
#else
  const __m128* part = reinterpret_cast<const __m128*>(&mask);
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) result |= static_cast<uint32_t>(_mm_movemask_ps(part[i])) << (4 * i);
  return result;
#endif
}

PCCLUST_INLINE uint32_t bits(I64x8 mask) {
#if defined(__AVX512DQ__)
  return _mm512_movepi64_mask((__m512i)mask);
#elif defined(__AVX2__)
  const __m256d* half = reinterpret_cast<const __m256d*>(&mask);
  return static_cast<uint32_t>(_mm256_movemask_pd(half[0])) |
         static_cast<uint32_t>(_mm256_movemask_pd(half[1])) << 4;
#else
  const __m128d* part = reinterpret_cast<const __m128d*>(&mask);
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) result |= static_cast<uint32_t>(_mm_movemask_pd(part[i])) << (2 * i);
  return result;
#endif
}
#else
template <class Mask>
PCCLUST_INLINE uint32_t bits(Mask mask) {
  uint32_t result = 0;
  for (unsigned i = 0; i < sizeof(Mask) / sizeof(mask[0]); ++i) result |= (mask[i] & 1u) << i;
  return result;
}
#endif

// Appends the chosen lanes of `v` to `to`, which has room for a whole vector; returns how many.
PCCLUST_INLINE int append(float* to, F32x16 v, uint32_t chosen) {
#if defined(__AVX512F__)
  _mm512_storeu_ps(to, _mm512_maskz_compress_ps(static_cast<__mmask16>(chosen), (__m512)v));
  return __builtin_popcount(chosen);
#else
  int count = 0;
  for (; chosen; chosen &= chosen - 1) to[count++] = v[__builtin_ctz(chosen)];
  return count;
#endif
}

PCCLUST_INLINE int append(int32_t* to, I32x16 v, uint32_t chosen) {
#if defined(__AVX512F__)
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(chosen), (__m512i)v));
  return __builtin_popcount(chosen);
#else
  int count = 0;
  for (; chosen; chosen &= chosen - 1) to[count++] = v[__builtin_ctz(chosen)];
  return count;
#endif
}

// {last of `before`, then all but the last of `v`}: moves every lane up by one.
PCCLUST_INLINE I64x8 shift_in(I64x8 before, I64x8 v) {
#if defined(__AVX512F__)
  return (I64x8)_mm512_alignr_epi64((__m512i)v, (__m512i)before, 7);
#elif defined(__clang__)
  return __builtin_shufflevector(before, v, 7, 8, 9, 10, 11, 12, 13, 14);
#else
  return __builtin_shuffle(before, v, I64x8{7, 8, 9, 10, 11, 12, 13, 14});
#endif
}

}  // namespace pcclust::inline PCCLUST_ISA
