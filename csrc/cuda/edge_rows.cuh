// What both directions of an EdgeConv's reduction take, and how a warp walks the edges of a row.
#pragma once

#include "cuda/refusal.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

struct Refusal {
  unsigned long long cloud;     // one that lies outside of the rows, or before the end of another
  unsigned long long neighbor;  // row * k + column of one that is no point of its cloud
  unsigned long long argmax;    // a cloud of which an argmax is no position
};

// The edges of kNN graphs: row i of a cloud leads to its neighbours, and the edge to neighbour j
// carries u_i + v_j in each channel.
template <class T>
struct EdgeArguments {
  const T* projected;        // (rows, 2, channels): u, then v
  const int64_t* neighbors;  // (rows, k) positions in the cloud
  const int64_t* starts;     // (clouds,) ascending
  const int64_t* sizes;      // (clouds,)
  int64_t rows;
  int64_t clouds;
  int64_t k;
  int64_t channels;
  Refusal* refusal;  // device memory, set by the launcher
};

constexpr int kEdgeWarps = 8;  // of a block
constexpr int kEdgeThreads = kEdgeWarps * kWarp;

// The cloud of a row; a row of padding has one without points.
struct CloudSpan {
  int64_t start = 0, size = 0, cloud = -1;

  __device__ bool holds(int64_t row) const { return row >= start && row < start + size; }
};

template <class T>
__device__ bool lies_inside(const EdgeArguments<T>& e, int64_t cloud) {
  const int64_t start = __ldg(e.starts + cloud), size = __ldg(e.sizes + cloud);
  return start >= 0 && size >= 0 && size < INT32_MAX && start <= e.rows - size;
}

// Whether a cloud lies inside the rows, behind the one before it.
template <class T>
__device__ bool lies_right(const EdgeArguments<T>& e, int64_t cloud) {
  if (!lies_inside(e, cloud)) return false;
  if (cloud == 0 || !lies_inside(e, cloud - 1)) return true;
  return __ldg(e.starts + cloud - 1) + __ldg(e.sizes + cloud - 1) <= __ldg(e.starts + cloud);
}

// Every thread of a grid looks at some clouds, so that none that lies wrong goes unnoticed.
template <class T>
__device__ void check_clouds(const EdgeArguments<T>& e) {
  const int64_t threads = int64_t{gridDim.x} * blockDim.x;
  for (int64_t cloud = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; cloud < e.clouds;
       cloud += threads) {
    if (!lies_right(e, cloud)) refuse(&e.refusal->cloud, cloud);
  }
}

// Finds the first cloud that ends behind the row: clouds ascend.
template <class T>
__device__ CloudSpan find_cloud(const EdgeArguments<T>& e, int64_t row) {
  int64_t low = 0, high = e.clouds;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (__ldg(e.starts + middle) + __ldg(e.sizes + middle) > row) high = middle;
    else low = middle + 1;
  }
  if (low == e.clouds || !lies_inside(e, low)) return {};
  const CloudSpan span{__ldg(e.starts + low), __ldg(e.sizes + low), low};
  return span.holds(row) ? span : CloudSpan{};
}

// The position of a row's neighbour, or -1 where there is none or it is no point of the cloud.
template <class T>
__device__ __forceinline__ int neighbor_at(const EdgeArguments<T>& e, const CloudSpan& cloud,
                                           int64_t row, int64_t column) {
  if (column >= e.k) return -1;
  const int64_t position = __ldg(e.neighbors + row * e.k + column);
  if (position >= 0 && position < cloud.size) return static_cast<int>(position);
  refuse(&e.refusal->neighbor, row * e.k + column);
  return -1;
}

// Calls use(position) for each neighbour in order, with all lanes. The lanes read 32 neighbours at
// once and hand them round.
template <class T, class Use>
__device__ __forceinline__ void for_each_neighbor(const EdgeArguments<T>& e, const CloudSpan& cloud,
                                                  int64_t row, const Use& use) {
  for (int64_t begin = 0; begin < e.k; begin += kWarp) {
    const int mine = neighbor_at(e, cloud, row, begin + lane_index());
    const int count = static_cast<int>(e.k - begin < kWarp ? e.k - begin : kWarp);
#pragma unroll 4
    for (int j = 0; j < count; ++j) {
      const int position = __shfl_sync(kAllLanes, mine, j);
      if (position >= 0) use(position);
    }
  }
}

// Neighbouring channels that one lane loads and stores at once.
template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T of[kWidth];
};

template <int kWidth, class T>
__device__ __forceinline__ Pack<T, kWidth> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, kWidth>*>(from);
}

template <int kWidth, class T>
__device__ __forceinline__ void store_pack(T* to, const Pack<T, kWidth>& pack) {
  *reinterpret_cast<Pack<T, kWidth>*>(to) = pack;
}

template <int kWidth>
struct Width {
  static constexpr int value = kWidth;
};

// Calls use(Width<w>{}) with the widest packs, up to 16 bytes, that are aligned, fill a warp, and
// divide the channels.
template <class T, class Use>
cudaError_t with_pack_width(const EdgeArguments<T>& e, const Use& use) {
  constexpr int kWidest = 16 / sizeof(T), kHalf = kWidest / 2;
  const bool aligned = reinterpret_cast<uintptr_t>(e.projected) % 16 == 0;
  const auto fits = [&](int width) {
    return aligned && e.channels % width == 0 && e.channels >= kWarp * width;
  };
  if (fits(kWidest)) return use(Width<kWidest>{});
  if (kHalf > 1 && fits(kHalf)) return use(Width<kHalf>{});
  return use(Width<1>{});
}

}  // namespace pcclust::cuda
