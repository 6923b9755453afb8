// The nearest center of every point: the assignment step of k-means.
//
// All distances are computed directly, from differences, and the first of the nearest centers wins:
// no bound to prove, nothing to look at twice, no precision lost far from the origin, and the
// answer is the one that the native kernel on the CPU proves. A block compares 64 points with all
// centers, 64 at a time; tiles of both pass through shared memory, 32 dimensions at a time; each
// thread holds 4 × 4 sums and its points' nearest so far, so the N × k distances exist nowhere. Up
// to 8 dimensions every operation is rounded, which gives the same bits as on the CPU; beyond,
// products and sums are fused.
//
// Counted for N points, k centers and D dimensions in float32: N·k·D differences and as many fused
// products: 2 instructions, where a matrix product needs one; at 132 · 128 · 1.76 GHz = 29.7 T a
// second, 100 000 · 1000 · 512 take at least 3.4 ms (a product at 67 TFLOP/s 1.5 ms, but it cannot
// decide alone). Memory: 4·N·D bytes for every 64 centers, from L2 where points fit, otherwise at
// 3.35 TB/s: 0.06 ms each time, 0.9 ms in all. Shared memory takes 20 cycles (3 wavefronts a warp
// for reading, 2 for filling) while the schedulers issue 32. Expected: 65 % of the bound of the
// instructions.
#pragma once

#include <cmath>

#include "cuda/platform.cuh"
#include "cuda/search.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

template <class T>
struct KmeansAssignArguments {
  const T* points;  // (count, dims)
  int64_t count, dims;
  const T* centers;      // (center_count, dims)
  int64_t center_count;  // at least 1, below kMostRows
  int64_t* labels;       // (count,)
  T* distances;          // (count,) squared
};

namespace kmeans_assign_tiles {

constexpr int kSide = 16;               // threads of a block in either direction
constexpr int kThreads = kSide * kSide;
constexpr int kEach = 4;                // points, and centers, of a thread
constexpr int kTile = kSide * kEach;    // points, and centers, of a block
constexpr int kDepth = 32;              // dimensions in shared memory
constexpr int64_t kExactDims = 8;       // as EXACT_DIMENSIONS in pcclust/ops/_distance.py

// Coordinates of 64 rows, dimension by dimension. The padding spreads the writes of a row over
// banks and keeps four rows aligned.
template <class T>
using Tile = T[kDepth][kTile + kEach];

// Fills a tile with rows from `first` on, dimensions from `depth` on; zeros beyond either.
template <class T>
__device__ void load_tile(Tile<T>& tile, const T* rows, int64_t count, int64_t dims, int64_t first,
                          int64_t depth) {
  const int d = static_cast<int>(threadIdx.x) % kDepth;
#pragma unroll
  for (int row = static_cast<int>(threadIdx.x) / kDepth; row < kTile; row += kThreads / kDepth) {
    const bool inside = first + row < count && depth + d < dims;
    tile[d][row] = inside ? rows[(first + row) * dims + depth + d] : T(0);
  }
}

// Four neighbouring numbers of a tile, read at once.
template <class T>
struct alignas(16) Four {
  T at[kEach];
};

template <class T>
__device__ __forceinline__ Four<T> read_four(const T* from) {
  return *reinterpret_cast<const Four<T>*>(from);
}

template <bool kExact, class T>
__device__ __forceinline__ T add_term(T sum, T point, T center) {
  if constexpr (kExact) return add_square(sum, point, center);
  const T step = point - center;
  return std::fma(step, step, sum);
}

template <class T>
using Sums = T[kEach][kEach];

// Adds the terms of the dimensions in shared memory.
template <bool kExact, class T>
__device__ __forceinline__ void add_terms(Sums<T>& sums, const Tile<T>& points,
                                          const Tile<T>& centers, int row, int column, int depth) {
#pragma unroll 4
  for (int d = 0; d < depth; ++d) {
    const Four<T> p = read_four(&points[d][row * kEach]);
    const Four<T> c = read_four(&centers[d][column * kEach]);
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        sums[i][j] = add_term<kExact>(sums[i][j], p.at[i], c.at[j]);
      }
    }
  }
}

// A thread's points and the nearest centers among those that it has seen.
template <class T>
struct Nearest {
  Ranked<T, int> of[kEach];

  // Centers come in ascending order, so the first of equals stays.
  __device__ void see(const Sums<T>& sums, int64_t first, int64_t count) {
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        if (first + j < count && sums[i][j] < of[i].value) {
          of[i] = {sums[i][j], static_cast<int>(first) + j};
        }
      }
    }
  }

  // Of the centers that the 16 threads of a row have seen.
  __device__ void share() {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
#pragma unroll
      for (int step = kSide / 2; step > 0; step /= 2) {
        const Ranked<T, int> other{__shfl_xor_sync(kAllLanes, of[i].value, step),
                                   __shfl_xor_sync(kAllLanes, of[i].index, step)};
        if (comes_before(other, of[i])) of[i] = other;
      }
    }
  }
};

template <class T, bool kExact>
__global__ void __launch_bounds__(kThreads, 2) assign_tile(KmeansAssignArguments<T> a) {
  alignas(16) __shared__ Tile<T> points;
  alignas(16) __shared__ Tile<T> centers;
  const int row = static_cast<int>(threadIdx.x) / kSide;
  const int column = static_cast<int>(threadIdx.x) % kSide;
  const int64_t first_point = int64_t{blockIdx.x} * kTile;
  Nearest<T> nearest;
  // Where all squares overflow, the first center serves.
  for (Ranked<T, int>& each : nearest.of) each = {infinity<T>(), 0};
  for (int64_t first = 0; first < a.center_count; first += kTile) {
    Sums<T> sums{};
    for (int64_t depth = 0; depth < a.dims; depth += kDepth) {
      __syncthreads();
      // Points that are all in shared memory stay there.
      if (first == 0 || a.dims > kDepth) {
        load_tile(points, a.points, a.count, a.dims, first_point, depth);
      }
      load_tile(centers, a.centers, a.center_count, a.dims, first, depth);
      __syncthreads();
      const int64_t left = a.dims - depth;
      add_terms<kExact>(sums, points, centers, row, column,
                        left < kDepth ? static_cast<int>(left) : kDepth);
    }
    nearest.see(sums, first + column * kEach, a.center_count);
  }
  nearest.share();
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int64_t point = first_point + row * kEach + i;
    if (column == i && point < a.count) {
      a.labels[point] = nearest.of[i].index;
      a.distances[point] = nearest.of[i].value;
    }
  }
}

}  // namespace kmeans_assign_tiles

template <class T>
cudaError_t kmeans_assign(const KmeansAssignArguments<T>& a, cudaStream_t stream) {
  using namespace kmeans_assign_tiles;
  const dim3 grid = blocks_for(a.count, kTile);
  return a.dims <= kExactDims ? launch(assign_tile<T, true>, grid, kThreads, 0, stream, a)
                              : launch(assign_tile<T, false>, grid, kThreads, 0, stream, a);
}

}  // namespace pcclust::cuda
