// Sums of what blocks found: in double and in a fixed order, so with the same bits in every run.
#pragma once

#include "cuda/platform.cuh"

namespace pcclust::cuda {

constexpr int kSummands = 32;

// Adds `width` columns of partial, whose rows, one of each block, are `stride` apart: 32 threads
// share a column, in a fixed way.
template <class T>
__global__ void sum_columns_kernel(const double* partial, int64_t blocks, int64_t stride,
                                   int64_t width, T* sums) {
  __shared__ double share[kSummands][kWarp];
  const int64_t column = int64_t{blockIdx.x} * kWarp + threadIdx.x;
  double sum = 0;
  if (column < width) {
#pragma unroll 4
    for (int64_t block = threadIdx.y; block < blocks; block += kSummands) {
      sum += partial[block * stride + column];
    }
  }
  share[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || column >= width) return;
  for (int i = 1; i < kSummands; ++i) sum += share[i][threadIdx.x];
  sums[column] = static_cast<T>(sum);
}

template <class T>
cudaError_t sum_columns(const double* partial, int64_t blocks, int64_t stride, int64_t width,
                        T* sums, cudaStream_t stream) {
  return launch(sum_columns_kernel<T>, static_cast<unsigned>(ceil_divide<int64_t>(width, kWarp)),
                dim3(kWarp, kSummands), 0, stream, partial, blocks, stride, width, sums);
}

}  // namespace pcclust::cuda
