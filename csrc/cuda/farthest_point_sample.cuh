// Farthest point sampling: exact, ties to the lowest index, in any dimension.
//
// The steps follow from each other, so what counts is the time of one step. Clouds of usual size
// take one block each: a thread keeps its points and their distances in registers, and one barrier
// separates two steps. What the registers cannot hold is measured from memory (one processor reads
// some 64 bytes a cycle from L2). A few large clouds are spread over many blocks, one launch a
// step, since the end of a launch is the only barrier across blocks that needs neither a
// cooperative launch nor a spinning block: slower by the launch, some 2.5 µs, faster beyond 16384
// points.
//
// Counted for N points of 3 floats and S samples: 8 operations a point and step, 8·N·S in all.
// - One block: no memory in a step; 8·N·S / (128 · 1.76 GHz) on one processor are 36 ns a step for
//   1024 points and 0.29 µs for 8192. To these come choosing (as many instructions again), a
//   barrier, two reductions and one dependent load, some 230 cycles: expected are 0.2 µs (18 % of
//   the bound) and 0.68 µs (43 %), for 132 clouds and more at the same time.
// - Spread: 20 bytes a point and step (12 read, a distance read and written) that stay in the 50 MB
//   of L2 up to 2.5 M points; from memory, 20·N / 3.35 TB/s (1 M points: 6 µs a step). Expected:
//   half of it, or the launch where that takes longer.
#pragma once

#include "cuda/argmax.cuh"
#include "cuda/platform.cuh"
#include "cuda/search.cuh"

namespace pcclust::cuda {

template <class T>
struct FarthestPointSampleArguments {
  Clouds<T> points;
  const int64_t* first;  // (clouds,) where each cloud begins
  bool packed;           // indices count rows of all clouds instead of points of one
  int64_t num_samples;   // at most the points of any cloud
  int64_t* indices;      // (clouds, num_samples)
  void* workspace;       // farthest_point_sample_workspace<T>(rows, clouds) bytes
};

namespace farthest_point {

constexpr int kMostThreads = 512;
constexpr int kSliceThreads = 256;
constexpr int64_t kMostSlices = 1024;
constexpr int64_t kSlicePoints = 1024;      // of one slice, on average
constexpr int64_t kOneBlockPoints = 16384;  // up to so many on average, one block is faster
constexpr int64_t kFewClouds = 64;          // from so many on, they keep the device busy anyhow

// Points in the registers of a thread; twice as many where so few would not hold a cloud.
template <class T>
constexpr int kFewItems = 32 / sizeof(T);

// The squared distance of two rows of kDims coordinates, or of `dims` where kDims is 0.
template <int kDims, class T>
__device__ __forceinline__ T squared_distance(const T* a, const T* b, int64_t dims) {
  T total = 0;
  if constexpr (kDims > 0) {
#pragma unroll
    for (int d = 0; d < kDims; ++d) total = add_square(total, a[d], b[d]);
  } else {
    for (int64_t d = 0; d < dims; ++d) total = add_square(total, a[d], b[d]);
  }
  return total;
}

// Where a cloud begins, if the caller named a point of it.
__device__ __forceinline__ uint32_t first_position(int64_t first, int64_t size) {
  return first >= 0 && first < size ? static_cast<uint32_t>(first) : 0;
}

// The points of one cloud that this thread keeps: those at threadIdx.x + i · blockDim.x.
template <class T, int kDims, int kItems>
class Kept {
 public:
  static constexpr int kHeld = kDims > 0 ? kDims : 1;  // coordinates in registers

  __device__ Kept(const T* points, int64_t dims, int64_t size) : points_(points), dims_(dims) {
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const bool holds = position(i) < size;
      distance_[i] = holds ? infinity<T>() : kNever<T>;
#pragma unroll
      for (int d = 0; d < kHeld; ++d) {
        coordinate_[i][d] = holds && kDims > 0 ? points[position(i) * kDims + d] : T(0);
      }
    }
  }

  // Shortens the distances by the point `chosen`, at `from`; the farthest of the points then.
  __device__ Argmax<T> shorten(const T (&from)[kHeld], uint32_t chosen) {
    Argmax<T> best = no_argmax<T>();
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const T now = distance_to(i, from, chosen);
      distance_[i] = now < distance_[i] ? now : distance_[i];
      if (position(i) == chosen) distance_[i] = kNever<T>;
      // Positions ascend: the first of equals stays.
      if (distance_[i] > best.distance) best = {distance_[i], position(i)};
    }
    return best;
  }

 private:
  __device__ static uint32_t position(int item) { return threadIdx.x + item * blockDim.x; }

  __device__ T distance_to(int item, const T (&from)[kHeld], uint32_t chosen) const {
    if constexpr (kDims > 0) {
      return squared_distance<kDims>(coordinate_[item], from, dims_);
    } else {
      if (distance_[item] == kNever<T>) return 0;  // perhaps no point at all
      return squared_distance<0>(points_ + position(item) * dims_, points_ + chosen * dims_, dims_);
    }
  }

  const T* points_;
  int64_t dims_;
  T distance_[kItems];
  T coordinate_[kItems][kHeld];
};

// Shortens the distances of the points `begin`, `begin` + `step`, … in memory, which are not set
// yet where `fresh`; the farthest of them then.
template <int kDims, class T>
__device__ Argmax<T> shorten_in_memory(const T* points, int64_t dims, int64_t size, uint32_t chosen,
                                     int64_t begin, int64_t step, bool fresh, T* distances) {
  Argmax<T> best = no_argmax<T>();
  const T* from = points + chosen * dims;
  for (int64_t at = begin; at < size; at += step) {
    T distance = fresh ? infinity<T>() : distances[at];
    const T now = squared_distance<kDims>(points + at * dims, from, dims);
    distance = now < distance ? now : distance;
    if (at == chosen) distance = kNever<T>;
    distances[at] = distance;
    if (distance > best.distance) best = {distance, static_cast<uint32_t>(at)};
  }
  return best;
}

// One block samples one cloud.
template <class T, int kDims, int kItems>
__global__ void __launch_bounds__(kMostThreads, 1)
    sample_one_cloud(FarthestPointSampleArguments<T> a, T* distances) {
  const int64_t cloud = blockIdx.x;
  const Extent extent = extent_of(a.points, cloud);
  const int64_t dims = a.points.dims, kept_points = int64_t{blockDim.x} * kItems;
  const T* points = a.points.rows + extent.start * dims;
  int64_t* indices = a.indices + cloud * a.num_samples;
  if (extent.size == 0) {
    for (int64_t s = threadIdx.x; s < a.num_samples; s += blockDim.x) indices[s] = -1;
    return;
  }
  using Points = Kept<T, kDims, kItems>;
  Points kept(points, dims, extent.size);
  uint32_t chosen = first_position(a.first[cloud], extent.size);
  for (int64_t s = 0;;) {
    if (threadIdx.x == 0) indices[s] = chosen + (a.packed ? extent.start : 0);
    if (++s == a.num_samples) return;
    T from[Points::kHeld]{};
#pragma unroll
    for (int d = 0; d < kDims; ++d) from[d] = points[int64_t{chosen} * kDims + d];
    Argmax<T> best = kept.shorten(from, chosen);
    if (extent.size > kept_points) {
      best.raise(shorten_in_memory<kDims>(points, dims, extent.size, chosen,
                                          kept_points + threadIdx.x, blockDim.x, s == 1,
                                          distances + extent.start));
    }
    chosen = block_argmax(best, s & 1).at;
  }
}

// Takes the farthest point of every cloud and shortens all distances by it: block (i, cloud) those
// of slice i, whose argmax it leaves for the next step.
template <class T, int kDims>
__global__ void __launch_bounds__(kSliceThreads)
    advance_slices(FarthestPointSampleArguments<T> a, int64_t step, Argmax<T>* found,
                   T* distances) {
  const int64_t cloud = blockIdx.y, slices = gridDim.x, dims = a.points.dims;
  const Extent extent = extent_of(a.points, cloud);
  const Argmax<T>* before = found + (((step - 1) & 1) * a.points.count + cloud) * slices;
  Argmax<T>* after = found + ((step & 1) * a.points.count + cloud) * slices;
  Argmax<T> best = no_argmax<T>();
  for (int64_t i = threadIdx.x; step > 1 && i < slices; i += blockDim.x) best.raise(before[i]);
  const uint32_t farthest = block_argmax(best, 0).at;
  const uint32_t chosen = step > 1 ? farthest : first_position(a.first[cloud], extent.size);
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    const int64_t index = chosen + (a.packed ? extent.start : 0);
    a.indices[cloud * a.num_samples + step - 1] = extent.size > 0 ? index : -1;
  }
  if (step == a.num_samples) return;
  best = shorten_in_memory<kDims>(a.points.rows + extent.start * dims, dims, extent.size, chosen,
                                  int64_t{blockIdx.x} * blockDim.x + threadIdx.x,
                                  slices * blockDim.x, step == 1, distances + extent.start);
  best = block_argmax(best, 1);
  if (threadIdx.x == 0) after[blockIdx.x] = best;
}

inline int64_t mean_points(int64_t rows, int64_t clouds) {
  return ceil_divide(rows, clouds > 0 ? clouds : 1);
}

inline bool is_spread(int64_t rows, int64_t clouds) {
  return clouds < kFewClouds && mean_points(rows, clouds) > kOneBlockPoints;
}

inline int64_t slices_of(int64_t rows, int64_t clouds) {
  const int64_t slices = ceil_divide(mean_points(rows, clouds), kSlicePoints);
  return slices < kMostSlices ? slices : kMostSlices;
}

// How a block holds a cloud of the mean size in registers, as far as it fits.
struct BlockShape {
  unsigned threads;
  int items;
};

template <class T>
BlockShape block_shape(int64_t rows, int64_t clouds) {
  constexpr int few = kFewItems<T>;
  const int64_t mean = mean_points(rows, clouds);
  unsigned threads = kWarp;
  while (threads < kMostThreads && threads * few < mean) threads *= 2;
  return {threads, threads * few < mean ? 2 * few : few};
}

template <class T, int kDims>
cudaError_t sample_one_by_one(const FarthestPointSampleArguments<T>& a, cudaStream_t stream) {
  const BlockShape shape = block_shape<T>(a.points.row_count, a.points.count);
  constexpr int few = kFewItems<T>;
  const auto kernel = shape.items == few ? sample_one_cloud<T, kDims, few>
                                         : sample_one_cloud<T, kDims, 2 * few>;
  return launch(kernel, static_cast<unsigned>(a.points.count), shape.threads, 0, stream, a,
                static_cast<T*>(a.workspace));
}

template <class T, int kDims>
cudaError_t sample_by_slices(const FarthestPointSampleArguments<T>& a, cudaStream_t stream) {
  const int64_t slices = slices_of(a.points.row_count, a.points.count);
  Argmax<T>* found = static_cast<Argmax<T>*>(a.workspace);
  T* distances = reinterpret_cast<T*>(found + 2 * a.points.count * slices);
  const dim3 grid(static_cast<unsigned>(slices), static_cast<unsigned>(a.points.count));
  cudaError_t status = cudaSuccess;
  for (int64_t step = 1; step <= a.num_samples && status == cudaSuccess; ++step) {
    status = launch(advance_slices<T, kDims>, grid, kSliceThreads, 0, stream, a, step, found,
                    distances);
  }
  return status;
}

}  // namespace farthest_point

template <class T>
size_t farthest_point_sample_workspace(int64_t rows, int64_t clouds) {
  using namespace farthest_point;
  if (is_spread(rows, clouds)) {
    return 2 * clouds * slices_of(rows, clouds) * sizeof(Argmax<T>) + rows * sizeof(T);
  }
  const BlockShape shape = block_shape<T>(rows, clouds);
  return rows <= int64_t{shape.threads} * shape.items ? 0 : rows * sizeof(T);
}

template <class T>
cudaError_t farthest_point_sample(const FarthestPointSampleArguments<T>& a, cudaStream_t stream) {
  using namespace farthest_point;
  if (is_spread(a.points.row_count, a.points.count)) {
    return a.points.dims == 3 ? sample_by_slices<T, 3>(a, stream)
                              : sample_by_slices<T, 0>(a, stream);
  }
  return a.points.dims == 3 ? sample_one_by_one<T, 3>(a, stream)
                            : sample_one_by_one<T, 0>(a, stream);
}

}  // namespace pcclust::cuda
