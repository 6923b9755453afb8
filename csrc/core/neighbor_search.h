// kNN and ball queries over many clouds: trees, threads and the way of the results out.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/panel_search.h"
#include "core/parallel.h"
#include "core/query_group.h"
#include "core/row_writer.h"
#include "core/tree.h"
#include "core/tree_build.h"
#include "core/tree_search.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kTreeDims = 3;  // up to here a tree wins; above, every distance is computed
constexpr int64_t kLargeCloud = 1 << 16;  // whose scratch memory is worth giving back early

// Squared k-th distances that the last one lets expect: that of the next query, with so many points
// more within it as cost nothing, and the farthest of its leaf.
constexpr float kNext = 1.25f;
constexpr float kReach = 2.5f;

// The queries of one leaf, searched a few at a time or one after the other.
template <class T, class List, class Emit>
class LeafQueries {
 public:
  LeafQueries(const Tree<T>& tree, const Tree<T>& order, const SearchArguments<T>& a, List& list,
              const Emit& emit)
      : searcher_(tree),
        order_(order),
        a_(a),
        k_(std::min(a.k, tree.count)),
        list_(list),
        emit_(emit),
        self_(&tree == &order),
        group_(tree, k_, list) {}

  // Where the k-th distance of the last query lets expect those of this leaf, the leaves so near to
  // it are collected once for all its queries. A query whose neighbours may lie beyond goes through
  // the whole tree, and the others wait for what it finds.
  void search(int64_t l) {
    const Leaf<T>& leaf = order_.leaf[l];
    const int used = static_cast<int>(std::min<int64_t>(kFan, order_.count - l * kFan));
    for (int lane = 0; lane < used; ++lane) emit_.expect(leaf.id[lane]);
    bool near = collect(l);
    for (int lane = 0; lane < used;) {
      if (near) {
        const int found = search_group(leaf, lane, std::min(kTogether, used - lane));
        lane += found;
        if (found > 0) continue;
      }
      if (!(near && search_near(leaf, lane))) {
        search_tree(leaf, lane, l);
        if (near || lane == 0) near = collect(l);
      }
      emit_(leaf.id[lane++], list_);
    }
  }

 private:
  // Searches and emits queries from lane `first` on, at most `count`; returns how many.
  int search_group(const Leaf<T>& leaf, int first, int count) {
    if constexpr (!std::is_same_v<GroupOf<List>, NoGroup>) {
      T at[kTogether][3];
      int32_t without[kTogether];
      for (int q = 0; q < count; ++q) {
        for (int axis = 0; axis < 3; ++axis) at[q][axis] = leaf.coordinate[axis][first + q];
        without[q] = excluded(leaf, first + q);
      }
      const T guess = warm_ ? expected_ * kNext : a_.limit;
      count = group_.search(at, without, count, guess, a_.limit, near_);
      for (int q = 0; q < count; ++q) emit_(leaf.id[first + q], group_.list(q));
      if (count > 0) {
        std::copy_n(at[count - 1], 3, at_);
        remember(group_.list(count - 1));
        expected_ = group_.mean_threshold(count);
      }
      return count;
    }
    return 0;
  }

  bool search_near(const Leaf<T>& leaf, int lane) {
    list_.start(a_.limit);
    move_to(leaf, lane);
    const T guess = warm_ ? kth_ * kNext : a_.limit;
    if (!searcher_.search_near(at_, near_, excluded(leaf, lane), k_, guess, list_)) return false;
    remember(list_);
    return true;
  }

  void search_tree(const Leaf<T>& leaf, int lane, int64_t l) {
    list_.start(warm_ ? bound(leaf, lane) : a_.limit);
    move_to(leaf, lane);
    const int64_t start_leaf = self_ ? l : searcher_.nearest_leaf(at_);
    searcher_.search(at_, start_leaf, excluded(leaf, lane), list_);
    remember(list_);
  }

  bool collect(int64_t l) {
    T low[3], high[3];
    const Boxes<T>& boxes = order_.level[0][l / kFan];
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = boxes.low[axis][l % kFan];
      high[axis] = boxes.high[axis][l % kFan];
    }
    const T reach = warm_ ? std::min(a_.limit, kth_ * kReach) : a_.limit;
    return searcher_.collect(low, high, reach, near_);
  }

  void move_to(const Leaf<T>& leaf, int lane) {
    for (int axis = 0; axis < 3; ++axis) at_[axis] = leaf.coordinate[axis][lane];
  }

  void remember(const List& list) {
    warm_ = list.full();
    kth_ = expected_ = list.threshold();
    for (int axis = 0; axis < 3; ++axis) found_at_[axis] = at_[axis];
  }

  // What the last query found bounds the next one, by the distance between the two.
  T bound(const Leaf<T>& leaf, int lane) const {
    T step[3];
    for (int axis = 0; axis < 3; ++axis) step[axis] = leaf.coordinate[axis][lane] - found_at_[axis];
    return std::min(a_.limit, inherited_bound(kth_, squared_norm(step)));
  }

  int32_t excluded(const Leaf<T>& leaf, int lane) const {
    return a_.exclude_self ? leaf.id[lane] : -2;
  }

  const Searcher<T> searcher_;
  const Tree<T>& order_;
  const SearchArguments<T>& a_;
  const int64_t k_;  // how many a list of this cloud's points holds
  List& list_;
  const Emit& emit_;
  const bool self_;
  T at_[3] = {};
  bool warm_ = false;    // whether the last query found k neighbours,
  T kth_ = 0;            // how far (squared) the last of them was,
  T found_at_[3] = {};   // and where the query; and
  T expected_ = 0;       // what that lets expect of the next
  Neighborhood<T> near_;
  GroupOf<List> group_;
};

// A thread's trees, kept from cloud to cloud.
template <class T>
struct SearchScratch {
  OwnTree<T> tree, order;
  Buffer<Item<T>> items;
};

// Searches the points of `tree`, of which there are some, from the queries of `order`.
template <class T, class Emit>
void search_trees(const SearchArguments<T>& a, const Tree<T>& tree, const Tree<T>& order,
                  const Threads& threads, const Emit& emit) {
  const int64_t run = threads.count > 1 ? 64 : std::max<int64_t>(order.leaves, 1);
  for_each_task(threads, (order.leaves + run - 1) / run, [&](int64_t task) {
    with_list<T>(std::min(a.k, tree.count), [&](auto& list) {
      LeafQueries queries(tree, order, a, list, emit);
      const int64_t end = std::min(order.leaves, (task + 1) * run);
      for (int64_t l = task * run; l < end; ++l) {
        if (l % 64 == 0) threads.check();
        queries.search(l);
      }
    });
  });
}

template <class T>
void build_cloud(const Clouds<T>& clouds, int64_t cloud, const Tree<T>& tree,
                 Buffer<Item<T>>& items, const Threads& threads) {
  build_tree(clouds.rows + clouds.starts[cloud] * clouds.dims, clouds.dims, tree, items, threads);
}

// Builds what one cloud needs and searches it with `threads`.
template <class T, class EmitOf>
void search_cloud(const SearchArguments<T>& a, int64_t cloud, SearchScratch<T>& scratch,
                  const Threads& threads, const EmitOf& emit_of) {
  if (a.points.sizes[cloud] == 0) return;
  scratch.tree.resize(a.points.sizes[cloud]);
  build_cloud<T>(a.points, cloud, scratch.tree, scratch.items, threads);
  if (!a.self) {
    scratch.order.resize(a.queries.sizes[cloud]);
    build_cloud<T>(a.queries, cloud, scratch.order, scratch.items, threads);
  }
  // Of a large cloud, what only building needed makes room for the results.
  if (a.points.sizes[cloud] >= kLargeCloud) scratch.items.release();
  const Tree<T>& order = a.self ? scratch.tree : scratch.order;
  search_trees<T>(a, scratch.tree, order, threads, emit_of(cloud));
}

// Searches every cloud; emit_of(cloud) returns the emit of its queries.
template <class T, class EmitOf>
void search_clouds(const SearchArguments<T>& a, const Threads& threads, const EmitOf& emit_of) {
  const Shares shares = share_clouds(threads, a.points.count, 2 * threads.count);
  for_each_task_with(
      shares.across, a.points.count, [] { return SearchScratch<T>(); },
      [&](int64_t cloud, SearchScratch<T>& scratch) {
        search_cloud(a, cloud, scratch, shares.inside, emit_of);
      });
}

template <class T>
void search_neighbors(const SearchArguments<T>& a, const Threads& threads) {
  if (a.points.dims > kTreeDims) return search_by_panels(a, threads);
  search_clouds(a, threads, [&](int64_t cloud) { return RowWriter<T>(a, cloud); });
}

}  // namespace pcclust::inline PCCLUST_ISA
