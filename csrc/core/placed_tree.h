// A tree whose points can be found again: where each lies, and its coordinates beyond the third.
//
// Boxes know the first three dimensions only. That is a lower bound in any dimension, so the same
// tree prunes well in space and never fails for features.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/buffer.h"
#include "core/parallel.h"
#include "core/simd.h"
#include "core/tree.h"
#include "core/tree_build.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
struct PlacedTree {
  using V = typename Vector<T>::Type;

  OwnTree<T> tree;
  Buffer<Item<T>> items;
  Buffer<int32_t> place;  // of each point: 16 · leaf + lane
  Buffer<T> more;         // (leaves, dims - 3, 16) coordinates beyond the third
  int beyond = 0;         // how many dimensions that is

  void build(const T* points, int64_t count, int64_t dims, const Threads& threads) {
    tree.resize(count);
    build_tree<T>(points, dims, tree, items, threads);
    beyond = static_cast<int>(std::max<int64_t>(dims - 3, 0));
    place.resize(count);
    more.resize(tree.leaves * kFan * beyond);
    for (int64_t at = 0; at < tree.leaves * kFan; ++at) {
      const int32_t id = tree.leaf[at / kFan].id[at % kFan];
      if (id >= 0) place[id] = static_cast<int32_t>(at);
      for (int axis = 0; axis < beyond; ++axis) {
        coordinate(at, axis + 3) = id < 0 ? T(0) : points[id * dims + axis + 3];
      }
    }
  }

  T& coordinate(int64_t at, unsigned axis) {
    if (axis < 3) return tree.leaf[at / kFan].coordinate[axis][at % kFan];
    return more[((at / kFan) * beyond + axis - 3) * kFan + at % kFan];
  }

  // Copies the coordinates at a place, three at least.
  void copy_coordinates(int64_t at, T* to) {
    for (int axis = 0; axis < 3 + beyond; ++axis) to[axis] = coordinate(at, axis);
  }

  // From `position`, whose coordinates are `from`, to the points of leaf `l` from `lane` on: summed
  // in order of dimension, every operation rounded.
  PCCLUST_INLINE V squared_distances(const Position<T>& position, const T* from, int64_t l,
                                     int lane) const {
    V d[3];
    for (int axis = 0; axis < 3; ++axis) {
      d[axis] = load<V>(tree.leaf[l].coordinate[axis] + lane) - position.coordinate[axis];
    }
    V total = squared_norm(d);
    for (int axis = 0; axis < beyond; ++axis) {
      const T* column = more.data() + (l * beyond + axis) * kFan + lane;
      const V difference = load<V>(column) - splat<V>(from[axis + 3]);
      total += difference * difference;
    }
    return total;
  }
};

}  // namespace pcclust::inline PCCLUST_ISA
