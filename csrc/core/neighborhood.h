// What the queries of one leaf have in common: the leaves around them.
#pragma once

#include <cstdint>

#include "core/simd.h"
#include "core/top_k.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// The leaves around the queries of one leaf.
template <class T>
struct Neighborhood {
  static constexpr int room = 6 * kFan;
  T reach = 0;  // squared: no point that near to a query of the leaf lies elsewhere
  Boxes<T> boxes[room / kFan];
  alignas(64) int32_t leaf[room];
  int count = 0;
  // Of one query: how far each box is, the leaves near enough and the distances to their points.
  alignas(64) T gap[room];
  alignas(64) int32_t measured[room + kFan];
  int leaves = 0;
  alignas(64) T distance[room * kFan];
  Found found;

  void add(const Boxes<T>& from, int lane, int64_t which) {
    Boxes<T>& to = boxes[count / kFan];
    for (int axis = 0; axis < 3; ++axis) {
      to.low[axis][count % kFan] = from.low[axis][lane];
      to.high[axis][count % kFan] = from.high[axis][lane];
    }
    to.first[count % kFan] = from.first[lane];
    leaf[count++] = static_cast<int32_t>(which);
  }
  void clear(int lane) { clear_lane(boxes[lane / kFan], lane % kFan); }
};

}  // namespace pcclust::inline PCCLUST_ISA
