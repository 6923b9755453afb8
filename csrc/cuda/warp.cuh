// Reductions over a whole warp; every lane gets the result. All 32 lanes must take part.
#pragma once

#include "cuda/platform.cuh"

namespace pcclust::cuda {

__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x) % kWarp; }

template <class T, class Combine>
__device__ __forceinline__ T warp_reduce(T value, Combine combine) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

// Adds in one fixed order, so floating sums have the same bits in every run.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  return warp_reduce(value, [](T a, T b) { return a + b; });
}

template <class T>
__device__ __forceinline__ T warp_min(T value) {
  return warp_reduce(value, [](T a, T b) { return b < a ? b : a; });
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
  return warp_reduce(value, [](T a, T b) { return a < b ? b : a; });
}

// From sm_80 on one instruction reduces 32-bit integers.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
__device__ __forceinline__ unsigned warp_sum(unsigned v) { return __reduce_add_sync(kAllLanes, v); }
__device__ __forceinline__ int warp_sum(int v) { return __reduce_add_sync(kAllLanes, v); }
__device__ __forceinline__ unsigned warp_min(unsigned v) { return __reduce_min_sync(kAllLanes, v); }
__device__ __forceinline__ int warp_min(int v) { return __reduce_min_sync(kAllLanes, v); }
__device__ __forceinline__ unsigned warp_max(unsigned v) { return __reduce_max_sync(kAllLanes, v); }
__device__ __forceinline__ int warp_max(int v) { return __reduce_max_sync(kAllLanes, v); }
#endif

// A value and where it is; smaller values win, then smaller indices.
template <class T, class I>
struct Ranked {
  T value;
  I index;
};

template <class T, class I>
__device__ __forceinline__ bool comes_before(Ranked<T, I> a, Ranked<T, I> b) {
  return a.value < b.value || (a.value == b.value && a.index < b.index);
}

// The first of all lanes by (value, index).
template <class T, class I>
__device__ __forceinline__ Ranked<T, I> warp_argmin(Ranked<T, I> best) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Ranked<T, I> other{__shfl_xor_sync(kAllLanes, best.value, step),
                             __shfl_xor_sync(kAllLanes, best.index, step)};
    if (comes_before(other, best)) best = other;
  }
  return best;
}

// The largest value of all lanes, and of several the one with the smallest index.
template <class T, class I>
__device__ __forceinline__ Ranked<T, I> warp_argmax(Ranked<T, I> best) {
  const Ranked<T, I> first = warp_argmin(Ranked<T, I>{-best.value, best.index});
  return {-first.value, first.index};
}

}  // namespace pcclust::cuda
