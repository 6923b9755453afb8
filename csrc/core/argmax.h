// The largest of sixteen values, ties to the lowest id.
#pragma once

#include <cstdint>

#include "core/simd.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
struct Argmax {
  T value;
  int32_t id;
};

// The argmax of each of 16 siblings.
template <class T>
struct alignas(64) ArgmaxOfSiblings {
  T value[kFan];
  int32_t id[kFan];
};

template <class T>
PCCLUST_INLINE Argmax<T> argmax_of(const T* value, const int32_t* id) {
  using V = typename Vector<T>::Type;
  constexpr int lanes = Vector<T>::lanes;
  V most = load<V>(value);
  for (int lane = lanes; lane < kFan; lane += lanes) most = maximum(most, load<V>(value + lane));
  Argmax<T> best{largest_lane(most), INT32_MAX};
  uint32_t tied = 0;
  for (int lane = 0; lane < kFan; lane += lanes) {
    tied |= lanes_equal(load<V>(value + lane), splat<V>(best.value)) << lane;
  }
  for (; tied; tied &= tied - 1) {
    const int32_t candidate = id[__builtin_ctz(tied)];
    best.id = candidate < best.id ? candidate : best.id;
  }
  return best;
}

}  // namespace pcclust::inline PCCLUST_ISA
