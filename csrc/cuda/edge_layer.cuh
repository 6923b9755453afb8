// What stands before and after the product of an EdgeConv whose BatchNorm is part of its weights:
// rows are taken from their cloud's mean, and of u_i + v_j the largest over the neighbours is all
// that is written.
//
// The maximum is taken as in edge_reduce.cuh, a warp a row and its channels, without sums and
// places. Counted per row and channel of float32: u and v read once, the result written, 12 bytes,
// and 2 k operations; v is read k times from the L2. 32 clouds of 1024 points, k = 20, C = 64: 30
// MB, 9 µs at 3.35 TB/s, and 168 MB, 30 µs, from the L2 at 5.5 TB/s. 30 % of the memory's rate are
// expected. Written out in torch, bias, shift and LeakyReLU would be 5 passes more.
#pragma once

#include "cuda/edge_rows.cuh"
#include "cuda/row_parts.cuh"

namespace pcclust::cuda {

// The cloud means of one part, and the clouds.
template <class T>
struct CenteredPart {
  RowPart<T> part;
  const T* centers;  // (clouds, width)
  EdgeArguments<T> edges;
};

// Padding is zeros, whatever it holds.
template <class T>
__global__ void __launch_bounds__(kPartThreads) center_part_kernel(CenteredPart<T> a) {
  place_value(a.part, [&](int64_t row, int64_t column, T value) {
    const CloudSpan cloud = find_cloud(a.edges, row);
    if (!cloud.holds(row)) return T(0);
    return value - __ldg(a.centers + cloud.cloud * a.part.width + column);
  });
}

template <class T>
cudaError_t center_part(const CenteredPart<T>& a, cudaStream_t stream) {
  const int64_t blocks = ceil_divide<int64_t>(a.part.rows * a.part.width, kPartThreads);
  return launch(center_part_kernel<T>, static_cast<unsigned>(blocks), kPartThreads, 0, stream, a);
}

// Adds to shift (clouds, channels) what u + v lack of one part: (A - B) c + B c, summed in double.
template <class T>
struct EdgeShift {
  const T* weight;   // (2 channels, inputs): of u, then of v
  const T* centers;  // (clouds, width)
  int64_t clouds;
  int64_t channels;
  int64_t inputs;
  int64_t width;
  int64_t column;  // of the part
  double* shift;
};

template <class T>
__global__ void __launch_bounds__(kPartThreads) edge_shift_kernel(EdgeShift<T> a) {
  const int64_t at = int64_t{blockIdx.x} * kPartThreads + threadIdx.x;
  if (at >= a.clouds * a.channels) return;
  const T* center = a.centers + at / a.channels * a.width;
  const T* u = a.weight + at % a.channels * a.inputs + a.column;
  const T* v = u + a.channels * a.inputs;
  double sum = a.shift[at];
  for (int64_t i = 0; i < a.width; ++i) {
    sum += (static_cast<double>(__ldg(u + i)) + static_cast<double>(__ldg(v + i))) *
           static_cast<double>(__ldg(center + i));
  }
  a.shift[at] = sum;
}

template <class T>
cudaError_t edge_shift(const EdgeShift<T>& a, cudaStream_t stream) {
  const int64_t blocks = ceil_divide<int64_t>(a.clouds * a.channels, kPartThreads);
  return launch(edge_shift_kernel<T>, static_cast<unsigned>(blocks), kPartThreads, 0, stream, a);
}

template <class T>
struct EdgeLayerArguments {
  EdgeArguments<T> edges;
  const T* bias;        // (channels,)
  const double* shift;  // (clouds, channels)
  T slope;
  T* out;  // (rows, channels), 0 on padding
};

template <class T, int kWidth>
__device__ __forceinline__ void store_edges(const EdgeLayerArguments<T>& a, const CloudSpan& cloud,
                                            int64_t row, int64_t channel,
                                            const Pack<T, kWidth>& largest) {
  const EdgeArguments<T>& e = a.edges;
  Pack<T, kWidth> y{};
  if (cloud.holds(row)) {
    const auto u = load_pack<kWidth>(e.projected + row * 2 * e.channels + channel);
    const double* shift = a.shift + cloud.cloud * e.channels + channel;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const T own = u.of[i] + __ldg(a.bias + channel + i) + static_cast<T>(__ldg(shift + i));
      const T x = own + largest.of[i];
      y.of[i] = x > 0 ? x : x * a.slope;
    }
  }
  store_pack(a.out + row * e.channels + channel, y);
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kEdgeThreads, 4)  // up to 64 registers, lest any is spilled
    edge_layer_kernel(EdgeLayerArguments<T> a) {
  const EdgeArguments<T>& e = a.edges;
  if (blockIdx.y == 0) check_clouds(e);
  const int64_t row = int64_t{blockIdx.x} * kEdgeWarps + threadIdx.x / kWarp;
  if (row >= e.rows) return;
  const int64_t channel = (int64_t{blockIdx.y} * kWarp + lane_index()) * kWidth;
  const bool works = channel < e.channels;
  const CloudSpan cloud = find_cloud(e, row);
  Pack<T, kWidth> largest{};
  bool empty = true;
  if (cloud.holds(row)) {
    const int64_t stride = 2 * e.channels;
    const T* values = e.projected + cloud.start * stride + e.channels + channel;
    for_each_neighbor(e, cloud, row, [&](int position) {
      if (!works) return;
      const auto v = load_pack<kWidth>(values + position * stride);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const bool larger = empty || v.of[i] > largest.of[i] || v.of[i] != v.of[i];
        largest.of[i] = larger ? v.of[i] : largest.of[i];
      }
      empty = false;
    });
  }
  if (works) store_edges(a, cloud, row, channel, largest);
}

// Finds the largest edges. What is wrong with the input is in the refusal when the stream gets there.
template <class T>
cudaError_t edge_layer(const EdgeLayerArguments<T>& a, cudaStream_t stream) {
  const EdgeArguments<T>& e = a.edges;
  const cudaError_t error = cudaMemsetAsync(e.refusal, 0xff, sizeof(Refusal), stream);
  if (error != cudaSuccess) return error;
  return with_pack_width(e, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const int64_t blocks = ceil_divide<int64_t>(e.rows, kEdgeWarps);
    const dim3 grid(static_cast<unsigned>(blocks == 0 ? 1 : blocks),
                    static_cast<unsigned>(ceil_divide<int64_t>(e.channels, kWarp * kWidth)));
    return launch(edge_layer_kernel<T, kWidth>, grid, kEdgeThreads, 0, stream, a);
  });
}

}  // namespace pcclust::cuda
