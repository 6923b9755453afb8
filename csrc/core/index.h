// The trees of many clouds in one piece of memory: built once, searched often.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/neighbor_search.h"
#include "core/parallel.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// The trees of clouds one after the other in `memory`.
template <class T>
std::vector<Tree<T>> lay_out_trees(const Clouds<T>& clouds, std::byte* memory) {
  std::vector<Tree<T>> trees(clouds.count);
  for (int64_t cloud = 0; cloud < clouds.count; ++cloud) {
    trees[cloud].lay_out(clouds.sizes[cloud], memory);
    memory += Tree<T>::bytes(clouds.sizes[cloud]);
  }
  return trees;
}

template <class T>
void build_index(const Clouds<T>& clouds, std::byte* memory, const Threads& threads) {
  const std::vector<Tree<T>> trees = lay_out_trees(clouds, memory);
  const Shares shares = share_clouds(threads, clouds.count, 2 * threads.count);
  for_each_task_with(
      shares.across, clouds.count, [] { return Buffer<Item<T>>(); },
      [&](int64_t cloud, Buffer<Item<T>>& items) {
        build_cloud(clouds, cloud, trees[cloud], items, shares.inside);
      });
}

// Whether every point of a cloud is in its tree once: what searches from the points themselves rely
// on, since each point's place in the results follows from its id.
template <class T>
bool holds_every_point(const Tree<T>& tree) {
  std::vector<bool> seen(tree.count);
  for (int64_t place = 0; place < tree.leaves * kFan; ++place) {
    const int32_t id = tree.leaf[place / kFan].id[place % kFan];
    if (place >= tree.count) {
      if (id >= 0) return false;
    } else {
      if (id < 0 || id >= tree.count || seen[id]) return false;
      seen[id] = true;
    }
  }
  return true;
}

// Searches the trees that build_index wrote; returns false, having done nothing, where they are
// not those of the clouds.
template <class T>
bool search_index(const SearchArguments<T>& a, const std::byte* memory, const Threads& threads) {
  // Searching changes nothing.
  const std::vector<Tree<T>> trees = lay_out_trees(a.points, const_cast<std::byte*>(memory));
  for (int64_t cloud = 0; a.self && cloud < a.points.count; ++cloud) {
    if (!holds_every_point(trees[cloud])) return false;
  }
  const Shares shares = share_clouds(threads, a.points.count, 2 * threads.count);
  for_each_task_with(
      shares.across, a.points.count, [] { return SearchScratch<T>(); },
      [&](int64_t cloud, SearchScratch<T>& scratch) {
        if (trees[cloud].count == 0) return;
        if (!a.self) {
          scratch.order.resize(a.queries.sizes[cloud]);
          build_cloud<T>(a.queries, cloud, scratch.order, scratch.items, shares.inside);
        }
        const Tree<T>& order = a.self ? trees[cloud] : scratch.order;
        search_trees(a, trees[cloud], order, shares.inside, RowWriter<T>(a, cloud));
      });
  return true;
}

}  // namespace pcclust::inline PCCLUST_ISA
