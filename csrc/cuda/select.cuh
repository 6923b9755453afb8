// Neighbours for a k beyond the registers of a warp: the k-th distance is found digit by digit.
//
// A block serves one query. In each pass it counts all points by eight bits of their distance among
// those that agree in the bits before; after at most 4 passes (8 of doubles), often 2, the digits
// tell the k-th distance. A last pass collects what is nearer, and of the points at that very
// distance the first ones, in order of index; they are sorted in shared memory, or where they are
// too many in the output itself. No memory but the output is needed.
//
// Points are measured once where their distances can be kept in shared memory, that is in clouds of
// up to 5632 points (2816 of doubles). In larger ones each pass measures them again; there the
// digits end as soon as what is not beyond them can be sorted in shared memory, mostly after one or
// two: two or three measurements. Only where more than 2048 distances agree in their digits more are
// needed.
//
// Counted: a measurement of n points, 8 operations each for D = 3, two to four passes of 12, and
// k log2(k)^2 / 4 exchanges; for n = 4096 and k = 512 about 11000 instructions of a warp for a query,
// of which an H100 issues 924 G a second: 12 ns a query at best, half of that expected, since a
// block waits at barriers. n * n distances bound it for large clouds: here the cost is quadratic.
#pragma once

#include "cuda/block_sort.cuh"
#include "cuda/top_k.cuh"

namespace pcclust::cuda {

constexpr int kSelectThreads = 256;
constexpr int kSelectWarps = kSelectThreads / kWarp;
constexpr int kDigits = 256;
constexpr int kSorted = 2048;  // neighbours that are sorted in shared memory
template <class T>
constexpr uint32_t kKept = 22 * 1024 / sizeof(T);  // distances that are kept there

// Points are taken whose bits above `shift` are below `prefix`, and of those that agree with it the
// first `ties`; of all that are taken the nearest `found` are neighbours.
struct Cut {
  unsigned long long prefix;
  uint32_t ties, taken, found;
  int shift;
  bool complete;
};

template <class T>
struct SelectMemory {
  uint32_t histogram[kDigits];
  uint32_t nearer[kSelectWarps], tied[kSelectWarps];
  Cut cut;
  T distances[kSorted];
  uint32_t indices[kSorted];
  T kept[kKept<T>];
};

__device__ __forceinline__ unsigned long long bits_of(float distance) {
  return __float_as_uint(distance);
}
__device__ __forceinline__ unsigned long long bits_of(double distance) {
  return static_cast<unsigned long long>(__double_as_longlong(distance));
}

// Counts a digit of each lane. Neighbours in memory share their leading digits: those of the first
// two lanes are added at once for all lanes that have them.
__device__ __forceinline__ void count_digit(uint32_t* histogram, bool counts, int digit, int lane) {
#pragma unroll
  for (int round = 0; round < 2; ++round) {
    const unsigned left = __ballot_sync(kAllLanes, counts);
    if (left == 0) return;
    const int leader = __ffs(static_cast<int>(left)) - 1;
    const int common = __shfl_sync(kAllLanes, digit, leader);
    const unsigned same = __ballot_sync(kAllLanes, counts && digit == common);
    if (lane == leader) atomicAdd(histogram + common, static_cast<uint32_t>(__popc(same)));
    counts = counts && digit != common;
  }
  if (counts) atomicAdd(histogram + digit, 1u);
}

// One query, served by a block.
template <class T>
class Selection {
 public:
  static constexpr int kBits = 8 * sizeof(T);

  __device__ __forceinline__ Selection(const SearchArguments<T>& a, SelectMemory<T>& memory,
                                       int64_t row, const Extent& cloud, uint32_t own)
      : a_(a),
        memory_(memory),
        query_(a.queries.rows + row * a.queries.dims),
        points_(a.points.rows + cloud.start * a.points.dims),
        size_(cloud.size),
        own_(own),
        lane_(lane_index()),
        warp_(threadIdx.x / kWarp) {}

  // Finds the cut behind the k-th neighbour, or behind the last within the limit.
  __device__ Cut find_cut() {
    if (threadIdx.x == 0) memory_.cut = {0, 0, 0, 0, kBits, false};
    for (int pass = 0; pass < kBits / 8; ++pass) {
      memory_.histogram[threadIdx.x] = 0;
      __syncthreads();
      const Cut cut = memory_.cut;
      for (uint32_t base = 0; base < size_; base += kSelectThreads) {
        T distance;
        const bool within = look(base + threadIdx.x, pass == 0, distance);
        const unsigned long long bits = bits_of(distance);
        const int digit = static_cast<int>(bits >> (cut.shift - 8) & (kDigits - 1));
        const bool counts = within && above(bits, cut.shift) == cut.prefix;
        count_digit(memory_.histogram, counts, digit, lane_);
      }
      __syncthreads();
      if (warp_ == 0) choose_digit(pass == 0);
      __syncthreads();
      if (memory_.cut.complete) break;
    }
    return memory_.cut;
  }

  // Hands what counts to put(place, distance, index); places are in no order of distance.
  template <class Put>
  __device__ void collect(const Cut& cut, const Put& put) {
    uint32_t nearer = 0, tied = 0;
    for (uint32_t base = 0; base < size_; base += kSelectThreads) {
      T distance;
      const uint32_t index = base + threadIdx.x;
      const bool within = look(index, false, distance);
      const unsigned long long high = above(bits_of(distance), cut.shift);
      const bool is_nearer = within && high < cut.prefix, is_tied = within && high == cut.prefix;
      const uint32_t nearer_before = rank(is_nearer, memory_.nearer, nearer);
      const uint32_t tied_before = rank(is_tied, memory_.tied, tied);
      if (is_nearer) put(nearer_before, distance, index);
      if (is_tied && tied_before < cut.ties) {
        put(cut.taken - cut.ties + tied_before, distance, index);
      }
    }
  }

 private:
  static __device__ __forceinline__ unsigned long long above(unsigned long long bits, int shift) {
    return shift == kBits ? 0 : bits >> shift;
  }

  // NaN is within no limit.
  __device__ __forceinline__ bool measure(uint32_t index, T& distance) const {
    distance = 0;
    if (index >= size_ || index == own_) return false;
    distance = squared_distance(query_, points_ + index * a_.points.dims, a_.points.dims);
    return distance <= a_.limit;
  }

  // The same, from what the thread itself has kept since the first pass, where there is room.
  __device__ __forceinline__ bool look(uint32_t index, bool first, T& distance) const {
    if (size_ > kKept<T>) return measure(index, distance);
    if (!first) {
      distance = index < size_ ? memory_.kept[index] : not_a_number<T>();
      return distance <= a_.limit;
    }
    const bool within = measure(index, distance);
    if (index < size_) memory_.kept[index] = within ? distance : not_a_number<T>();
    return within;
  }

  // How many said yes before this thread; `sum` counts them from one round to the next.
  __device__ __forceinline__ uint32_t rank(bool yes, uint32_t (&sums)[kSelectWarps],
                                           uint32_t& sum) const {
    uint32_t total;
    const uint32_t before = sum + block_exclusive_sum<kSelectThreads>(yes, sums, total);
    sum += total;
    return before;
  }

  // The first warp finds the digit at which the count of the points reaches k.
  __device__ __forceinline__ void choose_digit(bool first) {
    constexpr int kShare = kDigits / kWarp;
    uint32_t own = 0;
    for (int i = 0; i < kShare; ++i) own += memory_.histogram[lane_ * kShare + i];
    const uint32_t until = warp_inclusive_sum(own);
    const uint32_t total = __shfl_sync(kAllLanes, until, kWarp - 1);
    Cut cut = memory_.cut;
    if (first) {
      cut.found = total < a_.k ? total : static_cast<uint32_t>(a_.k);
      cut.ties = cut.taken = cut.found;
      // All that are within the limit agree in no bits at all.
      cut.complete = total <= a_.k;
    }
    __syncwarp(kAllLanes);
    uint32_t before = until - own;
    if (cut.complete) {
      if (lane_ == 0) memory_.cut = cut;
    } else if (before < cut.ties && cut.ties <= until) {
      int digit = lane_ * kShare;
      while (before + memory_.histogram[digit] < cut.ties) before += memory_.histogram[digit++];
      cut.ties -= before;
      cut.shift -= 8;
      cut.prefix = cut.prefix << 8 | static_cast<unsigned>(digit);
      const uint32_t agree = memory_.histogram[digit], all = cut.found - cut.ties + agree;
      cut.complete = agree == cut.ties;
      if (!cut.complete && size_ > kKept<T> && all <= kSorted) {
        cut.ties = agree;
        cut.taken = all;
        cut.complete = true;
      }
      memory_.cut = cut;
    }
  }

  const SearchArguments<T>& a_;
  SelectMemory<T>& memory_;
  const T *query_, *points_;
  const uint32_t size_, own_;
  const int lane_, warp_;
};

template <class T, class Index>
__device__ __forceinline__ void sort_neighbors(T* distances, Index* indices, int64_t count) {
  sort_block<kSelectThreads>(count, [=](int64_t low, int64_t high) {
    const T a = distances[low], b = distances[high];
    const Index i = indices[low], j = indices[high];
    if (a < b || (a == b && i < j)) return;
    distances[low] = b;
    distances[high] = a;
    indices[low] = j;
    indices[high] = i;
  });
}

template <class T>
__global__ void __launch_bounds__(kSelectThreads) select_kernel(SearchArguments<T> a) {
  __shared__ SelectMemory<T> memory;
  const int64_t row = blockIdx.x, query_cloud = cloud_of_row(a.queries, row);
  if (query_cloud < 0) return;
  const Extent cloud = extent_of(a.points, query_cloud);
  const uint32_t own =
      a.exclude_self ? static_cast<uint32_t>(row - start_of(a.queries, query_cloud)) : kNoPoint;
  Selection<T> selection(a, memory, row, cloud, own);
  const Cut cut = selection.find_cut();
  const int64_t first_index = a.packed ? cloud.start : 0;
  T* distances = a.distances + row * a.k;
  int64_t* indices = a.indices + row * a.k;
  if (cut.taken <= kSorted) {
    selection.collect(cut, [&](uint32_t place, T distance, uint32_t index) {
      memory.distances[place] = distance;
      memory.indices[place] = index;
    });
    sort_neighbors(memory.distances, memory.indices, cut.taken);
    for (int64_t i = threadIdx.x; i < cut.found; i += kSelectThreads) {
      distances[i] = memory.distances[i];
      indices[i] = first_index + memory.indices[i];
    }
  } else {
    selection.collect(cut, [&](uint32_t place, T distance, uint32_t index) {
      distances[place] = distance;
      indices[place] = first_index + index;
    });
    sort_neighbors(distances, indices, cut.found);
  }
  for (int64_t i = cut.found + threadIdx.x; i < a.k; i += kSelectThreads) {
    distances[i] = infinity<T>();
    indices[i] = -1;
  }
  if (a.counts && threadIdx.x == 0) a.counts[row] = cut.found;
}

template <class T>
cudaError_t search_by_selection(const SearchArguments<T>& a, cudaStream_t stream) {
  return launch(select_kernel<T>, blocks_for(a.queries.row_count, 1), dim3(kSelectThreads), 0,
                stream, a);
}

}  // namespace pcclust::cuda
