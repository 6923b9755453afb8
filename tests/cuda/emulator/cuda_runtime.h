// What of CUDA's runtime and device language the kernels use, for g++: see emulator.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator.h"

#define PCCLUST_EMULATED
#define __host__
#define __device__
#define __global__
#define __shared__ static
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)
#ifndef __restrict__
#define __restrict__ __restrict
#endif

#define threadIdx (emulator::thread_index())
#define blockIdx (emulator::block_index())
#define blockDim (emulator::block_size())
#define gridDim (emulator::grid_size())
constexpr int warpSize = 32;

// ---- vectors -----------------------------------------------------------------------------------

#define EMULATED_VECTORS(T, name, aligned2, aligned4)                                            \
  struct alignas(aligned2) name##2 { T x, y; };                                                  \
  struct name##3 { T x, y, z; };                                                                 \
  struct alignas(aligned4) name##4 { T x, y, z, w; };                                            \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                     \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                             \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMULATED_VECTORS(int, int, 8, 16)
EMULATED_VECTORS(unsigned, uint, 8, 16)
EMULATED_VECTORS(float, float, 8, 16)
EMULATED_VECTORS(double, double, 16, 16)
EMULATED_VECTORS(long long, longlong, 16, 16)
#undef EMULATED_VECTORS

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// ---- the runtime -------------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
};
using cudaStream_t = struct CUstream_st*;
enum cudaMemcpyKind { cudaMemcpyDeviceToDevice = 3, cudaMemcpyDefault = 4 };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};

namespace emulator {
template <class Kernel>
cudaError_t launch(dim3 grid, dim3 block, size_t shared_bytes, const Kernel& kernel) {
  const Launch launched = run({grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes,
                              kernel);
  return launched == Launch::done ? cudaSuccess : cudaErrorInvalidConfiguration;
}
}  // namespace emulator

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t = nullptr) {
  return emulator::host_fill(to, byte, bytes), cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                                   cudaStream_t = nullptr) {
  return emulator::host_copy(to, from, bytes), cudaSuccess;
}
// A small device: few multiprocessors, and the shared memory of sm_75.
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 2; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 7; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 64 * 1024; break;
    default: return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

// ---- barriers ----------------------------------------------------------------------------------

#define EMULATED inline __attribute__((always_inline))

EMULATED void __syncthreads(emulator::Where where = emulator::Where::current()) {
  emulator::barrier(emulator::BarrierResult::none, 0, where);
}
EMULATED int __syncthreads_or(int p, emulator::Where where = emulator::Where::current()) {
  return emulator::barrier(emulator::BarrierResult::any, p, where);
}
EMULATED int __syncthreads_and(int p, emulator::Where where = emulator::Where::current()) {
  return emulator::barrier(emulator::BarrierResult::all, p, where);
}
EMULATED int __syncthreads_count(int p, emulator::Where where = emulator::Where::current()) {
  return emulator::barrier(emulator::BarrierResult::count, p, where);
}
EMULATED void __syncwarp(unsigned mask = 0xffffffffu,
                         emulator::Where where = emulator::Where::current()) {
  emulator::exchange(emulator::Collective::sync, mask, 0, where);
}

// ---- warps and atomics -------------------------------------------------------------------------

#include "warps.h"

// ---- bits, loads, arithmetic -------------------------------------------------------------------

EMULATED int __popc(unsigned v) { return std::popcount(v); }
EMULATED int __popcll(unsigned long long v) { return std::popcount(v); }
EMULATED int __ffs(int v) { return __builtin_ffs(v); }
EMULATED int __ffsll(long long v) { return __builtin_ffsll(v); }
EMULATED int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
EMULATED int __clzll(long long v) { return std::countl_zero(static_cast<unsigned long long>(v)); }
EMULATED unsigned __umulhi(unsigned a, unsigned b) { return uint64_t{a} * b >> 32; }
EMULATED unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}

template <class T>
EMULATED T __ldg(const T* address) { return *address; }
template <class T>
EMULATED T __ldcs(const T* address) { return *address; }
template <class T>
EMULATED void __stcs(T* address, std::type_identity_t<T> value) { *address = value; }

EMULATED int __float_as_int(float v) { return std::bit_cast<int>(v); }
EMULATED unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
EMULATED float __int_as_float(int v) { return std::bit_cast<float>(v); }
EMULATED float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
EMULATED long long __double_as_longlong(double v) { return std::bit_cast<long long>(v); }
EMULATED double __longlong_as_double(long long v) { return std::bit_cast<double>(v); }

// Each rounded once; compiled with -ffp-contract=off.
EMULATED float __fadd_rn(float a, float b) { return a + b; }
EMULATED float __fsub_rn(float a, float b) { return a - b; }
EMULATED float __fmul_rn(float a, float b) { return a * b; }
EMULATED float __fdiv_rn(float a, float b) { return a / b; }
EMULATED float __fsqrt_rn(float v) { return std::sqrt(v); }
EMULATED float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
EMULATED double __dadd_rn(double a, double b) { return a + b; }
EMULATED double __dsub_rn(double a, double b) { return a - b; }
EMULATED double __dmul_rn(double a, double b) { return a * b; }
EMULATED double __ddiv_rn(double a, double b) { return a / b; }
EMULATED double __dsqrt_rn(double v) { return std::sqrt(v); }
EMULATED double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
EMULATED int __float2int_rd(float v) { return static_cast<int>(std::floor(v)); }
EMULATED int __float2int_rz(float v) { return static_cast<int>(v); }
EMULATED float rsqrtf(float v) { return 1 / std::sqrt(v); }
EMULATED double rsqrt(double v) { return 1 / std::sqrt(v); }
EMULATED float rsqrt(float v) { return rsqrtf(v); }

// CUDA's min and max lie in the global namespace and take any two arithmetic types.
template <class A, class B>
  requires std::is_arithmetic_v<A> && std::is_arithmetic_v<B>
EMULATED auto min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmin(static_cast<T>(a), static_cast<T>(b));
  else return std::min<T>(a, b);
}
template <class A, class B>
  requires std::is_arithmetic_v<A> && std::is_arithmetic_v<B>
EMULATED auto max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmax(static_cast<T>(a), static_cast<T>(b));
  else return std::max<T>(a, b);
}
using std::abs;
using std::atan2;
using std::fabs;
using std::floor;
using std::fma;
using std::fmax;
using std::fmin;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::sqrt;
