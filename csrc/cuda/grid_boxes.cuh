// What keeps crowded cells cheap: their points in an order of space, and boxes around 32, 1024 and
// 32768 placed points at a time, so that a search skips what cannot belong to its list.
//
// A cell is crowded where a cloud is far denser than its grid is fine: many copies of one point, or
// a cluster much smaller than a cell. A block orders its points along a Z curve of their bits, so
// that clusters within clusters are told apart as well, and copies come in order of index. Where no
// cell is crowded, nothing of this is done.
//
// Counted: m log2(m)^2 / 4 exchanges of 32 bytes for a cell of m points by one block, 105 million
// or 7 GB of traffic for a million; at some 75 GB/s of one multiprocessor about 0.1 s, the worst
// case, where measuring every pair takes 1.4 s. Boxes are 28 bytes for 32 points, read and written.
#pragma once

#include "cuda/cell_scan.cuh"
#include "cuda/top_k.cuh"

namespace pcclust::cuda {

constexpr int64_t kSortingBlocks = 1024;

// Signed numbers as unsigned ones of the same order.
__device__ __forceinline__ unsigned ordered(float value) {
  const unsigned bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ unsigned long long ordered(double value) {
  const auto bits = static_cast<unsigned long long>(__double_as_longlong(value));
  return bits >> 63 ? ~bits : bits | 1ull << 63;
}

// Whether `a` comes first along the Z curve: the axis decides whose bits differ first (Chan, "A
// minimalist's implementation of an approximate nearest neighbor algorithm", 2006); then the index.
template <class T>
__device__ __forceinline__ bool precedes(const PlacedPoint<T>& a, const PlacedPoint<T>& b) {
  const T of_a[3] = {a.x, a.y, a.z}, of_b[3] = {b.x, b.y, b.z};
  auto left = ordered(of_a[0]), right = ordered(of_b[0]), widest = left ^ right;
#pragma unroll
  for (int axis = 1; axis < 3; ++axis) {
    const auto low = ordered(of_a[axis]), high = ordered(of_b[axis]), differing = low ^ high;
    if (widest < differing && widest < (widest ^ differing)) {
      widest = differing;
      left = low;
      right = high;
    }
  }
  return widest == 0 ? a.index < b.index : left < right;
}

// Blocks take turns at the crowded cells. (One of them on a multiprocessor, lest doubles be spilled.)
template <class T>
__global__ void __launch_bounds__(kGridThreads, 1) order_kernel(GridTables<T> tables) {
  const uint32_t crowded = tables.crowded[0];
  for (uint32_t i = blockIdx.x; i < crowded; i += gridDim.x) {
    const uint32_t cell = tables.crowded[1 + i], begin = tables.begins[cell];
    PlacedPoint<T>* points = tables.placed + begin;
    sort_block<kGridThreads>(tables.begins[cell + 1] - begin, [=](int64_t low, int64_t high) {
      const PlacedPoint<T> a = points[low], b = points[high];
      if (!precedes(b, a)) return;
      points[low] = b;
      points[high] = a;
    });
  }
}

template <class T>
__device__ __forceinline__ PlaceBox<T> nothing_in_a_box() {
  const T inf = infinity<T>();
  return {{inf, inf, inf}, {-inf, -inf, -inf}, kNoPoint};
}

// Widens a box to hold those of all lanes.
template <class T>
__device__ __forceinline__ void join_lanes(PlaceBox<T>& box) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      const T low = __shfl_xor_sync(kAllLanes, box.low[axis], step);
      const T high = __shfl_xor_sync(kAllLanes, box.high[axis], step);
      if (low < box.low[axis]) box.low[axis] = low;
      if (box.high[axis] < high) box.high[axis] = high;
    }
    const uint32_t first = __shfl_xor_sync(kAllLanes, box.first, step);
    if (first < box.first) box.first = first;
  }
}

// A warp makes each box of a level: around 32 points, or around 32 boxes of the level below.
template <class T>
__global__ void __launch_bounds__(kGridThreads) box_kernel(GridTables<T> tables, int level) {
  if (tables.crowded[0] == 0) return;
  const int64_t box = (static_cast<int64_t>(blockIdx.x) * kGridThreads + threadIdx.x) / kWarp;
  const int64_t points = tables.begins[tables.cells], part = box * kWarp + lane_index();
  if (box * box_places(level) >= points) return;
  PlaceBox<T> own = nothing_in_a_box<T>();
  if (level == 0 && part < points) {
    const PlacedPoint<T> point = tables.placed[part];
    own = {{point.x, point.y, point.z}, {point.x, point.y, point.z},
           static_cast<uint32_t>(point.index)};
  } else if (level > 0 && part * box_places(level - 1) < points) {
    own = tables.boxes[level - 1][part];
  }
  join_lanes(own);
  if (lane_index() == 0) tables.boxes[level][box] = own;
}

// Orders what is crowded in grids that are built, and puts boxes around all.
template <class T>
cudaError_t box_grids(int64_t rows, const GridTables<T>& tables, cudaStream_t stream) {
  const int64_t most = rows / kCrowded;  // crowded cells
  const dim3 threads(kGridThreads), cells = blocks_for(most < kSortingBlocks ? most : kSortingBlocks, 1);
  if (most == 0) return cudaSuccess;
  cudaError_t error = launch(order_kernel<T>, cells, threads, 0, stream, tables);
  for (int level = 0; level < kBoxLevels && error == cudaSuccess; ++level) {
    const dim3 blocks = blocks_for(box_count(rows, level), kGridThreads / kWarp);
    error = launch(box_kernel<T>, blocks, threads, 0, stream, tables, level);
  }
  return error;
}

// The first that a box may hold: no point in it has a smaller key.
template <class T>
__device__ __forceinline__ Key<T> first_key(const PlaceBox<T>& box, const T (&position)[3]) {
  T distance = 0;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    const T at = position[axis];
    // Of differences, squares and sums none falls where its operands grow, however they are rounded.
    const T nearest = at < box.low[axis] ? box.low[axis] : box.high[axis] < at ? box.high[axis] : at;
    distance = add_square(distance, at, nearest);
  }
  return make_key(distance, box.first);
}

template <class T>
__device__ __forceinline__ Key<T> least_of_lanes(Key<T> key) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Key<T> other = from_partner(key, step);
    if (other < key) key = other;
  }
  return key;
}

}  // namespace pcclust::cuda
