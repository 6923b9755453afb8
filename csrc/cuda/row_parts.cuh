// Rows that lie in several matrices, brought side by side for a product of cuBLAS, and what follows
// the product.
//
// A dense product of its own would at best be as fast as cuBLAS, which has tensor cores for every
// device; what these kernels take away is everything around it. A part is read and written once,
// its cloud's mean taken off and rounded to bfloat16 on the way; bias and LeakyReLU are one pass.
// Counted for R rows of D columns and C outputs of float32: 8 R D and 8 R C bytes. R = 32,768,
// D = 128, C = 256: 34 and 67 MB, 10 and 20 µs at 3.35 TB/s; the product, 2.1 GFLOP, takes 32 µs at
// 67 TFLOP/s, less with TF32. 80 % of the memory's rate are expected.
#pragma once

#include "cuda/platform.cuh"

namespace pcclust::cuda {

constexpr int kPartThreads = 256;

// One matrix among those that make the rows.
template <class T>
struct RowPart {
  const T* from;  // (rows, width)
  int64_t rows;
  int64_t width;
  T* to;  // (rows, pitch), from its column `column` on
  int64_t pitch;
  int64_t column;
  bool half;  // whether values are rounded to bfloat16
};

// The nearest number that bfloat16 has, to even; NaN stays.
__device__ __forceinline__ float rounded_to_half(float value) {
  const unsigned bits = __float_as_uint(value);
  if (value != value) return __uint_as_float((bits | 0x400000u) & 0xffff0000u);
  return __uint_as_float((bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u);
}
__device__ __forceinline__ double rounded_to_half(double value) { return value; }

// Writes what change(row, column, value) makes of each value.
template <class T, class Change>
__device__ __forceinline__ void place_value(const RowPart<T>& part, const Change& change) {
  const int64_t at = int64_t{blockIdx.x} * kPartThreads + threadIdx.x;
  if (at >= part.rows * part.width) return;
  const int64_t row = at / part.width, column = at % part.width;
  const T value = change(row, column, __ldg(part.from + at));
  part.to[row * part.pitch + part.column + column] = part.half ? rounded_to_half(value) : value;
}

template <class T>
__global__ void __launch_bounds__(kPartThreads) place_part_kernel(RowPart<T> part) {
  place_value(part, [](int64_t, int64_t, T value) { return value; });
}

template <class T>
cudaError_t place_part(const RowPart<T>& part, cudaStream_t stream) {
  const int64_t blocks = ceil_divide<int64_t>(part.rows * part.width, kPartThreads);
  return launch(place_part_kernel<T>, static_cast<unsigned>(blocks), kPartThreads, 0, stream, part);
}

// leaky_relu(product + bias) of rows.
template <class T>
__global__ void __launch_bounds__(kPartThreads)
    activate_kernel(const T* product, const T* bias, int64_t count, int64_t channels, T slope,
                    T* out) {
  const int64_t at = int64_t{blockIdx.x} * kPartThreads + threadIdx.x;
  if (at >= count) return;
  const T x = __ldg(product + at) + __ldg(bias + at % channels);
  out[at] = x > 0 ? x : x * slope;
}

template <class T>
cudaError_t activate_rows(const T* product, const T* bias, int64_t rows, int64_t channels, T slope,
                          T* out, cudaStream_t stream) {
  const int64_t count = rows * channels;
  return launch(activate_kernel<T>, static_cast<unsigned>(ceil_divide<int64_t>(count, kPartThreads)),
                kPartThreads, 0, stream, product, bias, count, channels, slope, out);
}

}  // namespace pcclust::cuda
