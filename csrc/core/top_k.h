// The k best candidates of one query, in (distance, index) order.
//
// Candidates are collected without a branch and worked in a few at a time. Two lists: one whose
// entries stay sorted in vector registers while candidates are inserted (float, k <= 64), and one
// that cuts a buffer back to its k smallest (double, and any k).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/buffer.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// A squared distance and the point it belongs to; of floats, a key that fits one register.
struct WideCandidate {
  double distance;
  int32_t id;
  bool operator<(const WideCandidate& other) const {
    return (distance < other.distance) | ((distance == other.distance) & (id < other.id));
  }
};
template <class T>
using Candidate = std::conditional_t<std::is_same_v<T, float>, int64_t, WideCandidate>;

PCCLUST_INLINE int64_t make_candidate(float distance, int32_t id) { return make_key(distance, id); }
PCCLUST_INLINE WideCandidate make_candidate(double distance, int32_t id) { return {distance, id}; }
PCCLUST_INLINE float distance_of(int64_t key) {
  return std::bit_cast<float>(static_cast<uint32_t>(key >> 32));
}
PCCLUST_INLINE int32_t id_of(int64_t key) { return static_cast<int32_t>(key); }
PCCLUST_INLINE double distance_of(const WideCandidate& candidate) { return candidate.distance; }
PCCLUST_INLINE int32_t id_of(const WideCandidate& candidate) { return candidate.id; }

// Candidates that wait to be worked in, with room for whole vectors beyond the full mark.
template <class T>
struct Waiting {
  static constexpr int full = 32;
  static constexpr int room = full + 32;
  int count = 0;
  alignas(64) Candidate<T> candidate[room];
};

// The lanes of sixteen distances that are within a limit; NaN is within none.
template <class T>
PCCLUST_INLINE uint32_t lanes_within(const T* distance, T limit) {
  using V = typename Vector<T>::Type;
  constexpr int kLanes = Vector<T>::lanes;
  uint32_t result = 0;
  for (int lane = 0; lane < 16; lane += kLanes) {
    result |= lanes_at_most(load<V>(distance + lane), splat<V>(limit)) << lane;
  }
  return result;
}

// Appends those of sixteen points that are within a limit.
template <class T>
PCCLUST_INLINE void append_near(const T* distance, const int32_t* id, T limit, Waiting<T>& waiting) {
  uint32_t near = lanes_within(distance, limit);
  if constexpr (std::is_same_v<T, float>) {
    waiting.count +=
        append_keys(waiting.candidate + waiting.count, distance, id, near);
  } else {
    for (; near; near &= near - 1) {
      const int lane = __builtin_ctz(near);
      waiting.candidate[waiting.count++] = {distance[lane], id[lane]};
    }
  }
}

// All candidates of one query, few enough to count for each how many precede it.
struct Found {
  static constexpr int most = 96;
  int count = 0;
  alignas(64) float distance[most + 16];  // room for a whole vector at the end
  alignas(64) int32_t id[most + 16];
};

// Writes the keys of at most `Vectors` · 16 candidates, each at its rank by distance; returns the
// sum of the ranks, which equal distances make smaller.
template <int Vectors>
int64_t place_by_rank(const Found& found, int64_t* keys) {
  using V = Vector<float>::Type;
  constexpr int lanes = Vector<float>::lanes, count = Vectors * 16 / lanes;
  V distance[count];
  Vector<float>::Mask rank[count]{};
  for (int v = 0; v < count; ++v) distance[v] = load<V>(found.distance + lanes * v);
  for (int i = 0; i < found.count; ++i) {
    const V other = splat<V>(found.distance[i]);
    for (int v = 0; v < count; ++v) count_less(other, distance[v], rank[v]);
  }
  alignas(64) int32_t ranks[Vectors * 16];
  for (int v = 0; v < count; ++v) store(ranks + lanes * v, rank[v]);
  int64_t total = 0;
  for (int i = 0; i < found.count; ++i) total += ranks[i];
  for (int i = 0; i < found.count; ++i) keys[ranks[i]] = make_key(found.distance[i], found.id[i]);
  return total;
}

#if defined(PCCLUST_HAS_AVX512)
// Of few candidates, one after the other: bits of comparisons are counted faster than added up.
template <int Vectors>
  requires(Vectors <= 3)
int64_t place_by_rank(const Found& found, int64_t* keys) {
  F32x16 distance[Vectors];
  for (int v = 0; v < Vectors; ++v) distance[v] = load<F32x16>(found.distance + 16 * v);
  int64_t total = 0;
  for (int i = 0; i < found.count; ++i) {
    const int rank = count_below(distance, splat<F32x16>(found.distance[i]));
    const int64_t high = load<int32_t>(found.distance + i);
    keys[rank] = high << 32 | static_cast<uint32_t>(found.id[i]);
    total += rank;
  }
  return total;
}
#endif

// Sorted keys in registers, 8 · `Octets` of them; places after the k-th hold what was pushed out.
template <int Octets>
class RegisterList {
 public:
  explicit RegisterList(int64_t k) : k_(static_cast<int>(k)) {}

  // Starts a query that accepts distances up to `limit`.
  void start(float limit) {
    for (int i = 0; i < kRegisters; ++i) store(keys_ + kLanes * i, splat<Keys>(kEmpty));
    threshold_ = limit;
    last_id_ = INT32_MAX;
    waiting_.count = 0;
  }
  Waiting<float>& waiting() { return waiting_; }
  float threshold() const { return threshold_; }  // inclusive
  int32_t last_id() const { return last_id_; }    // ids below it still count at the threshold

  void work_in() {
    Keys list[kRegisters];
    for (int i = 0; i < kRegisters; ++i) list[i] = load<Keys>(keys_ + kLanes * i);
    const int count = waiting_.count;
    for (int c = 0; c < count; ++c) insert(list, waiting_.candidate[c]);
    for (int i = 0; i < kRegisters; ++i) store(keys_ + kLanes * i, list[i]);
    waiting_.count = 0;
    if (full()) {
      threshold_ = distance_of(keys_[k_ - 1]);
      last_id_ = id_of(keys_[k_ - 1]);
    }
  }

  // Takes the k first of all candidates there are, instead of working them in.
  void rank(Found& found) {
    store(found.distance + found.count, splat<F32x16>(std::numeric_limits<float>::infinity()));
    int64_t total = 0;
    switch ((found.count + 15) / 16) {
      case 0: case 1: total = place_by_rank<1>(found, keys_); break;
      case 2: total = place_by_rank<2>(found, keys_); break;
      case 3: total = place_by_rank<3>(found, keys_); break;
      case 4: total = place_by_rank<4>(found, keys_); break;
      case 5: total = place_by_rank<5>(found, keys_); break;
      default: total = place_by_rank<6>(found, keys_); break;
    }
    if (total != int64_t{found.count} * (found.count - 1) / 2) part_ties(found);
    if (full()) {
      threshold_ = distance_of(keys_[k_ - 1]);
      last_id_ = id_of(keys_[k_ - 1]);
    }
  }

  bool full() const { return keys_[k_ - 1] != kEmpty; }
  float distance(int64_t i) const { return distance_of(keys_[i]); }
  int32_t id(int64_t i) const { return id_of(keys_[i]); }  // -1 where there is none

  // Writes all k, once full, with `first` added to each id.
  void write(float* __restrict distances, int64_t* __restrict indices, int64_t first) const {
    const int k = k_;
    for (int i = 0; i < k; ++i) distances[i] = distance_of(keys_[i]);
    for (int i = 0; i < k; ++i) indices[i] = id_of(keys_[i]) + first;
  }

 private:
  using Keys = Vector<int64_t>::Type;
  static constexpr int kLanes = Vector<int64_t>::lanes, kRegisters = 8 * Octets / kLanes;
  static constexpr int64_t kEmpty = int64_t{0x7f800000} << 32 | 0xffffffff;  // (inf, -1)

  // Every place takes the middle one of its lower neighbour, itself and the key.
  static PCCLUST_INLINE void insert(Keys (&list)[kRegisters], int64_t key) {
    const Keys wanted = splat<Keys>(key);
    Keys below = splat<Keys>(int64_t{-1});
    for (int i = 0; i < kRegisters; ++i) {
      const Keys current = list[i];
      list[i] = minimum(maximum(shift_in(below, current), wanted), current);
      below = current;
    }
  }

  // Of candidates at the same distance, the lower id comes first.
  void part_ties(const Found& found) {
    for (int i = 0; i < found.count; ++i) keys_[i] = make_key(found.distance[i], found.id[i]);
    std::sort(keys_, keys_ + found.count);
  }

  alignas(64) int64_t keys_[8 * Octets > Found::most ? 8 * Octets : Found::most];
  int k_;
  float threshold_;
  int32_t last_id_;
  Waiting<float> waiting_;
};

// Unsorted candidates, cut back to the k smallest whenever as many again have come.
template <class T>
class BufferList {
 public:
  explicit BufferList(int64_t k) : k_(k), step_(std::max<int64_t>(k, 64)) {
    kept_.resize(k + step_ + Waiting<T>::room);
  }

  void start(T limit) {
    count_ = 0;
    cut_at_ = k_;
    threshold_ = limit;
    last_id_ = INT32_MAX;
    waiting_.count = 0;
  }
  Waiting<T>& waiting() { return waiting_; }
  T threshold() const { return threshold_; }
  int32_t last_id() const { return last_id_; }

  void work_in() {
    const Candidate<T> last = make_candidate(threshold_, last_id_);
    for (int c = 0; c < waiting_.count; ++c) {
      kept_[count_] = waiting_.candidate[c];
      count_ += waiting_.candidate[c] < last;
    }
    waiting_.count = 0;
    if (count_ >= cut_at_) cut();
  }

  // Sorts what is left; call once, before reading.
  void finish() {
    if (count_ > k_) cut();
    std::sort(kept_.data(), kept_.data() + count_);
  }
  bool full() const { return count_ >= k_; }
  T distance(int64_t i) const {
    return i < count_ ? distance_of(kept_[i]) : std::numeric_limits<T>::infinity();
  }
  int32_t id(int64_t i) const { return i < count_ ? id_of(kept_[i]) : -1; }
  void write(T* distances, int64_t* indices, int64_t first) const {
    for (int64_t i = 0; i < k_; ++i) distances[i] = distance_of(kept_[i]);
    for (int64_t i = 0; i < k_; ++i) indices[i] = id_of(kept_[i]) + first;
  }

 private:
  void cut() {
    std::nth_element(kept_.data(), kept_.data() + k_ - 1, kept_.data() + count_);
    count_ = k_;
    cut_at_ = k_ + step_;
    threshold_ = distance_of(kept_[k_ - 1]);
    last_id_ = id_of(kept_[k_ - 1]);
  }

  int64_t k_, step_, count_ = 0, cut_at_ = 0;
  T threshold_;
  int32_t last_id_;
  Buffer<Candidate<T>> kept_;
  Waiting<T> waiting_;
};

template <int Octets>
PCCLUST_INLINE void finish(RegisterList<Octets>&) {}
template <class T>
PCCLUST_INLINE void finish(BufferList<T>& list) {
  list.finish();
}

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

}  // namespace pcclust::inline PCCLUST_ISA
