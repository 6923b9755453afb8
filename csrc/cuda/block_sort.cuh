// Sorting and counting by all threads of a block.
#pragma once

#include "cuda/warp.cuh"

namespace pcclust::cuda {

// Sorts `count` items; exchange(low, high) puts two of them in order. A bitonic network whose every
// comparison puts the smaller item first, so that places from `count` on, which would hold the
// largest, need not exist. All threads of the block call it; they meet before and after.
template <int Threads, class Exchange>
__device__ void sort_block(int64_t count, const Exchange& exchange) {
  int64_t padded = 1;
  while (padded < count) padded *= 2;
  __syncthreads();
  for (int64_t size = 2; size <= padded; size *= 2) {
    for (int64_t step = size / 2; step > 0; step /= 2) {
      const bool mirrored = 2 * step == size;
      for (int64_t i = threadIdx.x; i < padded / 2; i += Threads) {
        const int64_t place = i & (step - 1), low = 2 * (i - place) + place;
        const int64_t high = mirrored ? low + size - 1 - 2 * place : low + step;
        if (high < count) exchange(low, high);
      }
      __syncthreads();
    }
  }
}

// The sum over the lanes before this one, and over this one as well.
__device__ __forceinline__ uint32_t warp_inclusive_sum(uint32_t value) {
  const int lane = lane_index();
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    const uint32_t before = __shfl_up_sync(kAllLanes, value, step);
    if (lane >= step) value += before;
  }
  return value;
}

// The sum over the threads before this one; `total` is that of all. `sums` holds one for each warp.
template <int Threads>
__device__ __forceinline__ uint32_t block_exclusive_sum(uint32_t value,
                                                        uint32_t (&sums)[Threads / kWarp],
                                                        uint32_t& total) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const uint32_t inclusive = warp_inclusive_sum(value);
  __syncthreads();
  if (lane_index() == kWarp - 1) sums[warp] = inclusive;
  __syncthreads();
  uint32_t before = 0;
  total = 0;
#pragma unroll
  for (int w = 0; w < Threads / kWarp; ++w) {
    if (w < warp) before += sums[w];
    total += sums[w];
  }
  return before + inclusive - value;
}

}  // namespace pcclust::cuda
