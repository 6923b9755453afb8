// Finds the key of a given rank, in one pass over the keys and a little more.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/buffer.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// An integer that orders like (value, id): a float's bits, turned so that negative values come
// first, above the id.
PCCLUST_INLINE int64_t ordered_key(float value, int32_t id) {
  const int32_t raw = std::bit_cast<int32_t>(value + 0.0f);  // -0 becomes 0
  const int32_t ordered = raw ^ ((raw >> 31) & INT32_MAX);
  return static_cast<int64_t>(ordered) << 32 | static_cast<uint32_t>(id);
}

// Selects among distinct keys. Many keys are first narrowed to those between two guesses from a
// sample (Floyd and Rivest, "Algorithm 489: SELECT", 1975); the rest is partitioned eight at a time.
class KeySelector {
 public:
  // Returns the key of `rank` among key_at(0 … count - 1).
  template <class KeyAt>
  int64_t nth(int64_t count, int64_t rank, const KeyAt& key_at) {
    if (count > kSampled) {
      const int64_t found = nth_by_sample(count, rank, key_at);
      if (found != kNotFound) return found;
    }
    reserve(count);
    for (int64_t i = 0; i < count; ++i) keys_[i] = key_at(i);
    return nth_of_keys(count, rank);
  }

 private:
  static constexpr int64_t kSampled = 2048;  // from here on a sample narrows the search
  static constexpr int kCounted = 32;        // up to here ranks are counted
  static constexpr int64_t kNotFound = INT64_MIN;  // no point has this key: ids are not negative

  void reserve(int64_t count) {
    // A vector is written whole, whatever it appends; counting pads to its own size.
    for (Buffer<int64_t>* buffer : {&keys_, &low_, &high_}) buffer->resize(count + kCounted + 8);
  }

  template <class KeyAt>
  int64_t nth_by_sample(int64_t count, int64_t rank, const KeyAt& key_at) {
    const int64_t taken = std::min<int64_t>(1024, count / 8), stride = count / taken;
    reserve(count);
    for (int64_t i = 0; i < taken; ++i) keys_[i] = key_at(i * stride);
    std::sort(keys_.data(), keys_.data() + taken);
    // Three standard deviations around the rank's place in the sample.
    const double place = static_cast<double>(rank) / count * taken;
    const double margin = 3 + 1.5 * std::sqrt(static_cast<double>(taken));
    const int64_t low_at = static_cast<int64_t>(place - margin);
    const int64_t high_at = static_cast<int64_t>(place + margin);
    const int64_t low = low_at < 0 ? INT64_MIN : keys_[low_at];
    const int64_t high = high_at >= taken ? INT64_MAX : keys_[high_at];
    int64_t below = 0, kept = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t key = key_at(i);
      keys_[kept] = key;
      below += key < low;
      kept += (key >= low) & (key <= high);
    }
    if (rank < below || rank >= below + kept) return kNotFound;
    return nth_of_keys(kept, rank - below);
  }

  // Quickselect over keys_[0 … count): goes on with the part that holds the rank.
  int64_t nth_of_keys(int64_t count, int64_t rank) {
    int64_t *from = keys_.data(), *low = low_.data(), *high = high_.data();
    while (count > kCounted) {
      const int64_t lower = partition(from, count, median_of_samples(from, count), low, high);
      if (rank < lower) {
        count = lower;
        std::swap(from, low);
      } else {
        count -= lower;
        rank -= lower;
        std::swap(from, high);
      }
    }
    return nth_by_counting(from, static_cast<int>(count), static_cast<int>(rank));
  }

  // Of nine keys, so that at least four are on either side of it.
  static int64_t median_of_samples(const int64_t* keys, int64_t count) {
    int64_t sample[9];
    for (int i = 0; i < 9; ++i) sample[i] = keys[i * (count - 1) / 8];
    std::nth_element(sample, sample + 4, sample + 9);
    return sample[4];
  }

  // Writes the keys below `pivot` to `low` and the others to `high`; returns how many are below.
  static int64_t partition(const int64_t* keys, int64_t count, int64_t pivot, int64_t* low,
                           int64_t* high) {
    const I64x8 at = splat<I64x8>(pivot);
    int64_t lower = 0, i = 0;
    for (; i + 8 <= count; i += 8) {
      const uint32_t below = lanes_below(load<I64x8>(keys + i), at);
      append(high + i - lower, keys + i, ~below & 0xffu);
      lower += append(low + lower, keys + i, below);
    }
    for (; i < count; ++i) {
      high[i - lower] = keys[i];
      low[lower] = keys[i];
      lower += keys[i] < pivot;
    }
    return lower;
  }

  // The key with exactly `rank` keys below it.
  static int64_t nth_by_counting(int64_t* keys, int count, int rank) {
    for (int i = count; i < kCounted; ++i) keys[i] = INT64_MAX;
    for (int i = 0;; ++i) {
      int below = 0;
      for (int part = 0; part < kCounted; part += 8) {
        below += __builtin_popcount(lanes_below(load<I64x8>(keys + part), splat<I64x8>(keys[i])));
      }
      if (below == rank) return keys[i];
    }
  }

  Buffer<int64_t> keys_, low_, high_;
};

}  // namespace pcclust::inline PCCLUST_ISA
