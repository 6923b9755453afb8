// Builds the tree of tree.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "core/parallel.h"
#include "core/simd.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// A point on its way to a leaf.
template <class T>
struct alignas(4 * sizeof(T)) Item {
  T coordinate[3];
  int32_t id;
};

// Items are ordered by one coordinate, ties by id, so that every order is the only one possible.
template <class T>
PCCLUST_INLINE bool precedes(const Item<T>& a, const Item<T>& b, int axis) {
  const T left = a.coordinate[axis], right = b.coordinate[axis];
  return (left < right) | ((left == right) & (a.id < b.id));
}

template <class T>
PCCLUST_INLINE int widest_axis(const Item<T>* items, int64_t count) {
  typedef T Quad __attribute__((vector_size(4 * sizeof(T))));
  Quad low, high;
  std::memcpy(&low, items, sizeof(Quad));
  high = low;
  for (int64_t i = 1; i < count; ++i) {
    Quad item;
    std::memcpy(&item, items + i, sizeof(Quad));
    low = item < low ? item : low;
    high = item > high ? item : high;
  }
  const Quad extent = high - low;
  if (extent[0] >= extent[1]) return extent[0] >= extent[2] ? 0 : 2;
  return extent[1] >= extent[2] ? 1 : 2;
}

// Moves the items that precede `pivot` to the front, without a branch; returns how many there are.
template <class T>
PCCLUST_INLINE int64_t partition(Item<T>* items, int64_t count, Item<T> pivot, int axis) {
  int64_t front = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Item<T> item = items[i];
    items[i] = items[front];
    items[front] = item;
    front += precedes(item, pivot, axis);
  }
  return front;
}

template <class T>
void insertion_sort(Item<T>* items, int64_t count, int axis) {
  for (int64_t i = 1; i < count; ++i) {
    const Item<T> item = items[i];
    int64_t j = i;
    for (; j > 0 && precedes(item, items[j - 1], axis); --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

// Reorders so that items[0 … rank) precede the rest, by the selection of Floyd and Rivest
// ("Algorithm 489: SELECT", 1975): the pivot comes from a sample, just beside the rank.
template <class T>
void select(Item<T>* items, int64_t count, int64_t rank, int axis) {
  while (count > 32) {
    int64_t at = rank;
    if (count > 256) {
      const double n = static_cast<double>(count), share = rank / n;
      const double sample = 0.5 * std::pow(n, 2.0 / 3.0);
      const double margin = 0.5 * std::sqrt(std::log(n) * sample * (n - sample) / n);
      // Aim a little past the rank on the side that leaves the smaller part to look at.
      const double aim = share * sample + (share < 0.5 ? margin : -margin);
      const int64_t taken = static_cast<int64_t>(sample);
      const int64_t stride = count / taken;
      for (int64_t i = 0; i < taken; ++i) std::swap(items[i], items[i * stride]);
      at = std::clamp<int64_t>(static_cast<int64_t>(aim), 0, taken - 1);
      select(items, taken, at, axis);
    }
    std::swap(items[at], items[count - 1]);
    const Item<T> pivot = items[count - 1];
    const int64_t front = partition(items, count - 1, pivot, axis);
    std::swap(items[front], items[count - 1]);
    if (rank == front) return;
    if (rank < front) {
      count = front;
    } else {
      items += front + 1;
      count -= front + 1;
      rank -= front + 1;
    }
  }
  insertion_sort(items, count, axis);
}

// A run of items that becomes a run of leaves.
template <class T>
struct Span {
  Item<T>* items;
  int64_t count;

  int64_t leaves() const { return (count + kFan - 1) / kFan; }

  // Cuts at the largest power of two of full leaves, which keeps every node at its fixed place.
  std::pair<Span, Span> halves() const {
    const int64_t left = kFan * static_cast<int64_t>(std::bit_floor(
                                    static_cast<uint64_t>(leaves() - 1)));
    select(items, count, left, widest_axis(items, count));
    return {{items, left}, {items + left, count - left}};
  }
};

template <class T>
void order_span(Span<T> span) {
  while (span.leaves() > 1) {
    const auto [left, right] = span.halves();
    order_span(left);
    span = right;
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
                [&](int64_t i) { order_span(spans[i]); });
}

// Lays 16 ordered items out as a leaf; fewer leave lanes that no comparison accepts.
template <class T>
void fill_leaf(const Item<T>* items, int64_t count, Leaf<T>& leaf) {
  for (int lane = 0; lane < kFan; ++lane) {
    const bool used = lane < count;
    for (int axis = 0; axis < 3; ++axis) {
      leaf.coordinate[axis][lane] =
          used ? items[lane].coordinate[axis] : std::numeric_limits<T>::quiet_NaN();
    }
    leaf.id[lane] = used ? items[lane].id : -1;
  }
}

// An unused lane is infinitely far, and its id loses every tie.
template <class T>
void clear_lane(Boxes<T>& boxes, int lane) {
  for (int axis = 0; axis < 3; ++axis) {
    boxes.low[axis][lane] = std::numeric_limits<T>::infinity();
    boxes.high[axis][lane] = std::numeric_limits<T>::infinity();
  }
  boxes.first[lane] = INT32_MAX;
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
void bound_tree(Tree<T>& tree, const Threads& threads) {
  tree.levels = 0;
  for (int64_t nodes = tree.leaves; tree.levels == 0 || nodes > 1; ++tree.levels) {
    const int64_t groups = (nodes + kFan - 1) / kFan;
    if (static_cast<int>(tree.level.size()) == tree.levels) tree.level.emplace_back();
    tree.level[tree.levels].resize(groups);
    const int64_t grain = 256, level = tree.levels;
    for_each_task(threads, (groups + grain - 1) / grain, [&, nodes, groups](int64_t task) {
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

// Builds the tree of `count` points of 1 to 3 dimensions; missing coordinates are 0.
template <class T>
void build_tree(const T* points, int64_t count, int64_t dims, Tree<T>& tree, Buffer<Item<T>>& items,
                const Threads& threads) {
  items.resize(count);
  const int64_t grain = 1 << 16;
  for_each_task(threads, (count + grain - 1) / grain, [&](int64_t task) {
    for (int64_t i = task * grain; i < count && i < (task + 1) * grain; ++i) {
      for (int axis = 0; axis < 3; ++axis) {
        items[i].coordinate[axis] = axis < dims ? points[i * dims + axis] : T(0);
      }
      items[i].id = static_cast<int32_t>(i);
    }
  });
  order_items(items.data(), count, threads);
  tree.count = count;
  tree.leaves = (count + kFan - 1) / kFan;
  tree.leaf.resize(tree.leaves);
  const int64_t run = 1 << 12;
  for_each_task(threads, (tree.leaves + run - 1) / run, [&](int64_t task) {
    for (int64_t l = task * run; l < tree.leaves && l < (task + 1) * run; ++l) {
      fill_leaf(items.data() + l * kFan, std::min<int64_t>(kFan, count - l * kFan), tree.leaf[l]);
    }
  });
  bound_tree(tree, threads);
}

}  // namespace pcclust::inline PCCLUST_ISA
