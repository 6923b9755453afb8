// Sixteen lanes at a time, written once with the compiler's vector types and lowered to whatever
// the instruction set has. Only what those types cannot say is written per instruction set.
#pragma once

#include "core/vectors.h"

namespace pcclust::inline PCCLUST_ISA {

// The largest of all lanes.
#if defined(PCCLUST_HAS_AVX512)
PCCLUST_INLINE float largest_lane(F32x16 v) { return _mm512_reduce_max_ps((__m512)v); }
PCCLUST_INLINE double largest_lane(F64x8 v) { return _mm512_reduce_max_pd((__m512d)v); }
#else
template <class V>
PCCLUST_INLINE auto largest_lane(V v) {
  auto largest = v[0];
  for (unsigned lane = 1; lane < sizeof(V) / sizeof(v[0]); ++lane) {
    largest = v[lane] > largest ? v[lane] : largest;
  }
  return largest;
}
#endif

// One bit for each lane of a comparison's result (all ones or all zeros).
template <class Mask>
PCCLUST_INLINE uint32_t bits(Mask mask) {
#if defined(PCCLUST_HAS_AVX512)
  if constexpr (sizeof(mask[0]) == 4) return _mm512_movepi32_mask((__m512i)mask);
  else return _mm512_movepi64_mask((__m512i)mask);
#elif defined(__x86_64__)
  using Part = typename InRegister<Mask>::Type;
  constexpr std::size_t bytes = sizeof(Part), lanes = bytes / sizeof(mask[0]);
  const auto gather = [](Part part) -> uint32_t {
#if defined(PCCLUST_HAS_AVX2)
    if constexpr (bytes == 32 && lanes == 8) return _mm256_movemask_ps((__m256)part);
    else if constexpr (bytes == 32) return _mm256_movemask_pd((__m256d)part);
#endif
    if constexpr (bytes == 16 && lanes == 4) return _mm_movemask_ps((__m128)part);
    else if constexpr (bytes == 16) return _mm_movemask_pd((__m128d)part);
  };
  uint32_t result = 0;
  for (std::size_t i = 0; i < sizeof(mask) / bytes; ++i) {
    result |= gather(load<Part>(reinterpret_cast<const char*>(&mask) + i * bytes)) << (lanes * i);
  }
  return result;
#else
  uint32_t result = 0;
  for (unsigned i = 0; i < sizeof(Mask) / sizeof(mask[0]); ++i) result |= (mask[i] & 1u) << i;
  return result;
#endif
}

// The lanes where a <= b, a == b or a < b. Spelt out for AVX-512, whose comparisons make bits directly.
#define PCCLUST_COMPARE(name, compare, predicate)                                                  \
  template <class V>                                                                               \
  PCCLUST_INLINE uint32_t name(V a, V b) {                                                         \
    return bits(compare(a, b));                                                                    \
  }                                                                                                \
  PCCLUST_COMPARE_512(name, predicate)
#if defined(PCCLUST_HAS_AVX512)
#define PCCLUST_COMPARE_512(name, predicate)                                                       \
  PCCLUST_INLINE uint32_t name(F32x16 a, F32x16 b) {                                               \
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, predicate);                                    \
  }                                                                                                \
  PCCLUST_INLINE uint32_t name(F64x8 a, F64x8 b) {                                                 \
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, predicate);                                  \
  }
#else
#define PCCLUST_COMPARE_512(name, predicate)
#endif
PCCLUST_COMPARE(lanes_at_most, at_most, _CMP_LE_OQ)
PCCLUST_COMPARE(lanes_equal, equal, _CMP_EQ_OQ)
PCCLUST_COMPARE(lanes_below, less, _CMP_LT_OQ)
#undef PCCLUST_COMPARE
#undef PCCLUST_COMPARE_512

#if defined(PCCLUST_HAS_AVX512)
PCCLUST_INLINE uint32_t lanes_equal(I32x16 a, I32x16 b) {
  return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
PCCLUST_INLINE uint32_t lanes_below(I64x8 a, I64x8 b) {
  __mmask8 mask = _mm512_cmplt_epi64_mask((__m512i)a, (__m512i)b);
  // GCC 12 joins a comparison and the zeros above its bits, which a spill to the stack then loses
  // where the mask chooses lanes as well; it does not look into this.
  asm("" : "+k"(mask));
  return mask;
}
#endif

// Appends the chosen of eight numbers to `to`, which has room for all; returns how many.
PCCLUST_INLINE int append(int64_t* to, const int64_t* from, uint32_t chosen) {
#if defined(PCCLUST_HAS_AVX512)
  const __m512i v = _mm512_loadu_si512(from);
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(static_cast<__mmask8>(chosen), v));
  return __builtin_popcount(chosen);
#else
  int count = 0;
  for (; chosen; chosen &= chosen - 1) to[count++] = from[__builtin_ctz(chosen)];
  return count;
#endif
}

// As above, of sixteen of 32 bits.
template <class T>
PCCLUST_INLINE void append(T* to, const T* from, uint32_t chosen) {
  static_assert(sizeof(T) == 4);
#if defined(PCCLUST_HAS_AVX512)
  const __m512i v = _mm512_loadu_si512(from);
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(chosen), v));
#else
  for (; chosen; chosen &= chosen - 1) *to++ = from[__builtin_ctz(chosen)];
#endif
}

// As above, of a vector's lanes: `to` may be where they were read.
template <class T, class V>
  requires(sizeof(V) == 64)
PCCLUST_INLINE void append(T* to, V v, uint32_t chosen) {
#if defined(PCCLUST_HAS_AVX512)
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(chosen), (__m512i)v));
#else
  for (; chosen; chosen &= chosen - 1) *to++ = v[__builtin_ctz(chosen)];
#endif
}

// How many lanes of all vectors are below `limit`.
template <int Vectors>
PCCLUST_INLINE int count_below(const F32x16 (&v)[Vectors], F32x16 limit) {
  int count = 0;
  for (int i = 0; i < Vectors; i += 2) {
    const uint32_t high = i + 1 < Vectors ? lanes_below(v[i + 1], limit) : 0;
    count += __builtin_popcount(lanes_below(v[i], limit) | high << 16);
  }
  return count;
}

// Adds 1 to the counts of the lanes where a < b.
PCCLUST_INLINE void count_less(Vector<float>::Type a, Vector<float>::Type b,
                               Vector<float>::Mask& counts) {
#if defined(PCCLUST_HAS_AVX512)
  const __mmask16 less = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
  counts = (I32x16)_mm512_mask_add_epi32((__m512i)counts, less, (__m512i)counts, _mm512_set1_epi32(1));
#else
  counts -= a < b;
#endif
}

// {last of `before`, then all but the last of `v`}: moves every lane up by one.
PCCLUST_INLINE Vector<int64_t>::Type shift_in(Vector<int64_t>::Type before, Vector<int64_t>::Type v) {
#if defined(PCCLUST_HAS_AVX512)
  return (I64x8)_mm512_alignr_epi64((__m512i)v, (__m512i)before, 7);
#elif defined(PCCLUST_HAS_AVX2)
  const __m256i under = (__m256i)before, four = (__m256i)v;
  const __m256i middle = _mm256_permute2x128_si256(under, four, 0x21);
  return (Vector<int64_t>::Type)_mm256_alignr_epi8(four, middle, 8);
#elif defined(__clang__)
  return __builtin_shufflevector(before, v, 1, 2);
#else
  return __builtin_shuffle(before, v, Vector<int64_t>::Type{1, 2});
#endif
}

// A float's bits above an index: comparing such keys compares (distance, index), since squared
// distances are not negative.
PCCLUST_INLINE int64_t make_key(float distance, int32_t id) {
  uint32_t high;
  std::memcpy(&high, &distance, sizeof(high));
  return static_cast<int64_t>(high) << 32 | static_cast<uint32_t>(id);
}

// Appends the keys of the chosen of sixteen; returns how many. Whole vectors are written.
PCCLUST_INLINE int append_keys(int64_t* to, const float* distance, const int32_t* id,
                               uint32_t chosen) {
#if defined(PCCLUST_HAS_AVX512)
  const __m512i high = _mm512_loadu_si512(distance);
  int count = 0;
  for (int half = 0; half < 2; ++half) {
    const __m256i eight = half ? _mm512_extracti64x4_epi64(high, 1) : _mm512_castsi512_si256(high);
    const __m512i ids = _mm512_cvtepu32_epi64(load<__m256i>(id + 8 * half));
    const __m512i keys = _mm512_or_si512(_mm512_slli_epi64(_mm512_cvtepu32_epi64(eight), 32), ids);
    const uint32_t here = chosen >> (8 * half) & 0xffu;
    _mm512_storeu_si512(to + count, _mm512_maskz_compress_epi64(static_cast<__mmask8>(here), keys));
    count += __builtin_popcount(here);
  }
  return count;
#else
  int count = 0;
  for (; chosen; chosen &= chosen - 1) {
    const int lane = __builtin_ctz(chosen);
    to[count++] = make_key(distance[lane], id[lane]);
  }
  return count;
#endif
}

}  // namespace pcclust::inline PCCLUST_ISA
