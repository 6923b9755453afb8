// Orders points of a small cloud into leaves, coordinate by coordinate: sixteen points are compared
// and moved by a few instructions where the processor can compress a vector.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "core/buffer.h"
#include "core/simd.h"
#include "core/tree.h"

namespace pcclust::inline PCCLUST_ISA {

// How many points of a run of leaves stay left when it is cut: the largest power of two of full
// leaves, which keeps every node at its fixed place.
inline int64_t left_of(int64_t count) {
  return kFan * static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(groups_of(count) - 1)));
}

// Selects among floats, sixteen at a time.
class FloatSelector {
 public:
  void reserve(int64_t count) {
    low_.resize(count + kFan);
    high_.resize(count + kFan);
  }

  // Returns the value that is at `rank` in order.
  float nth(const float* from, int64_t count, int64_t rank) {
    float *low = low_.data(), *high = high_.data();
    while (count > kCounted) {
      const int64_t lower = partition(from, count, median_of_samples(from, count), low, high);
      if (lower == 0) {  // many are equal
        std::nth_element(high, high + rank, high + count);
        return high[rank];
      }
      if (rank < lower) {
        count = lower;
      } else {
        count -= lower;
        rank -= lower;
        std::swap(low, high);
      }
      from = low;
    }
    const int some = static_cast<int>(count), place = static_cast<int>(rank);
    return some <= kCounted / 2 ? nth_by_counting<kCounted / 2 / kFan>(from, some, place)
                                : nth_by_counting<kCounted / kFan>(from, some, place);
  }

 private:
  static constexpr int kCounted = 64;  // up to here ranks are counted

  // Of nine values, so that few are on either side of it only where many are equal.
  static float median_of_samples(const float* values, int64_t count) {
    float sample[9];
    for (int i = 0; i < 9; ++i) sample[i] = values[i * (count - 1) / 8];
    std::nth_element(sample, sample + 4, sample + 9);
    return sample[4];
  }

  // Writes values below `pivot` to `low`, which may be where they are, and the others to `high`;
  // returns how many are below.
  static int64_t partition(const float* from, int64_t count, float pivot, float* low,
                           float* high) {
    int64_t lower = 0;
    for (int64_t i = 0; i < count; i += kFan) {
      const F32x16 values = load<F32x16>(from + i);
      const uint32_t used = count - i >= kFan ? 0xffffu : (1u << (count - i)) - 1;
      const uint32_t below = lanes_below(values, splat<F32x16>(pivot)) & used;
      append(high + i - lower, values, used & ~below);
      append(low + lower, values, below);
      lower += __builtin_popcount(below);
    }
    return lower;
  }

  template <int Vectors>
  static float nth_by_counting(const float* from, int count, int rank) {
    alignas(64) float values[Vectors * kFan];
    std::fill_n(values, Vectors * kFan, std::numeric_limits<float>::infinity());
    std::copy_n(from, count, values);
    F32x16 all[Vectors];
    for (int v = 0; v < Vectors; ++v) all[v] = load<F32x16>(values + v * kFan);
    // The largest value that not more than `rank` others precede.
    float result = -std::numeric_limits<float>::infinity();
    for (int i = 0; i < count; ++i) {
      const int below = count_below(all, splat<F32x16>(values[i]));
      if (below == rank) return values[i];
      if (below < rank) result = std::max(result, values[i]);
    }
    return result;
  }

  Buffer<float> low_, high_;
};

// Sorts one run of points at a time. What is left of a cut stays in place; the rest goes behind all
// that is in use, like onto a stack.
class ColumnSorter {
 public:
  // Orders `count` points into the leaves from `leaf` on; load(i, coordinate) gives a point's
  // coordinates and returns its id.
  template <class Load>
  void order(int64_t count, Leaf<float>* leaf, const Load& load_point) {
    const int64_t room = 2 * count + 32 * kFan;  // a gap of a vector after each part
    for (Buffer<float>& column : column_) column.resize(room);
    id_.resize(room);
    selector_.reserve(count);
    for (int64_t i = 0; i < count; ++i) {
      float coordinate[3];
      id_[i] = load_point(i, coordinate);
      for (int axis = 0; axis < 3; ++axis) column_[axis][i] = coordinate[axis];
    }
    sort(0, count, count + kFan, leaf);
  }

 private:
  void sort(int64_t at, int64_t count, int64_t free, Leaf<float>* leaf) {
    while (count > kFan) {
      const int64_t left = left_of(count), right = count - left;
      split(at, count, left, free);
      sort(at, left, free + right + kFan, leaf);
      leaf += left / kFan;
      at = free;
      free = at + right + kFan;
      count = right;
    }
    fill(at, static_cast<int>(count), *leaf);
  }

  // Moves all but the first `left` points, by the widest axis and ties by id, to `free`.
  void split(int64_t at, int64_t count, int64_t left, int64_t free) {
    const float* values = column_[widest(at, count)].data() + at;
    const float value = selector_.nth(values, count, left);
    const F32x16 pivot = splat<F32x16>(value);
    int64_t below = 0;
    for (int64_t i = 0; i < count; i += kFan) {
      below += __builtin_popcount(lanes_below(load<F32x16>(values + i), pivot) & used(count - i));
    }
    const bool tied = below < left;
    const int32_t first_id = tied ? tied_id(at, count, values, value, left - below) : 0;
    for (int64_t i = 0, front = 0; i < count; i += kFan) {
      const F32x16 here = load<F32x16>(values + i);
      uint32_t low = lanes_below(here, pivot);
      if (tied) {
        low |= lanes_equal(here, pivot) & bits(less(load<I32x16>(id_.data() + at + i), splat<I32x16>(first_id)));
      }
      low &= used(count - i);
      const uint32_t high = used(count - i) & ~low;
      move(id_.data(), at, i, front, free, low, high);
      for (Buffer<float>& column : column_) move(column.data(), at, i, front, free, low, high);
      front += __builtin_popcount(low);
    }
  }

  static PCCLUST_INLINE uint32_t used(int64_t left) {
    return left >= kFan ? 0xffffu : (1u << left) - 1;
  }

  template <class N>
  static PCCLUST_INLINE void move(N* column, int64_t at, int64_t i, int64_t front, int64_t free,
                                  uint32_t low, uint32_t high) {
    const I32x16 all = load<I32x16>(column + at + i);
    append(column + at + front, all, low);
    append(column + free + i - front, all, high);
  }

  // The id that `rank` ids of points at `value` precede.
  int32_t tied_id(int64_t at, int64_t count, const float* values, float value, int64_t rank) {
    ties_.resize(count);
    int64_t ties = 0;
    for (int64_t i = 0; i < count; ++i) {
      ties_[ties] = id_[at + i];
      ties += values[i] == value;
    }
    std::nth_element(ties_.data(), ties_.data() + rank, ties_.data() + ties);
    return ties_[rank];
  }

  int widest(int64_t at, int64_t count) const {
    float extent[3];
    for (int axis = 0; axis < 3; ++axis) {
      const float* column = column_[axis].data() + at;
      F32x16 low = load<F32x16>(column), high = low;
      for (int64_t i = kFan; i < count; i += kFan) {
        const F32x16 values = load<F32x16>(column + std::min(i, count - kFan));
        low = minimum(values, low);
        high = maximum(values, high);
      }
      extent[axis] = largest_lane(high) + largest_lane(-low);
    }
    if (extent[0] >= extent[1]) return extent[0] >= extent[2] ? 0 : 2;
    return extent[1] >= extent[2] ? 1 : 2;
  }

  // Fewer points than lanes leave lanes that no comparison accepts.
  void fill(int64_t at, int count, Leaf<float>& leaf) const {
    for (int axis = 0; axis < 3; ++axis) {
      store(leaf.coordinate[axis], load<F32x16>(column_[axis].data() + at));
      for (int lane = count; lane < kFan; ++lane) {
        leaf.coordinate[axis][lane] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    store(leaf.id, load<I32x16>(id_.data() + at));
    for (int lane = count; lane < kFan; ++lane) leaf.id[lane] = -1;
  }

  Buffer<float> column_[3];
  Buffer<int32_t> id_, ties_;
  FloatSelector selector_;
};

}  // namespace pcclust::inline PCCLUST_ISA
