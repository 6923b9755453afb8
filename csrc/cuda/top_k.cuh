// The k best candidates of one query, in (distance, index) order, kept by one warp.
//
// The list lies sorted in registers, 32 entries to a register. What is nearer than the k-th waits
// in shared memory until there are 32; those are sorted and merged into the list at once: 15 + 5
// exchanges between lanes for 32 candidates, where one insertion after the other costs 32 * 2.
#pragma once

#include "cuda/search.cuh"

namespace pcclust::cuda {

// A squared distance and a point. Squares are not negative, so their bits compare like they do; NaN
// comes after inf. Keys of one list differ, but for empty ones.
struct WideKey {
  unsigned long long distance;
  uint32_t index;
};
__device__ __forceinline__ bool operator<(const WideKey& a, const WideKey& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.index < b.index);
}

template <class T>
struct KeyOf;
template <>
struct KeyOf<float> {
  using Type = unsigned long long;
};
template <>
struct KeyOf<double> {
  using Type = WideKey;
};
template <class T>
using Key = typename KeyOf<T>::Type;

constexpr uint32_t kNoPoint = 0xffffffffu;

__device__ __forceinline__ unsigned long long make_key(float distance, uint32_t index) {
  return static_cast<unsigned long long>(__float_as_uint(distance)) << 32 | index;
}
__device__ __forceinline__ WideKey make_key(double distance, uint32_t index) {
  return {static_cast<unsigned long long>(__double_as_longlong(distance)), index};
}
__device__ __forceinline__ float distance_of(unsigned long long key) {
  return __uint_as_float(static_cast<uint32_t>(key >> 32));
}
__device__ __forceinline__ double distance_of(const WideKey& key) {
  return __longlong_as_double(static_cast<long long>(key.distance));
}
__device__ __forceinline__ uint32_t index_of(unsigned long long key) {
  return static_cast<uint32_t>(key);
}
__device__ __forceinline__ uint32_t index_of(const WideKey& key) { return key.index; }

// Nothing: behind every candidate, even behind one at an infinite distance.
template <class T>
__device__ __forceinline__ Key<T> no_key() {
  return make_key(infinity<T>(), kNoPoint);
}

__device__ __forceinline__ unsigned long long from_lane(unsigned long long key, int lane) {
  return __shfl_sync(kAllLanes, key, lane);
}
__device__ __forceinline__ WideKey from_lane(const WideKey& key, int lane) {
  return {__shfl_sync(kAllLanes, key.distance, lane), __shfl_sync(kAllLanes, key.index, lane)};
}
__device__ __forceinline__ unsigned long long from_partner(unsigned long long key, int step) {
  return __shfl_xor_sync(kAllLanes, key, step);
}
__device__ __forceinline__ WideKey from_partner(const WideKey& key, int step) {
  return {__shfl_xor_sync(kAllLanes, key.distance, step),
          __shfl_xor_sync(kAllLanes, key.index, step)};
}

// Keeps the smaller or the larger of a lane's key and its partner's.
template <class K>
__device__ __forceinline__ void exchange(K& key, int step, bool keep_smaller) {
  const K other = from_partner(key, step);
  if ((other < key) == keep_smaller) key = other;
}

// Sorts one key of each lane (bitonic).
template <class K>
__device__ __forceinline__ void sort_lanes(K& key, int lane) {
#pragma unroll
  for (int size = 2; size <= kWarp; size *= 2) {
#pragma unroll
    for (int step = size / 2; step > 0; step /= 2) {
      exchange(key, step, ((lane & step) == 0) == ((lane & size) == 0));
    }
  }
}

// The list of one query; entry 32 * m + lane is list[m]. All lanes call together. The queue is the
// query's own; fewer than 32 keys wait in it after work_in, and each append adds up to 32.
template <class T, int Registers>
struct WarpTopK {
  Key<T> list[Registers];
  Key<T> bound;  // candidates count below it
  int waiting;

  __device__ __forceinline__ void start(T limit) {
#pragma unroll
    for (int m = 0; m < Registers; ++m) list[m] = no_key<T>();
    bound = make_key(limit, kNoPoint);
    waiting = 0;
  }

  // Lets the candidate of each lane wait where it `counts`.
  __device__ __forceinline__ void append(const Key<T>& key, bool counts, Key<T>* queue, int lane) {
    const unsigned votes = __ballot_sync(kAllLanes, counts);
    if (votes == 0) return;
    if (counts) queue[waiting + __popc(votes & ((1u << lane) - 1))] = key;
    waiting += __popc(votes);
  }

  __device__ __forceinline__ void work_in(int k, const Key<T>* queue, int lane) {
    if (waiting < kWarp) return;
    __syncwarp(kAllLanes);
#pragma unroll 1
    while (waiting >= kWarp) {
      waiting -= kWarp;
      merge(queue[waiting + lane], k, lane);
    }
    __syncwarp(kAllLanes);
  }

  // Merges what still waits; the list is complete then.
  __device__ __forceinline__ void finish(int k, const Key<T>* queue, int lane) {
    __syncwarp(kAllLanes);
    if (waiting > 0) merge(lane < waiting ? queue[lane] : no_key<T>(), k, lane);
    waiting = 0;
    __syncwarp(kAllLanes);
  }

 private:
  __device__ __forceinline__ void merge(Key<T> batch, int k, int lane) {
    sort_lanes(batch, lane);
    // The last 32 entries against the batch backwards: what stays is bitonic and the nearest.
    const Key<T> backwards = from_lane(batch, kWarp - 1 - lane);
    if (backwards < list[Registers - 1]) list[Registers - 1] = backwards;
#pragma unroll
    for (int half = Registers / 2; half > 0; half /= 2) {
#pragma unroll
      for (int m = 0; m < Registers; ++m) {
        if ((m & half) != 0) continue;
        const Key<T> low = list[m], high = list[m + half];
        const bool swap = high < low;
        list[m] = swap ? high : low;
        list[m + half] = swap ? low : high;
      }
    }
#pragma unroll
    for (int step = kWarp / 2; step > 0; step /= 2) {
#pragma unroll
      for (int m = 0; m < Registers; ++m) exchange(list[m], step, (lane & step) == 0);
    }
    // Each register is asked, since registers have no numbers that could be computed.
    Key<T> last = bound;
#pragma unroll
    for (int m = 0; m < Registers; ++m) {
      const Key<T> entry = from_lane(list[m], (k - 1) % kWarp);
      if (m == (k - 1) / kWarp) last = entry;
    }
    if (last < bound) bound = last;
  }
};

// Writes a finished list to its row of the output, and how many neighbours it holds.
template <class T, int Registers>
__device__ __forceinline__ void write_row(const SearchArguments<T>& a, int64_t row,
                                          int64_t first_index,
                                          const WarpTopK<T, Registers>& top, int lane) {
  int found = 0;
#pragma unroll
  for (int m = 0; m < Registers; ++m) {
    const int64_t column = m * kWarp + lane;
    const uint32_t index = index_of(top.list[m]);
    const bool wanted = column < a.k, known = index != kNoPoint;
    if (wanted) {
      a.distances[row * a.k + column] = distance_of(top.list[m]);
      a.indices[row * a.k + column] = known ? first_index + index : -1;
    }
    found += __popc(__ballot_sync(kAllLanes, wanted && known));
  }
  if (a.counts && lane == 0) a.counts[row] = found;
}

}  // namespace pcclust::cuda
