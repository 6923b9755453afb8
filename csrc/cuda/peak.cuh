// The farthest point of a thread, a warp, a block.
#pragma once

#include <cstring>

#include "cuda/platform.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

// A distance, not negative or -1, and the lowest position where it is found.
template <class T>
struct Peak {
  T distance;
  uint32_t at;

  __device__ __forceinline__ void raise(const Peak& other) {
    const bool higher = other.distance > distance;
    if (higher || (other.distance == distance && other.at < at)) *this = other;
  }
};

// Farthest of nothing: chosen points, and places that hold none, are nearer than any other.
template <class T>
constexpr T kNever = T(-1);
template <class T>
__device__ __forceinline__ Peak<T> no_peak() {
  return {kNever<T>, 0};
}

// The bits of -1 and of numbers that are not negative order as integers do; 32 of them are reduced
// at a time, by one instruction where there is one.
__device__ __forceinline__ Peak<float> warp_peak(Peak<float> own) {
  int bits;
  memcpy(&bits, &own.distance, sizeof(bits));
  const int top = warp_max(bits);
  Peak<float> peak;
  memcpy(&peak.distance, &top, sizeof(top));
  peak.at = warp_min(bits == top ? own.at : UINT32_MAX);
  return peak;
}

__device__ __forceinline__ Peak<double> warp_peak(Peak<double> own) {
  long long bits;
  memcpy(&bits, &own.distance, sizeof(bits));
  const int high = static_cast<int>(bits >> 32), top_high = warp_max(high);
  const unsigned low = static_cast<unsigned>(bits);
  const unsigned top_low = warp_max(high == top_high ? low : 0u);
  const bool top = high == top_high && low == top_low;
  const long long top_bits =
      static_cast<long long>(static_cast<unsigned long long>(top_high) << 32 | top_low);
  Peak<double> peak;
  memcpy(&peak.distance, &top_bits, sizeof(top_bits));
  peak.at = warp_min(top ? own.at : UINT32_MAX);
  return peak;
}

// The peak of all threads of a block of whole warps; every thread gets it. There is one barrier
// inside: calls take turns 0 and 1, so that nobody writes what another still reads.
template <class T>
__device__ __forceinline__ Peak<T> block_peak(Peak<T> own, int turn) {
  __shared__ Peak<T> peaks[2][kWarp];
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  own = warp_peak(own);
  if (warps == 1) return own;
  if (lane_index() == 0) peaks[turn][threadIdx.x / kWarp] = own;
  __syncthreads();
  return warp_peak(lane_index() < warps ? peaks[turn][lane_index()] : no_peak<T>());
}

}  // namespace pcclust::cuda
