// Builds the tree of tree.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "core/column_sort.h"
#include "core/parallel.h"
#include "core/select.h"
#include "core/simd.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// A point on its way to a leaf.
template <class T>
struct alignas(4 * sizeof(T)) Item {
  T coordinate[3];
  int32_t id;
};

template <class T>
PCCLUST_INLINE int widest_axis(const Item<T>* items, int64_t count) {
  typedef T Quad __attribute__((vector_size(4 * sizeof(T))));
  constexpr int kChains = 4;  // independent minima hide the latency of each
  Quad low[kChains], high[kChains];
  for (int c = 0; c < kChains; ++c) low[c] = high[c] = load<Quad>(items);
  int64_t i = 0;
  const auto widen = [&](int c, int64_t at) {
    const Quad item = load<Quad>(items + at);
    low[c] = minimum(item, low[c]);
    high[c] = maximum(item, high[c]);
  };
  for (; i + kChains <= count; i += kChains) {
    for (int c = 0; c < kChains; ++c) widen(c, i + c);
  }
  for (; i < count; ++i) widen(0, i);
  const Quad extent = maximum(maximum(high[0], high[1]), maximum(high[2], high[3])) -
                      minimum(minimum(low[0], low[1]), minimum(low[2], low[3]));
  if (extent[0] >= extent[1]) return extent[0] >= extent[2] ? 0 : 2;
  return extent[1] >= extent[2] ? 1 : 2;
}

// Moves the items that precede a pivot to the front, without a branch.
template <class T, class Precedes>
PCCLUST_INLINE void partition(Item<T>* items, int64_t count, const Precedes& precedes) {
  int64_t front = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Item<T> item = items[i];
    items[i] = items[front];
    items[front] = item;
    front += precedes(item);
  }
}

// Reorders so that items[0 … rank) precede the rest by one coordinate, ties by id: that set is
// unique, whatever the algorithm and the instruction set.
inline void split(Item<float>* items, int64_t count, int64_t rank, int axis) {
  static thread_local KeySelector selector;
  const auto key = [axis](const Item<float>& item) {
    return ordered_key(item.coordinate[axis], item.id);
  };
  const int64_t pivot = selector.nth(count, rank, [&](int64_t i) { return key(items[i]); });
  partition(items, count, [&](const Item<float>& item) { return key(item) < pivot; });
}

inline void split(Item<double>* items, int64_t count, int64_t rank, int axis) {
  std::nth_element(items, items + rank, items + count,
                   [axis](const Item<double>& a, const Item<double>& b) {
                     const double left = a.coordinate[axis], right = b.coordinate[axis];
                     return (left < right) | ((left == right) & (a.id < b.id));
                   });
}

// A run of items that becomes a run of leaves.
template <class T>
struct Span {
  Item<T>* items;
  int64_t count;

  int64_t leaves() const { return (count + kFan - 1) / kFan; }

  std::pair<Span, Span> halves() const {
    const int64_t left = left_of(count);
    split(items, count, left, widest_axis(items, count));
    return {{items, left}, {items + left, count - left}};
  }
};

// Up to how many points are ordered column by column, and laid out as leaves where they were.
template <class T>
constexpr int64_t kInColumns = 0;
#if defined(PCCLUST_HAS_AVX512)
template <>
constexpr int64_t kInColumns<float> = 2048;
#endif

template <class T>
void order_in_columns(Span<T> span) {
  static thread_local ColumnSorter sorter;
  sorter.order(span.count, reinterpret_cast<Leaf<T>*>(span.items), [&](int64_t i, T* coordinate) {
    std::copy_n(span.items[i].coordinate, 3, coordinate);
    return span.items[i].id;
  });
}

template <class T>
void order_span(Span<T> span, const Threads& threads) {
  while (span.count > kInColumns<T> && span.leaves() > 1) {
    if (span.count >= 4096) threads.check();
    const auto [left, right] = span.halves();
    order_span(left, threads);
    span = right;
  }
  if constexpr (kInColumns<T> > 0) {
    if (span.count > 0) order_in_columns(span);
  }
}

// Orders the items of one cloud into leaves, in parallel where there are many.
template <class T>
void order_items(Item<T>* items, int64_t count, const Threads& threads) {
  std::vector<Span<T>> spans{{items, count}};
  const int64_t pieces = threads.count > 1 ? 8 * threads.count : 1;
  while (static_cast<int64_t>(spans.size()) < pieces && spans.front().count >= 4096) {
    std::vector<Span<T>> halves(2 * spans.size(), Span<T>{items, 0});
    for_each_task(threads, static_cast<int64_t>(spans.size()), [&](int64_t i) {
      if (spans[i].leaves() < 2) {
        halves[2 * i] = spans[i];
        return;
      }
      const auto [left, right] = spans[i].halves();
      halves[2 * i] = left;
      halves[2 * i + 1] = right;
    });
    std::erase_if(halves, [](const Span<T>& span) { return span.count == 0; });
    spans = std::move(halves);
  }
  for_each_task(threads, static_cast<int64_t>(spans.size()),
                [&](int64_t i) { order_span(spans[i], threads); });
}

// Where the points lie while they are ordered: in the leaves that they become, where those are as
// large, and so nothing is held twice.
template <class T>
Item<T>* place_for_items(const Tree<T>& tree, Buffer<Item<T>>& apart) {
  if constexpr (sizeof(Leaf<T>) == kFan * sizeof(Item<T>)) {
    return reinterpret_cast<Item<T>*>(tree.leaf);
  } else {
    apart.resize(tree.count);
    return apart.data();
  }
}

// Lays 16 ordered items out as a leaf, which may lie where they do; fewer leave lanes that no
// comparison accepts.
template <class T>
void fill_leaf(const Item<T>* items, int64_t count, Leaf<T>& leaf) {
  Item<T> own[kFan];
  std::memcpy(own, items, count * sizeof(Item<T>));
  Leaf<T> filled;
  for (int lane = 0; lane < kFan; ++lane) {
    const bool used = lane < count;
    for (int axis = 0; axis < 3; ++axis) {
      filled.coordinate[axis][lane] =
          used ? own[lane].coordinate[axis] : std::numeric_limits<T>::quiet_NaN();
    }
    filled.id[lane] = used ? own[lane].id : -1;
  }
  std::memcpy(&leaf, &filled, sizeof(leaf));
}

template <class T>
void fill_leaves(const Item<T>* items, const Tree<T>& tree, const Threads& threads) {
  const int64_t run = 1 << 12;
  for_each_task(threads, (tree.leaves + run - 1) / run, [&](int64_t task) {
    for (int64_t l = task * run; l < tree.leaves && l < (task + 1) * run; ++l) {
      fill_leaf(items + l * kFan, std::min<int64_t>(kFan, tree.count - l * kFan), tree.leaf[l]);
    }
  });
}

template <class T>
void bound_leaf(const Leaf<T>& leaf, Boxes<T>& boxes, int lane) {
  clear_lane(boxes, lane);
  for (int axis = 0; axis < 3; ++axis) {
    T low = leaf.coordinate[axis][0], high = low;
    for (int i = 1; i < kFan; ++i) {  // NaN lanes compare false and change nothing
      low = leaf.coordinate[axis][i] < low ? leaf.coordinate[axis][i] : low;
      high = leaf.coordinate[axis][i] > high ? leaf.coordinate[axis][i] : high;
    }
    boxes.low[axis][lane] = low;
    boxes.high[axis][lane] = high;
  }
  for (int i = 0; i < kFan; ++i) {
    if (leaf.id[i] >= 0 && leaf.id[i] < boxes.first[lane]) boxes.first[lane] = leaf.id[i];
  }
}

template <class T>
void bound_boxes(const Boxes<T>& below, Boxes<T>& boxes, int lane) {
  clear_lane(boxes, lane);
  for (int axis = 0; axis < 3; ++axis) {
    T low = below.low[axis][0], high = below.high[axis][0];
    for (int i = 1; i < kFan && below.first[i] != INT32_MAX; ++i) {
      low = below.low[axis][i] < low ? below.low[axis][i] : low;
      high = below.high[axis][i] > high ? below.high[axis][i] : high;
    }
    boxes.low[axis][lane] = low;
    boxes.high[axis][lane] = high;
  }
  for (int i = 0; i < kFan; ++i) {
    if (below.first[i] < boxes.first[lane]) boxes.first[lane] = below.first[i];
  }
}

// Fills level by level the boxes above the leaves.
template <class T>
void bound_tree(const Tree<T>& tree, const Threads& threads) {
  int64_t nodes = tree.leaves;
  for (int level = 0; level < tree.levels; ++level) {
    const int64_t groups = groups_of(nodes), grain = 256;
    for_each_task(threads, (groups + grain - 1) / grain, [&](int64_t task) {
      for (int64_t g = task * grain; g < groups && g < (task + 1) * grain; ++g) {
        Boxes<T>& boxes = tree.level[level][g];
        for (int lane = 0; lane < kFan; ++lane) {
          const int64_t node = g * kFan + lane;
          if (node >= nodes) clear_lane(boxes, lane);
          else if (level == 0) bound_leaf(tree.leaf[node], boxes, lane);
          else bound_boxes(tree.level[level - 1][node], boxes, lane);
        }
      }
    });
    nodes = groups;
  }
}

// Builds the tree, which is laid out, of points of 1 to 3 dimensions; missing coordinates are 0.
template <class T>
void build_tree(const T* points, int64_t dims, const Tree<T>& tree, Buffer<Item<T>>& apart,
                const Threads& threads) {
  const int64_t count = tree.count;
  Item<T>* items = place_for_items(tree, apart);
  const int64_t grain = 1 << 16;
  for_each_task(threads, (count + grain - 1) / grain, [&](int64_t task) {
    for (int64_t i = task * grain; i < count && i < (task + 1) * grain; ++i) {
      for (int axis = 0; axis < 3; ++axis) {
        items[i].coordinate[axis] = axis < dims ? points[i * dims + axis] : T(0);
      }
      items[i].id = static_cast<int32_t>(i);
    }
  });
  order_items(items, count, threads);
  if constexpr (kInColumns<T> == 0) fill_leaves(items, tree, threads);
  bound_tree(tree, threads);
}

}  // namespace pcclust::inline PCCLUST_ISA
