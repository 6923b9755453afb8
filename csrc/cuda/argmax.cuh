// The farthest point of a thread, a warp, a block.
#pragma once

#include <cstring>

#include "cuda/platform.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

// A distance, not negative or -1, and the lowest position where it is found.
template <class T>
struct Argmax {
  T distance;
  uint32_t at;

  __device__ __forceinline__ void raise(const Argmax& other) {
    const bool higher = other.distance > distance;
    if (higher || (other.distance == distance && other.at < at)) *this = other;
  }
};

// Farthest of nothing: chosen points, and places that hold none, are nearer than any other.
template <class T>
constexpr T kNever = T(-1);
template <class T>
__device__ __forceinline__ Argmax<T> no_argmax() {
  return {kNever<T>, 0};
}

// The bits of -1 and of numbers that are not negative order as integers do; 32 of them are reduced
// at a time, by one instruction where there is one.
__device__ __forceinline__ Argmax<float> warp_argmax(Argmax<float> own) {
  int bits;
  memcpy(&bits, &own.distance, sizeof(bits));
  const int top = warp_max(bits);
  Argmax<float> best;
  memcpy(&best.distance, &top, sizeof(top));
  best.at = warp_min(bits == top ? own.at : UINT32_MAX);
  return best;
}

__device__ __forceinline__ Argmax<double> warp_argmax(Argmax<double> own) {
  long long bits;
  memcpy(&bits, &own.distance, sizeof(bits));
  const int high = static_cast<int>(bits >> 32), top_high = warp_max(high);
  const unsigned low = static_cast<unsigned>(bits);
  const unsigned top_low = warp_max(high == top_high ? low : 0u);
  const bool top = high == top_high && low == top_low;
  const long long top_bits =
      static_cast<long long>(static_cast<unsigned long long>(top_high) << 32 | top_low);
  Argmax<double> best;
  memcpy(&best.distance, &top_bits, sizeof(top_bits));
  best.at = warp_min(top ? own.at : UINT32_MAX);
  return best;
}

// The argmax of all threads of a block of whole warps; every thread gets it. There is one barrier
// inside: calls take turns 0 and 1, so that nobody writes what another still reads.
template <class T>
__device__ __forceinline__ Argmax<T> block_argmax(Argmax<T> own, int turn) {
  __shared__ Argmax<T> of_warp[2][kWarp];
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  own = warp_argmax(own);
  if (warps == 1) return own;
  if (lane_index() == 0) of_warp[turn][threadIdx.x / kWarp] = own;
  __syncthreads();
  return warp_argmax(lane_index() < warps ? of_warp[turn][lane_index()] : no_argmax<T>());
}

}  // namespace pcclust::cuda
