// How kernels say what is wrong with their input: the smallest number of each kind, kNothingWrong
// where there is none. They skip such entries and read nothing out of bounds.
#pragma once

#include "cuda/platform.cuh"

namespace pcclust::cuda {

constexpr unsigned long long kNothingWrong = ~0ull;

__device__ __forceinline__ void refuse(unsigned long long* where, int64_t number) {
  atomicMin(where, static_cast<unsigned long long>(number));
}

}  // namespace pcclust::cuda
