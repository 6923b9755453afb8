// How the kernels reach the machine: nvcc's runtime, or the emulator of the tests, whichever
// <cuda_runtime.h> is found first. Kernels use nothing else that only nvcc understands.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace pcclust::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

#ifdef PCCLUST_EMULATED

// The block's dynamic shared memory, as large as the launch asked for, aligned to 16 bytes.
template <class T>
__device__ T* dynamic_shared() {
  return static_cast<T*>(emulator::dynamic_shared());
}

// Tests count how many distances a search measures.
inline void note_distance() { emulator::count_event(); }

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  return emulator::launch(grid, block, shared_bytes, [=] { kernel(Parameters(arguments)...); });
}

#else

__device__ __forceinline__ void note_distance() {}

template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}

// Queues a kernel on the stream; a grid without blocks is no work and no error. Beyond 48 KiB of
// dynamic shared memory a kernel has to ask.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t stream, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  const void* function = reinterpret_cast<const void*>(kernel);
  if (shared_bytes > 48 * 1024) {
    const cudaError_t refused =
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared_bytes));
    if (refused != cudaSuccess) return refused;
  }
  return [&](Parameters... values) {
    void* pointers[] = {&values...};
    return cudaLaunchKernel(function, grid, block, pointers, shared_bytes, stream);
  }(arguments...);
}

#endif

// Arithmetic that nvcc may not fuse, so that every backend gets the same bits.
__device__ __forceinline__ float rounded_add(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ double rounded_add(double a, double b) { return __dadd_rn(a, b); }
__device__ __forceinline__ float rounded_multiply(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ double rounded_multiply(double a, double b) { return __dmul_rn(a, b); }

// Whether y takes the place of the largest so far: NaN is larger than all, and the first of equals
// counts.
template <class T>
__device__ __forceinline__ bool is_larger(T y, T best) {
  return y > best || (y != y && best == best);
}

// How many groups of `size` hold `count` things.
template <class I>
__host__ __device__ constexpr I ceil_divide(I count, I size) {
  return (count + size - 1) / size;
}

}  // namespace pcclust::cuda
