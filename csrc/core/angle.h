// atan2 of sixteen floats at a time.
#pragma once

#include <cstdint>

#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// The angle of (x, y) with y >= 0, in [0, π]; 0 where both are 0. Within 3e-7 rad of the truth: an
// odd polynomial in the smaller ratio, fitted to atan on [0, 1] by reweighted least squares (error
// 6e-9), the rest is rounding.
template <class V>
PCCLUST_INLINE V angle_above(V y, V x) {
  constexpr float kPi = 3.14159265f;
  const V zero{}, width = where(less(x, zero), -x, x);
  const V high = maximum(y, width), low = minimum(y, width);
  const V t = low / where(less(zero, high), high, splat<V>(1.0f));
  const V z = t * t;
  V p = splat<V>(0.002456724178045988f);
  for (const float c : {-0.014401355758309364f, 0.03978122025728226f, -0.07234857231378555f,
                        0.10498946160078049f, -0.14161229133605957f, 0.19985906779766083f,
                        -0.33332598209381104f, 0.9999998807907104f}) {
    p = p * z + c;
  }
  V angle = p * t;
  angle = where(less(width, y), 0.5f * kPi - angle, angle);
  return where(less(x, zero), kPi - angle, angle);
}

// The angle of (x, y) in [0, 2π].
template <class V>
PCCLUST_INLINE V angle_around(V y, V x) {
  constexpr float kTwoPi = 6.28318531f;
  const V zero{};
  const V above = angle_above(where(less(y, zero), -y, y), x);
  return where(less(y, zero), kTwoPi - above, above);
}

#if !defined(PCCLUST_HAS_AVX512)
PCCLUST_INLINE F32x16 angle_above(F32x16 y, F32x16 x) {
  using V = Vector<float>::Type;
  return by_registers<F32x16>([](V b, V a) { return angle_above(b, a); }, y, x);
}
PCCLUST_INLINE F32x16 angle_around(F32x16 y, F32x16 x) {
  using V = Vector<float>::Type;
  return by_registers<F32x16>([](V b, V a) { return angle_around(b, a); }, y, x);
}
#endif

}  // namespace pcclust::inline PCCLUST_ISA
