// A few queries of one leaf, taken through each step of a search together: what one of them has
// written is not read before the others have passed the step, so none waits for its own memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/neighborhood.h"
#include "core/simd.h"
#include "core/top_k.h"
#include "core/tree.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int kTogether = 4;  // more queries know less of where those before them ended

// Queries of float whose lists rank all candidates at once, within a neighbourhood.
template <class List>
class QueryGroup {
 public:
  QueryGroup(const Tree<float>& tree, int64_t k, const List& list)
      : tree_(tree), k_(k), lists_(kTogether, list) {}

  // Searches `count` queries for points within `limit`, the k-th of them expected at `guess`; returns
  // how many of the first are done; `near` may lack neighbours of the one after them.
  int search(const float (*at)[3], const int32_t* excluded, int count, float guess, float limit,
             const Neighborhood<float>& near) {
    const float first = std::min(guess, near.reach);
    for (int q = 0; q < count; ++q) {
      leaves_[q] = choose(Position<float>(at[q]), near, first, chosen_[q]);
    }
    for (int q = 0; q < count; ++q) {
      if (!find(Position<float>(at[q]), q, excluded[q], first, limit, near)) count = q;
    }
    for (int q = 0; q < count; ++q) {
      lists_[q].start(limit);
      lists_[q].rank(found_[q]);
    }
    return count;
  }

  const List& list(int q) const { return lists_[q]; }

  // The mean k-th distance of the first `count` queries.
  float mean_threshold(int count) const {
    float total = 0;
    for (int q = 0; q < count; ++q) total += lists_[q].threshold();
    return total / static_cast<float>(count);
  }

 private:
  // Finds k points or more, those `within` a distance first; returns false where they are too many
  // to be ranked, or may lie beyond the neighbourhood.
  bool find(const Position<float>& query, int q, int32_t excluded, float within, float limit,
            const Neighborhood<float>& near) {
    for (int leaves = leaves_[q];;) {
      if (!gather(query, chosen_[q], leaves, excluded, within, found_[q])) return false;
      const int count = found_[q].count;
      if (count >= k_) return true;
      if (!(within < near.reach)) return near.reach >= limit;
      const float share = 1.25f * static_cast<float>(k_) / static_cast<float>(std::max(count, 1));
      within = within * share > within ? std::min(within * share, near.reach) : near.reach;
      leaves = choose(query, near, within, chosen_[q]);
    }
  }

  // Lists the leaves within `limit` of a query; returns how many.
  static int choose(const Position<float>& query, const Neighborhood<float>& near, float limit,
                    int32_t* chosen) {
    int count = 0;
    for (int part = 0; part * kFan < near.count; ++part) {
      alignas(64) float distance[kFan];
      Searcher<float>::box_distances(query, near.boxes[part], distance);
      const uint32_t within = lanes_within(distance, limit);
      append(chosen + count, near.leaf + part * kFan, within);
      count += __builtin_popcount(within);
    }
    return count;
  }

  // Finds the points of the chosen leaves within `limit`; returns false where they are too many.
  bool gather(const Position<float>& query, const int32_t* chosen, int leaves, int32_t excluded,
              float limit, Found& found) const {
    const Leaf<float>* const all = tree_.leaf;
    int count = 0;
    for (int l = 0; l < leaves; ++l) {
      const Leaf<float>& leaf = all[chosen[l]];
      alignas(64) float distance[kFan];
      Searcher<float>::measure_leaf(query, leaf, excluded, distance);
      const uint32_t within = lanes_within(distance, limit);
      append(found.distance + count, distance, within);
      append(found.id + count, leaf.id, within);
      count += __builtin_popcount(within);
      if (count > Found::most) return false;
    }
    found.count = count;
    return true;
  }

  const Tree<float>& tree_;
  const int64_t k_;
  std::vector<List> lists_;
  alignas(64) int32_t chosen_[kTogether][Neighborhood<float>::room + kFan];
  int leaves_[kTogether];
  Found found_[kTogether];
};

// Stands for a group where queries are searched one by one.
struct NoGroup {
  template <class... Arguments>
  explicit NoGroup(const Arguments&...) {}
};

// Groups pay where a vector can be compressed by one instruction, and for lists so short that ranking
// some candidates too many costs less than choosing among them first.
template <class List>
struct GroupFor {
  using Type = NoGroup;
};
#if defined(PCCLUST_HAS_AVX512)
template <int Octets>
  requires(Octets <= 4)
struct GroupFor<RegisterList<Octets>> {
  using Type = QueryGroup<RegisterList<Octets>>;
};
#endif
template <class List>
using GroupOf = typename GroupFor<List>::Type;

}  // namespace pcclust::inline PCCLUST_ISA
