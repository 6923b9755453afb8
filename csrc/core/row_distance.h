// The squared distance of two rows.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Lanes are summed in one order on every instruction set, and never fused: the same bits on all.
template <class T>
PCCLUST_INLINE T squared_distance(const T* a, const T* b, int64_t dims) {
  using V = std::conditional_t<sizeof(T) == 4, F32x16, F64x8>;
  constexpr int64_t lanes = sizeof(V) / sizeof(T);
  V part[4]{};
  int64_t d = 0;
  for (; d + 4 * lanes <= dims; d += 4 * lanes) {
    for (int i = 0; i < 4; ++i) {
      const V step = load<V>(a + d + i * lanes) - load<V>(b + d + i * lanes);
      part[i] += step * step;
    }
  }
  for (; d + lanes <= dims; d += lanes) {
    const V step = load<V>(a + d) - load<V>(b + d);
    part[0] += step * step;
  }
  const V all = (part[0] + part[1]) + (part[2] + part[3]);
  T total = 0;
  for (int lane = 0; lane < lanes; ++lane) total += all[lane];
  for (; d < dims; ++d) total += (a[d] - b[d]) * (a[d] - b[d]);
  return total;
}

}  // namespace pcclust::inline PCCLUST_ISA
