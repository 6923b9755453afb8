// Farthest point sampling: exact, over the tree of tree.h.
//
// Every point knows its squared distance to the nearest chosen point, every leaf and node the
// largest of these below it. A newly chosen point can shorten distances only where a box is nearer
// to it than the largest distance inside; all other branches keep what they know. As the chosen
// points grow dense, a step touches a handful of leaves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/argmax.h"
#include "core/arguments.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/placed_tree.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// Samples one cloud after another, keeping its memory.
template <class T>
class FarthestPoints {
 public:
  using V = typename Vector<T>::Type;
  static constexpr int kLanes = Vector<T>::lanes;

  // Writes the positions of `samples` points, beginning with `first`.
  void sample(const T* points, int64_t count, int64_t dims, int64_t first, int64_t samples,
              int64_t* chosen, const Threads& threads) {
    points_.build(points, count, dims, threads);
    at_.resize(std::max<int64_t>(dims, 3));
    start();
    int32_t next = static_cast<int32_t>(first);
    for (int64_t s = 0;; next = take(next).id) {
      chosen[s] = next;
      if (++s == samples) return;
      if (s % 64 == 0) threads.check();
    }
  }

 private:
  // No point is chosen yet: every one is infinitely far. Unused lanes are never the farthest.
  void start() {
    const Tree<T>& tree = points_.tree;
    distance_.resize(tree.leaves * kFan);
    for (int64_t place = 0; place < tree.leaves * kFan; ++place) {
      const bool used = tree.leaf[place / kFan].id[place % kFan] >= 0;
      distance_[place] = used ? std::numeric_limits<T>::infinity() : T(-1);
    }
    while (static_cast<int>(argmax_.size()) < tree.levels) argmax_.emplace_back();
    int64_t nodes = tree.leaves;
    for (int level = 0; level < tree.levels; ++level, nodes = (nodes + kFan - 1) / kFan) {
      const int64_t groups = (nodes + kFan - 1) / kFan;
      argmax_[level].resize(groups);
      for (int64_t node = 0; node < groups * kFan; ++node) {
        ArgmaxOfSiblings<T>& found = argmax_[level][node / kFan];
        found.value[node % kFan] = node < nodes ? std::numeric_limits<T>::infinity() : T(-1);
        found.id[node % kFan] = tree.level[level][node / kFan].first[node % kFan];
      }
    }
  }

  // Chooses a point for good and returns the one that is now the farthest.
  Argmax<T> take(int32_t id) {
    taken_ = points_.place[id];
    distance_[taken_] = T(-1);
    points_.copy_coordinates(taken_, at_.data());
    return shorten(Position<T>(at_.data()), points_.tree.levels - 1, 0, true);
  }

  // Shortens the distances below the 16 siblings of `group`; `holds` where the taken point is there.
  Argmax<T> shorten(const Position<T>& from, int level, int64_t group, bool holds) {
    ArgmaxOfSiblings<T>& found = argmax_[level][group];
    alignas(64) T gap[kFan];
    Searcher<T>::box_distances(from, points_.tree.level[level][group], gap);
    const int home = holds ? (taken_ >> (4 * (level + 1))) % kFan : -1;
    uint32_t left = holds ? 1u << home : 0;  // also where all that is left is duplicates of it
    for (int lane = 0; lane < kFan; lane += kLanes) {
      left |= lanes_below(load<V>(gap + lane), load<V>(found.value + lane)) << lane;
    }
    for (; left; left &= left - 1) {
      const int lane = __builtin_ctz(left);
      const int64_t child = group * kFan + lane;
      const Argmax<T> best = level > 0 ? shorten(from, level - 1, child, lane == home)
                                     : shorten_leaf(from, child);
      found.value[lane] = best.value;
      found.id[lane] = best.id;
    }
    return argmax_of(found.value, found.id);
  }

  Argmax<T> shorten_leaf(const Position<T>& from, int64_t l) {
    T* distances = distance_.data() + l * kFan;
    for (int lane = 0; lane < kFan; lane += kLanes) {
      const V now = points_.squared_distances(from, at_.data(), l, lane);
      store(distances + lane, minimum(now, load<V>(distances + lane)));
    }
    return argmax_of(distances, points_.tree.leaf[l].id);
  }

  PlacedTree<T> points_;
  Buffer<T> distance_;                   // of each place, to the nearest chosen point; -1 once chosen
  std::vector<Buffer<ArgmaxOfSiblings<T>>> argmax_;  // as the tree's boxes
  Buffer<T> at_;                         // coordinates of the point being taken
  int32_t taken_ = 0;                    // and its place
};

template <class T>
void farthest_points(const FarthestPointArguments<T>& a, const Threads& threads) {
  // One cloud's steps follow from each other: threads share the building of its tree, no more.
  const Shares shares = share_clouds(threads, a.points.count, threads.count);
  for_each_task_with(
      shares.across, a.points.count, [] { return FarthestPoints<T>(); },
      [&](int64_t cloud, FarthestPoints<T>& sampler) {
        const int64_t start = a.points.starts[cloud];
        if (a.points.sizes[cloud] == 0) return;
        int64_t* chosen = a.indices + cloud * a.num_samples;
        sampler.sample(a.points.rows + start * a.points.dims, a.points.sizes[cloud], a.points.dims,
                       a.first[cloud], a.num_samples, chosen, shares.inside);
        for (int64_t s = 0; a.packed && s < a.num_samples; ++s) chosen[s] += start;
      });
}

}  // namespace pcclust::inline PCCLUST_ISA
