// What the queries of one leaf have in common: the leaves around them.
#pragma once

#include <cstdint>

#include "core/simd.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// The leaves in which the neighbours of all queries of one leaf lie.
template <class T>
struct Neighborhood {
  static constexpr int room = 6 * kFan;
  Boxes<T> boxes[room / kFan];
  int64_t leaf[room];
  int count = 0;
  // Of one query: the leaves near enough and the distances to their points.
  int64_t measured[room];
  alignas(64) T distance[room * kFan];

  void add(const Boxes<T>& from, int lane, int64_t which) {
    Boxes<T>& to = boxes[count / kFan];
    for (int axis = 0; axis < 3; ++axis) {
      to.low[axis][count % kFan] = from.low[axis][lane];
      to.high[axis][count % kFan] = from.high[axis][lane];
    }
    to.first[count % kFan] = from.first[lane];
    leaf[count++] = which;
  }
  void clear(int lane) { clear_lane(boxes[lane / kFan], lane % kFan); }
};

}  // namespace pcclust::inline PCCLUST_ISA
