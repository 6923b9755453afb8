// Clouds as their centres see them: one block finds the centre and the unit of each and places its
// points. pcclust/ops/_neighborhoods.py says why.
#pragma once

#include <cmath>

#include "core/rri_tolerance.h"
#include "cuda/platform.cuh"
#include "cuda/search.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

// A point in units of a power of two near its cloud's radius, so that squares neither overflow nor
// vanish, and its distance from the centre, negative where too small for a direction.
template <class T>
struct alignas(4 * sizeof(T)) Placed {
  T coordinate[3];
  T signed_radius;

  __device__ bool has_direction() const { return !std::signbit(signed_radius); }
  __device__ T radius() const { return std::abs(signed_radius); }
};

// A power of two in two factors, since alone it may overflow or vanish.
template <class T>
struct PowerOfTwo {
  T factor[2];

  __device__ T times(T value) const { return value * factor[0] * factor[1]; }
};

template <class T>
__device__ PowerOfTwo<T> power_of_two(int exponent) {
  const int half = exponent >> 1;
  return {std::ldexp(T(1), half), std::ldexp(T(1), exponent - half)};
}

// What a cloud's points have in common.
template <class T>
struct CloudFrame {
  T middle[3];         // the centre, in the cloud's unit
  PowerOfTwo<T> unit;
};

namespace rri_cloud {

// Fixed, so that the order of a sum depends on nothing but the cloud.
constexpr int kThreads = 512;

// Combines one number of each thread of the block; every thread gets the result.
template <class Combine>
__device__ double block_reduce(double value, const Combine& combine) {
  __shared__ double parts[kThreads / kWarp];
  value = warp_reduce(value, combine);
  __syncthreads();  // those of the last call are read
  if (lane_index() == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  double total = parts[0];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) total = combine(total, parts[warp]);
  return total;
}

__device__ __forceinline__ double larger(double a, double b) { return a < b ? b : a; }
__device__ __forceinline__ double sum(double a, double b) { return a + b; }

// The exponent that brings the points of a cloud to size 1, as seen from `center`.
template <class T>
__device__ int find_exponent(const T* points, int64_t size, const T (&center)[3]) {
  double reach = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      // A quarter of either cannot overflow, whatever the two are.
      const T quarter = points[3 * i + axis] / 4 - center[axis] / 4;
      reach = larger(reach, std::abs(static_cast<double>(quarter)));
    }
  }
  int exponent = 0;
  std::frexp(block_reduce(reach, larger), &exponent);
  return exponent + 2;
}

// The mean of a cloud, summed in double from its first point: clouds of equal points have exactly
// that point.
template <class T>
__device__ void find_centroid(const T* points, int64_t size, T (&center)[3]) {
  const T first[3] = {points[0], points[1], points[2]};
  const int exponent = find_exponent(points, size, first);
  const PowerOfTwo<double> unit = power_of_two<double>(exponent);
  const PowerOfTwo<double> shrink = power_of_two<double>(-exponent);
  double total[3]{};
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      total[axis] += shrink.times(points[3 * i + axis]) - shrink.times(first[axis]);
    }
  }
  for (int axis = 0; axis < 3; ++axis) {
    const double mean = block_reduce(total[axis], sum) / static_cast<double>(size);
    center[axis] = static_cast<T>(first[axis] + unit.times(mean));
  }
}

// The distance from the centre of a point whose coordinates are in the cloud's unit.
template <class T>
__device__ double radius_of(const T (&coordinate)[3], const T (&middle)[3]) {
  double square = 0;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    const double relative = static_cast<double>(coordinate[axis]) - middle[axis];
    square += relative * relative;
  }
  return std::sqrt(square);
}

// Block c places the points of cloud c about `centers`, or about the centroids where that is null,
// and writes for each row whose it is.
template <class T>
__global__ void __launch_bounds__(kThreads)
    place_clouds(Clouds<T> clouds, const T* centers, Placed<T>* placed, CloudFrame<T>* frames,
                 int* owners) {
  const int64_t cloud = blockIdx.x;
  const Extent extent = extent_of(clouds, cloud);
  if (extent.size == 0) return;
  const T* points = clouds.rows + 3 * extent.start;
  T center[3];
  if (centers) {
    for (int axis = 0; axis < 3; ++axis) center[axis] = centers[3 * cloud + axis];
  } else {
    find_centroid(points, extent.size, center);
  }
  const int exponent = find_exponent(points, extent.size, center);
  const PowerOfTwo<T> shrink = power_of_two<T>(-exponent);
  CloudFrame<T> frame{.middle = {}, .unit = power_of_two<T>(exponent)};
  for (int axis = 0; axis < 3; ++axis) frame.middle[axis] = shrink.times(center[axis]);
  if (threadIdx.x == 0) frames[cloud] = frame;

  const auto place = [&](int64_t i, T (&coordinate)[3]) {
    for (int axis = 0; axis < 3; ++axis) coordinate[axis] = shrink.times(points[3 * i + axis]);
    return radius_of(coordinate, frame.middle);
  };
  double largest = 0;
  Placed<T> point;
  for (int64_t i = threadIdx.x; i < extent.size; i += kThreads) {
    largest = larger(largest, place(i, point.coordinate));
  }
  const double nearest = RriTolerance<T>::direction * block_reduce(largest, larger);
  for (int64_t i = threadIdx.x; i < extent.size; i += kThreads) {
    const double radius = place(i, point.coordinate);
    point.signed_radius = static_cast<T>(radius > nearest ? radius : -radius);
    placed[extent.start + i] = point;
    owners[extent.start + i] = static_cast<int>(cloud);
  }
}

}  // namespace rri_cloud
}  // namespace pcclust::cuda
