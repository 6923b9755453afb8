// The largest of sixteen values, ties to the lowest id.
#pragma once

#include <cstdint>

#include "core/simd.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
struct Peak {
  T value;
  int32_t id;
};

// The peak of each of 16 siblings.
template <class T>
struct alignas(64) Peaks {
  T value[kFan];
  int32_t id[kFan];
};

#if defined(PCCLUST_HAS_AVX512)
PCCLUST_INLINE float largest(F32x16 v) { return _mm512_reduce_max_ps((__m512)v); }
PCCLUST_INLINE double largest(F64x8 v) { return _mm512_reduce_max_pd((__m512d)v); }
#else
template <class V>
PCCLUST_INLINE auto largest(V v) {
  constexpr int lanes = sizeof(V) / sizeof(v[0]);
  auto result = v[0];
  for (int i = 1; i < lanes; ++i) result = v[i] > result ? v[i] : result;
  return result;
}
#endif

template <class T>
PCCLUST_INLINE Peak<T> peak_of(const T* value, const int32_t* id) {
  using V = typename Vector<T>::Type;
  constexpr int lanes = Vector<T>::lanes;
  V most = load<V>(value);
  for (int lane = lanes; lane < kFan; lane += lanes) most = maximum(most, load<V>(value + lane));
  Peak<T> peak{largest(most), INT32_MAX};
  uint32_t tied = 0;
  for (int lane = 0; lane < kFan; lane += lanes) {
    tied |= bits(load<V>(value + lane) == splat<V>(peak.value)) << lane;
  }
  for (; tied; tied &= tied - 1) {
    const int32_t candidate = id[__builtin_ctz(tied)];
    peak.id = candidate < peak.id ? candidate : peak.id;
  }
  return peak;
}

}  // namespace pcclust::inline PCCLUST_ISA
