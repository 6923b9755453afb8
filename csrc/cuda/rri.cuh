// Rotation-invariant features of every neighbourhood. pcclust/ops/rri.py defines them and its torch
// twin is the reference.
//
// The neighbours come from the search of knn.cuh; one block a cloud places the points about its
// centre (rri_cloud.cuh); then one warp describes each point, a neighbour in each lane. Angles are
// measured in the precision of the points, from coordinates taken in double; only where two
// azimuths are too close for float to tell them apart, the warp starts over with azimuths in
// double, as the twin has them. Up to 64 neighbours are ordered in shared memory by counting (azimuth_order.cuh),
// any number above by a bitonic network, in shared memory up to 256 and in global memory beyond.
//
// Counted for a point and k = 20 neighbours in float32, after the search: reads 8·k of indices and
// 16·k of gathered points, which stay in L2; writes 16·k: 480 bytes to and from memory, a bound of
// 0.14 ms for a million points at 3.35 TB/s. Some 700 instructions a warp (the PTX, its loops 20
// times), of which 100 in double at half the rate: 800 issue slots on 528 schedulers at 1.76 GHz, a
// bound of 0.86 ms, which decides. Expected is 60 % of it, 1.4 ms, less than the search before it.
// Placing reads a cloud five times: 12 bytes · 5 · N at some 100 GB/s for the one processor that a
// cloud has, 0.6 ms for a single cloud of a million points, unnoticed in a batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/azimuth_order.cuh"
#include "cuda/knn.cuh"
#include "cuda/platform.cuh"
#include "cuda/rri_view.cuh"
#include "cuda/search.cuh"

namespace pcclust::cuda {

template <class T>
struct RriArguments {
  Clouds<T> clouds;
  const T* centers;     // (clouds, 3), or null for the centroids
  int64_t k;            // at most the points of the smallest cloud less one
  T* features;          // (rows, k, 4)
  int64_t* neighbors;   // (rows, k) points of the cloud, or null
  int64_t* successors;  // (rows, k) columns, or null
  void* workspace;      // rri_workspace<T>(…) bytes, aligned to 256
};

namespace rri_features {

constexpr int kWarps = 4;  // of a block
constexpr int64_t kMostCounted = 64;
constexpr int64_t kMostShared = 256;   // sorted in 16 KiB of shared memory of four warps
constexpr int64_t kLongBlocks = 1024;  // that sort in global memory at a time

// How far float rounding moves the difference of two azimuths: each by 7e-7 in atan2 (3 units in
// the last place of π), 2.4e-7 where a turn is added and 6e-8 in its arguments; and twice that.
constexpr double kNoise = 4e-6;

// What the kernel reads besides the arguments.
template <class T>
struct Scene {
  const Placed<T>* placed;      // (rows,)
  const CloudFrame<T>* frames;  // (clouds,)
  const int* owners;            // (rows,) the cloud of each; undefined on padding
  const int64_t* neighbors;     // (rows, k) points of the cloud, -1 where there is none
};

// Describes the neighbourhood of one point in `rows` (k, 4); false where Angle is too coarse.
template <int kHeld, class Angle, class T>
__device__ bool describe(const Viewpoint<T>& view, const int64_t* neighbors, int k, int count,
                         AzimuthEntry<Angle>* entries, T* rows, int64_t* successors) {
  int present = 0;
  for (int base = 0; base < count; base += kWarp) {
    const int column = base + lane_index();
    AzimuthEntry<Angle> entry = no_azimuth<Angle>(column);
    if (column < k) entry = measure<Angle>(view, neighbors[column], column, rows + 4 * column);
    if (column < count) entries[column] = entry;
    if (column < k && successors) successors[column] = -1;
    present += __popc(__ballot_sync(kAllLanes, entry.azimuth < infinity<Angle>()));
  }
  __syncwarp(kAllLanes);
  constexpr bool coarse = sizeof(Angle) < sizeof(double);
  const double tolerance = RriTolerance<T>::azimuth + (coarse ? kNoise : 0);
  return order_azimuths<kHeld>(entries, count, present, static_cast<Angle>(tolerance), coarse,
                               [&](int column, Angle gap, int successor) {
                                 rows[4 * column + 3] = static_cast<T>(gap);
                                 if (successors) successors[column] = successor;
                               });
}

// The same for the point of a row, in float first; a row of padding is 0.
template <int kHeld, class T>
__device__ void describe_row(const RriArguments<T>& a, const Scene<T>& scene, int64_t row,
                             int count, AzimuthEntry<double>* entries, T* rows) {
  const int k = static_cast<int>(a.k);
  const int64_t* neighbors = scene.neighbors + row * a.k;
  int64_t* successors = a.successors ? a.successors + row * a.k : nullptr;
  if (neighbors[0] < 0) {
    for (int i = lane_index(); i < 4 * k; i += kWarp) rows[i] = 0;
    for (int i = lane_index(); successors && i < k; i += kWarp) successors[i] = -1;
    return;
  }
  const int owner = scene.owners[row];
  const Viewpoint<T> view = view_from(
      scene.placed[row], scene.placed + start_of(a.clouds, owner), scene.frames[owner]);
  if constexpr (sizeof(T) < sizeof(double)) {
    auto* coarse = reinterpret_cast<AzimuthEntry<T>*>(entries);
    if (describe<kHeld>(view, neighbors, k, count, coarse, rows, successors)) return;
  }
  describe<kHeld>(view, neighbors, k, count, entries, rows, successors);
}

// Up to 32 · kHeld neighbours: all of a warp's work is in shared memory, features leave it at once.
template <class T, int kHeld>
__global__ void __launch_bounds__(kWarps * kWarp)
    describe_short(RriArguments<T> a, Scene<T> scene) {
  __shared__ AzimuthEntry<double> entries[kWarps][kHeld * kWarp];
  __shared__ T rows[kWarps][4 * kHeld * kWarp];
  const int warp = static_cast<int>(threadIdx.x) / kWarp, k = static_cast<int>(a.k);
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp;
  if (row >= a.clouds.row_count) return;
  describe_row<kHeld>(a, scene, row, k, entries[warp], rows[warp]);
  __syncwarp(kAllLanes);
  T* features = a.features + row * 4 * a.k;
  for (int i = lane_index(); i < 4 * k; i += kWarp) features[i] = rows[warp][i];
}

// Any number of neighbours; `entries` is null where shared memory holds them.
template <class T>
__global__ void __launch_bounds__(kWarps * kWarp, 4)
    describe_long(RriArguments<T> a, Scene<T> scene, int count, AzimuthEntry<double>* entries) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t number = int64_t{blockIdx.x} * kWarps + warp;
  AzimuthEntry<double>* own = entries ? entries + number * count
                                      : dynamic_shared<AzimuthEntry<double>>() + warp * count;
  for (int64_t row = number; row < a.clouds.row_count; row += int64_t{gridDim.x} * kWarps) {
    describe_row<0>(a, scene, row, count, own, a.features + row * 4 * a.k);
    __syncwarp(kAllLanes);
  }
}

// Entries of a row beyond the counted: a power of two for the network.
inline int64_t long_entries(int64_t k) {
  int64_t count = 2 * kMostCounted;
  while (count < k) count *= 2;
  return count;
}

inline int64_t long_blocks(int64_t rows) {
  const int64_t blocks = ceil_divide(rows, int64_t{kWarps});
  return blocks < kLongBlocks ? blocks : kLongBlocks;
}

template <class T>
cudaError_t describe_all(const RriArguments<T>& a, const Scene<T>& scene,
                         AzimuthEntry<double>* entries, cudaStream_t stream) {
  const dim3 grid = blocks_for(a.clouds.row_count, kWarps), block(kWarps * kWarp);
  if (a.k <= kWarp) return launch(describe_short<T, 1>, grid, block, 0, stream, a, scene);
  if (a.k <= kMostCounted) return launch(describe_short<T, 2>, grid, block, 0, stream, a, scene);
  const int count = static_cast<int>(long_entries(a.k));
  const size_t shared = entries ? 0 : kWarps * count * sizeof(AzimuthEntry<double>);
  const dim3 few(static_cast<unsigned>(long_blocks(a.clouds.row_count)));
  return launch(describe_long<T>, few, block, shared, stream, a, scene, count, entries);
}

// What lies where in the workspace.
template <class T>
struct Memory {
  size_t bytes = 0;
  int64_t* neighbors;
  T* distances;
  Placed<T>* placed;
  CloudFrame<T>* frames;
  int* owners;
  AzimuthEntry<double>* entries;
  void* search;

  Memory(void* workspace, int64_t rows, int64_t clouds, int64_t k, bool links) {
    const auto take = [&]<class U>(U*& part, int64_t count) {
      part = count > 0 ? reinterpret_cast<U*>(reinterpret_cast<uintptr_t>(workspace) + bytes)
                       : nullptr;
      bytes += ceil_divide(count * sizeof(U), size_t{256}) * 256;
    };
    take(neighbors, links ? 0 : rows * k);
    take(distances, rows * k);
    take(placed, rows);
    take(frames, clouds);
    take(owners, rows);
    const bool in_memory = k > kMostShared;
    take(entries, in_memory ? long_blocks(rows) * kWarps * long_entries(k) : 0);
    std::byte* found;
    take(found, static_cast<int64_t>(knn_workspace<T>(rows, clouds, 3, k)));
    search = found;
  }
};

}  // namespace rri_features

template <class T>
size_t rri_workspace(int64_t rows, int64_t clouds, int64_t k, bool links) {
  return rri_features::Memory<T>(nullptr, rows, clouds, k, links).bytes;
}

template <class T>
cudaError_t rri(const RriArguments<T>& a, cudaStream_t stream) {
  using namespace rri_features;
  const int64_t rows = a.clouds.row_count, clouds = a.clouds.count;
  const Memory<T> memory(a.workspace, rows, clouds, a.k, a.neighbors != nullptr);
  int64_t* neighbors = a.neighbors ? a.neighbors : memory.neighbors;
  const KnnArguments<T> search{.points = a.clouds,
                               .queries = a.clouds,
                               .self = true,
                               .exclude_self = true,
                               .packed = false,
                               .k = a.k,
                               .limit = {},
                               .distances = memory.distances,
                               .indices = neighbors,
                               .counts = nullptr,
                               .workspace = memory.search};
  cudaError_t status = knn(search, stream);
  if (status != cudaSuccess) return status;
  status = launch(rri_cloud::place_clouds<T>, static_cast<unsigned>(clouds), rri_cloud::kThreads, 0,
                  stream, a.clouds, a.centers, memory.placed, memory.frames, memory.owners);
  if (status != cudaSuccess) return status;
  const Scene<T> scene{memory.placed, memory.frames, memory.owners, neighbors};
  return describe_all(a, scene, memory.entries, stream);
}

}  // namespace pcclust::cuda
