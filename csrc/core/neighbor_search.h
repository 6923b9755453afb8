// kNN and ball queries over many clouds: trees, threads and the way of the results out.
#pragma once

#include <cstdint>
#include <limits>

#include "core/arguments.h"
#include "core/brute_search.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/tree.h"
#include "core/tree_build.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kTreeDims = 3;  // up to here a tree wins; above, every distance is computed

// Writes one query's neighbours to its row of the output.
template <class T>
class RowWriter {
 public:
  RowWriter(const SearchArguments<T>& a, int64_t cloud)
      : a_(a),
        first_row_(a.queries.starts[cloud]),
        first_index_(a.packed ? a.points.starts[cloud] : 0) {}

  template <class List>
  void operator()(int64_t query, const List& list) const {
    const int64_t row = first_row_ + query;
    T* distances = a_.distances + row * a_.k;
    int64_t* indices = a_.indices + row * a_.k;
    int64_t count = a_.k;
    if (list.full()) {
      for (int64_t i = 0; i < a_.k; ++i) distances[i] = list.distance(i);
      for (int64_t i = 0; i < a_.k; ++i) indices[i] = list.id(i) + first_index_;
    } else {
      count = 0;
      for (int64_t i = 0; i < a_.k; ++i) {
        distances[i] = list.distance(i);
        const int64_t id = list.id(i);
        indices[i] = id < 0 ? -1 : id + first_index_;
        count += id >= 0;
      }
    }
    if (a_.counts) a_.counts[row] = count;
  }

 private:
  const SearchArguments<T>& a_;
  int64_t first_row_, first_index_;
};

// Searches from the queries of the leaves [begin, end) of `order`, which is the tree itself where
// points are their own queries, and calls emit(query, list) for each.
template <class T, class List, class Emit>
void search_leaves(const Tree<T>& tree, const Tree<T>& order, int64_t begin, int64_t end,
                   const SearchArguments<T>& a, List& list, const Emit& emit) {
  const Searcher<T> searcher(tree);
  const bool self = &tree == &order;
  T previous[3] = {};
  bool warm = false;
  for (int64_t l = begin; l < end; ++l) {
    const Leaf<T>& leaf = order.leaf[l];
    for (int lane = 0; lane < kFan && leaf.id[lane] >= 0; ++lane) {
      T at[3], step[3];
      for (int axis = 0; axis < 3; ++axis) {
        at[axis] = leaf.coordinate[axis][lane];
        step[axis] = at[axis] - previous[axis];
      }
      T limit = a.limit;
      if (warm) limit = std::min(limit, inherited_bound(list.threshold(), squared_norm(step)));
      list.start(limit);
      const int64_t start_leaf = self ? l : searcher.nearest_leaf(at);
      searcher.search(at, start_leaf, a.exclude_self ? leaf.id[lane] : -2, list);
      warm = list.full();
      for (int axis = 0; axis < 3; ++axis) previous[axis] = at[axis];
      emit(leaf.id[lane], list);
    }
  }
}

// A thread's trees, kept from cloud to cloud.
template <class T>
struct SearchScratch {
  Tree<T> tree, order;
  Buffer<Item<T>> items;
};

// Calls use(list) with the list that suits the dtype and k.
template <class T, class Use>
void with_list(int64_t k, const Use& use) {
  if constexpr (std::is_same_v<T, float>) {
    const auto registers = [&]<int Octets>() {
      RegisterList<Octets> list(k);
      use(list);
    };
    switch ((k + 7) / 8) {
      case 1: return registers.template operator()<1>();
      case 2: return registers.template operator()<2>();
      case 3: return registers.template operator()<3>();
      case 4: return registers.template operator()<4>();
      case 5: case 6: return registers.template operator()<6>();
      case 7: case 8: return registers.template operator()<8>();
    }
  }
  BufferList<T> list(k);
  use(list);
}

// Builds what one cloud needs and searches it with `threads`.
template <class T, class EmitOf>
void search_cloud(const SearchArguments<T>& a, int64_t cloud, SearchScratch<T>& scratch,
                  const Threads& threads, const EmitOf& emit_of) {
  const int64_t dims = a.points.dims;
  build_tree(a.points.rows + a.points.starts[cloud] * dims, a.points.sizes[cloud], dims,
             scratch.tree, scratch.items, threads);
  if (!a.self) {
    build_tree(a.queries.rows + a.queries.starts[cloud] * dims, a.queries.sizes[cloud], dims,
               scratch.order, scratch.items, threads);
  }
  const Tree<T>& order = a.self ? scratch.tree : scratch.order;
  const auto emit = emit_of(cloud);
  const int64_t run = threads.count > 1 ? 64 : order.leaves;
  for_each_task(threads, (order.leaves + run - 1) / run, [&](int64_t task) {
    with_list<T>(a.k, [&](auto& list) {
      search_leaves(scratch.tree, order, task * run, std::min(order.leaves, (task + 1) * run), a,
                    list, emit);
    });
  });
}

// Searches every cloud; emit_of(cloud) returns the emit of its queries.
template <class T, class EmitOf>
void search_clouds(const SearchArguments<T>& a, const Threads& threads, const EmitOf& emit_of) {
  const int64_t workers = std::min(threads.count, a.points.count);
  if (workers > 1 && a.points.count >= 2 * threads.count) {
    const Threads alone{1, threads.run};
    std::atomic<int64_t> next{0};
    threads.run(workers, [&](int64_t) {
      SearchScratch<T> scratch;
      for (int64_t cloud; (cloud = next.fetch_add(1)) < a.points.count;) {
        search_cloud(a, cloud, scratch, alone, emit_of);
      }
    });
    return;
  }
  SearchScratch<T> scratch;
  for (int64_t cloud = 0; cloud < a.points.count; ++cloud) {
    search_cloud(a, cloud, scratch, threads, emit_of);
  }
}

template <class T>
void search_neighbors(const SearchArguments<T>& a, const Threads& threads) {
  if (a.points.dims > kTreeDims) return brute_search(a, threads);
  search_clouds(a, threads, [&](int64_t cloud) { return RowWriter<T>(a, cloud); });
}

}  // namespace pcclust::inline PCCLUST_ISA
