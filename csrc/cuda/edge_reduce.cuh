// The reductions of an EdgeConv over edges that are never stored.
//
// A warp takes a row and 32 packs of channels: it reads the row's neighbours once, hands them round
// by shuffles, and for each loads the pack of v, so that every load of a row is one coalesced
// stretch of up to 512 bytes. Maximum, the neighbour that has it and the two sums stay in
// registers. Sums of a row are made in the order of its neighbours, those of rows in a fixed order
// in double: the bits are the same in every run and on every device, those of maxima and argmax
// also on every backend.
//
// Per row and channel of float32: 4 bytes u and 4 v once from memory, 4 maxima, 4 argmax; per row 8k
// of neighbours; 5 operations an edge and channel. For 32 clouds of 1024 points, k = 20, C = 64:
// 39 MB, or 12 µs at 3.35 TB/s, against 0.21 GFLOP, or 3 µs at 67 TFLOP/s: memory is the bound. But
// v is read k times, 168 MB, which the L2 cache serves (8 MB of v fit its 50 MB): at about 5.5 TB/s
// that is 30 µs. Expected: 30 to 35 % of the bound from memory.
#pragma once

#include "cuda/column_sums.cuh"
#include "cuda/edge_rows.cuh"

namespace pcclust::cuda {

template <class T>
struct EdgeReduceArguments {
  EdgeArguments<T> edges;
  const T* sign;    // (channels,) 1: the largest edge counts, -1: the smallest, 0: the first
  T* maxima;        // (rows, channels) that edge's value, 0 on padding
  int32_t* argmax;  // (rows, channels) and the position of its neighbour, -1 on padding
  double* moments;  // (2, channels) sums over all edges of values and squares, or null
  void* workspace;  // edge_reduce_workspace bytes; may be null where moments is
};

// Few enough that their partial sums are little against the rows; as many for every device, so that
// the sums are the same.
constexpr int64_t kMostEdgeBlocks = 1024;

inline int64_t rows_of_edge_warp(int64_t rows) {
  const int64_t warps = kMostEdgeBlocks * kEdgeWarps;
  return rows <= warps ? 1 : ceil_divide(rows, warps);
}

inline int64_t edge_blocks(int64_t rows) {
  return ceil_divide(rows, kEdgeWarps * rows_of_edge_warp(rows));
}

// What one row's edges come to in the channels of one lane.
template <class T, int kWidth>
struct RowReduction {
  Pack<T, kWidth> u{}, best{}, sum{}, square{};
  Pack<int32_t, kWidth> argmax{};
  bool empty = true;

  __device__ __forceinline__ void take(const Pack<T, kWidth>& v, const T* sign, int position) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const T candidate = rounded_multiply(v.of[i], sign[i]), edge = rounded_add(u.of[i], v.of[i]);
      const T squared = rounded_multiply(edge, edge);
      // Computed anew, and exactly: registers are what is short.
      const T key = rounded_multiply(best.of[i], sign[i]);
      const bool better = empty || is_larger(candidate, key);
      best.of[i] = better ? v.of[i] : best.of[i];
      argmax.of[i] = better ? position : argmax.of[i];
      sum.of[i] = empty ? edge : rounded_add(sum.of[i], edge);
      square.of[i] = empty ? squared : rounded_add(square.of[i], squared);
    }
    empty = false;
  }
};

template <class T, int kWidth>
__device__ void store_row(const EdgeReduceArguments<T>& a, int64_t at,
                          const RowReduction<T, kWidth>& row) {
  Pack<T, kWidth> maxima;
  Pack<int32_t, kWidth> argmax;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    maxima.of[i] = row.empty ? T(0) : rounded_add(row.u.of[i], row.best.of[i]);
    argmax.of[i] = row.empty ? -1 : row.argmax.of[i];
  }
  store_pack(a.maxima + at, maxima);
  store_pack(a.argmax + at, argmax);
}

// Adds the block's warps in order, and stores the sums of the block's rows.
template <int kWidth>
__device__ void store_partial(const double (&total)[kWidth], const double (&squares)[kWidth],
                              int64_t channels, double* partial) {
  constexpr int kChannels = kWarp * kWidth;
  __shared__ double of_warp[kEdgeWarps][2][kChannels];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    of_warp[warp][0][lane_index() * kWidth + i] = total[i];
    of_warp[warp][1][lane_index() * kWidth + i] = squares[i];
  }
  __syncthreads();
  double* to = partial + int64_t{blockIdx.x} * 2 * channels;
  for (int i = static_cast<int>(threadIdx.x); i < 2 * kChannels; i += kEdgeThreads) {
    const int64_t channel = int64_t{blockIdx.y} * kChannels + i % kChannels;
    if (channel >= channels) continue;
    double sum = 0;
    for (int w = 0; w < kEdgeWarps; ++w) sum += of_warp[w][i / kChannels][i % kChannels];
    to[i / kChannels * channels + channel] = sum;
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kEdgeThreads, 3)
    edge_reduce_kernel(EdgeReduceArguments<T> a, int64_t rows_per_warp) {
  const EdgeArguments<T>& e = a.edges;
  if (blockIdx.y == 0) check_clouds(e);
  const int64_t channel = (int64_t{blockIdx.y} * kWarp + lane_index()) * kWidth;
  const bool works = channel < e.channels;
  const int64_t warp = int64_t{blockIdx.x} * kEdgeWarps + threadIdx.x / kWarp;
  const int64_t first = warp * rows_per_warp;
  const int64_t last = first + rows_per_warp < e.rows ? first + rows_per_warp : e.rows;
  T sign[kWidth];
  double total[kWidth] = {}, squares[kWidth] = {};
#pragma unroll
  for (int i = 0; i < kWidth; ++i) sign[i] = works ? __ldg(a.sign + channel + i) : T(0);
  CloudSpan cloud;
  for (int64_t row = first; row < last; ++row) {
    if (!cloud.holds(row)) cloud = find_cloud(e, row);
    const int64_t stride = 2 * e.channels;
    RowReduction<T, kWidth> reduction;
    if (cloud.holds(row)) {
      if (works) reduction.u = load_pack<kWidth>(e.projected + row * stride + channel);
      const T* values = e.projected + cloud.start * stride + e.channels + channel;
      for_each_neighbor(e, cloud, row, [&](int position) {
        if (works) reduction.take(load_pack<kWidth>(values + position * stride), sign, position);
      });
    }
    if (works) store_row(a, row * e.channels + channel, reduction);
    if (reduction.empty) continue;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      total[i] += static_cast<double>(reduction.sum.of[i]);
      squares[i] += static_cast<double>(reduction.square.of[i]);
    }
  }
  if (a.moments) store_partial(total, squares, e.channels, static_cast<double*>(a.workspace));
}

template <class T>
size_t edge_reduce_workspace(const EdgeReduceArguments<T>& a) {
  if (!a.moments) return 0;
  return sizeof(double) * static_cast<size_t>(edge_blocks(a.edges.rows) * 2 * a.edges.channels);
}

// Reduces all edges. What is wrong with the input is in the refusal when the stream gets there.
template <class T>
cudaError_t edge_reduce(const EdgeReduceArguments<T>& a, cudaStream_t stream) {
  const EdgeArguments<T>& e = a.edges;
  cudaError_t error = cudaMemsetAsync(e.refusal, 0xff, sizeof(Refusal), stream);
  if (error != cudaSuccess) return error;
  const int64_t blocks = edge_blocks(e.rows);
  error = with_pack_width(e, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const dim3 grid(static_cast<unsigned>(blocks),
                    static_cast<unsigned>(ceil_divide<int64_t>(e.channels, kWarp * kWidth)));
    return launch(edge_reduce_kernel<T, kWidth>, grid, kEdgeThreads, 0, stream, a,
                  rows_of_edge_warp(e.rows));
  });
  if (error != cudaSuccess || !a.moments) return error;
  return sum_columns(static_cast<const double*>(a.workspace), blocks, 2 * e.channels,
                     2 * e.channels, a.moments, stream);
}

}  // namespace pcclust::cuda
