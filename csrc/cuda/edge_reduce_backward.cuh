// The gradient of an EdgeConv's reduction, without floating atomics: the same bits in every run,
// and those of the CPU's kernel.
//
// The gradient of u_i gathers over the neighbours of i; that of v_j over the points that have j for
// a neighbour. A counting sort makes those lists: edges are counted per neighbour, each list gets a
// place (in any order: the place changes no result), is filled by integer atomics, and sorted by
// source. So every sum is made in the order of the sources, whichever thread was first.
//
// Per row and channel of float32: 4 bytes u, 4 v, 4 gradient, 4 argmax read, 8 written; per edge
// 8 bytes neighbour three times and 12 of lists; 8 operations an edge and channel. For 32 clouds of
// 1024 points, k = 20, C = 64: 73 MB, or 22 µs at 3.35 TB/s, against 0.34 GFLOP, or 5 µs. Each edge
// gathers v_j, then u_i and argmax_i, and the gradient where it is j: 168 MB each from the L2 cache,
// about 120 µs at 5.5 TB/s. Expected: 15 to 20 % of the bound from memory. A scatter by atomics
// would make k additions in L2 for every row and channel in place of the second gather, and
// differ from run to run.
#pragma once

#include "cuda/edge_rows.cuh"

namespace pcclust::cuda {

template <class T>
struct EdgeReduceBackwardArguments {
  EdgeArguments<T> edges;
  const int32_t* argmax;          // (rows, channels)
  const T* max_gradient;          // (rows, channels)
  const double* moment_gradient;  // (2, channels), or null where it is zero
  T* gradient;                    // (rows, 2, channels), 0 on padding
  void* workspace;                // edge_reduce_backward_workspace bytes
};

// For each row the positions of those that have it for a neighbour, ascending, one entry an edge.
struct SourceLists {
  unsigned long long* taken;  // entries given to lists so far
  int64_t* begins;            // (rows,)
  unsigned* counts;           // (rows,)
  int32_t* sources;           // (rows * k,)
};

inline SourceLists source_lists(void* workspace, int64_t rows) {
  auto* taken = static_cast<unsigned long long*>(workspace);
  auto* begins = reinterpret_cast<int64_t*>(taken + 1);
  auto* counts = reinterpret_cast<unsigned*>(begins + rows);
  return {taken, begins, counts, reinterpret_cast<int32_t*>(counts + rows)};
}

template <class T>
size_t edge_reduce_backward_workspace(const EdgeArguments<T>& e) {
  return sizeof(unsigned long long) +
         static_cast<size_t>(e.rows) * (sizeof(int64_t) + sizeof(unsigned)) +
         static_cast<size_t>(e.rows * e.k) * sizeof(int32_t);
}

// The row of the calling warp; it may lie behind the last.
__device__ __forceinline__ int64_t row_of_warp() {
  return int64_t{blockIdx.x} * kEdgeWarps + threadIdx.x / kWarp;
}

// Calls use(row of the neighbour) for each edge of the warp's row, an edge a lane.
template <class T, class Use>
__device__ void for_each_edge(const EdgeArguments<T>& e, int64_t row, const CloudSpan& cloud,
                              const Use& use) {
  if (!cloud.holds(row)) return;
  for (int64_t column = lane_index(); column < e.k; column += kWarp) {
    const int position = neighbor_at(e, cloud, row, column);
    if (position >= 0) use(cloud.start + position);
  }
}

template <class T>
__global__ void __launch_bounds__(kEdgeThreads)
    count_sources_kernel(EdgeArguments<T> e, SourceLists lists) {
  check_clouds(e);
  const int64_t row = row_of_warp();
  if (row >= e.rows) return;
  for_each_edge(e, row, find_cloud(e, row),
                [&](int64_t neighbor) { atomicAdd(lists.counts + neighbor, 1u); });
}

// Gives each list its place, a warp's lists one behind the other, and empties it to be filled.
__global__ static void place_lists_kernel(int64_t rows, SourceLists lists) {
  const int64_t row = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const unsigned long long count = row < rows ? lists.counts[row] : 0;
  unsigned long long end = count;
  for (int step = 1; step < kWarp; step *= 2) {
    const unsigned long long before = __shfl_up_sync(kAllLanes, end, step);
    if (lane_index() >= step) end += before;
  }
  unsigned long long begin = 0;
  if (lane_index() == kWarp - 1) begin = atomicAdd(lists.taken, end);
  begin = __shfl_sync(kAllLanes, begin, kWarp - 1);
  if (row >= rows) return;
  lists.begins[row] = static_cast<int64_t>(begin + end - count);
  lists.counts[row] = 0;
}

template <class T>
__global__ void __launch_bounds__(kEdgeThreads)
    fill_lists_kernel(EdgeArguments<T> e, SourceLists lists) {
  const int64_t row = row_of_warp();
  if (row >= e.rows) return;
  const CloudSpan cloud = find_cloud(e, row);
  for_each_edge(e, row, cloud, [&](int64_t neighbor) {
    const int64_t entry = lists.begins[neighbor] + atomicAdd(lists.counts + neighbor, 1u);
    lists.sources[entry] = static_cast<int32_t>(row - cloud.start);
  });
}

__device__ __forceinline__ void order_pair(int32_t* values, int64_t i, int64_t j, int64_t count) {
  if (j >= count) return;
  const int32_t a = values[i], b = values[j];
  if (b < a) values[i] = b, values[j] = a;
}

// A warp sorts by a bitonic network in which every exchange puts the smaller value first: what
// would lie behind the end counts as largest and never moves, so any count will do.
__device__ inline void warp_sort(int32_t* values, int64_t count) {
  int64_t padded = 1;
  while (padded < count) padded *= 2;
  for (int64_t size = 2; size <= padded; size *= 2) {
    for (int64_t i = lane_index(); i < padded / 2; i += kWarp) {
      const int64_t first = i / (size / 2) * size, at = i % (size / 2);
      order_pair(values, first + at, first + size - 1 - at, count);
    }
    __syncwarp();
    for (int64_t step = size / 4; step > 0; step /= 2) {
      for (int64_t i = lane_index(); i < padded / 2; i += kWarp) {
        const int64_t at = i / step * 2 * step + i % step;
        order_pair(values, at, at + step, count);
      }
      __syncwarp();
    }
  }
}

__global__ static void __launch_bounds__(kEdgeThreads)
    sort_lists_kernel(int64_t rows, SourceLists lists) {
  const int64_t row = row_of_warp();
  if (row < rows) warp_sort(lists.sources + lists.begins[row], lists.counts[row]);
}

// The gradient of one row in the channels of one lane.
template <class T, int kWidth>
struct RowGradient {
  const EdgeReduceBackwardArguments<T>& a;
  CloudSpan cloud;
  int64_t row, channel;
  bool works;  // whether the lane has channels
  T first[kWidth] = {}, twice_second[kWidth] = {};

  __device__ __forceinline__ const T* projected(int64_t of_row) const {
    return a.edges.projected + of_row * 2 * a.edges.channels + channel;
  }

  __device__ __forceinline__ void load_moments() {
    if (!works || !a.moment_gradient) return;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      first[i] = static_cast<T>(a.moment_gradient[channel + i]);
      twice_second[i] = static_cast<T>(2 * a.moment_gradient[a.edges.channels + channel + i]);
    }
  }

  // first + 2·second·(u + v), the gradient of the moments for one edge.
  __device__ __forceinline__ T edge(int i, T u, T v) const {
    const T common = rounded_add(first[i], rounded_multiply(twice_second[i], u));
    return rounded_add(common, rounded_multiply(twice_second[i], v));
  }

  __device__ __forceinline__ void check_argmax(const Pack<int32_t, kWidth>& argmax) const {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      if (argmax.of[i] < 0 || argmax.of[i] >= cloud.size) {
        atomicMin(&a.edges.refusal->argmax, static_cast<unsigned long long>(cloud.cloud));
      }
    }
  }

  __device__ __forceinline__ Pack<T, kWidth> of_u() const {
    Pack<T, kWidth> gradient{}, sum{}, u{};
    if (works) {
      const int64_t at = row * a.edges.channels + channel;
      gradient = load_pack<kWidth>(a.max_gradient + at);
      check_argmax(load_pack<kWidth>(a.argmax + at));
      u = load_pack<kWidth>(projected(row));
    }
    if (!a.moment_gradient) return gradient;
    for_each_neighbor(a.edges, cloud, row, [&](int position) {
      if (!works) return;
      const auto v = load_pack<kWidth>(projected(cloud.start + position) + a.edges.channels);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        sum.of[i] = rounded_add(sum.of[i], edge(i, u.of[i], v.of[i]));
      }
    });
#pragma unroll
    for (int i = 0; i < kWidth; ++i) gradient.of[i] = rounded_add(gradient.of[i], sum.of[i]);
    return gradient;
  }

  // Adds what comes from one source; `again` where the source has this row for a neighbour twice,
  // of which one can be its argmax.
  __device__ __forceinline__ void add_source(Pack<T, kWidth>& sum, const Pack<T, kWidth>& v,
                                             int64_t source, bool again) const {
    const int64_t at = source * a.edges.channels + channel;
    const auto argmax = load_pack<kWidth>(a.argmax + at);
    const int32_t me = static_cast<int32_t>(row - cloud.start);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      if (!again && argmax.of[i] == me) {
        sum.of[i] = rounded_add(sum.of[i], __ldg(a.max_gradient + at + i));
      }
    }
    if (!a.moment_gradient) return;
    const auto u = load_pack<kWidth>(projected(source));
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      sum.of[i] = rounded_add(sum.of[i], edge(i, u.of[i], v.of[i]));
    }
  }

  __device__ __forceinline__ Pack<T, kWidth> of_v(const SourceLists& lists) const {
    Pack<T, kWidth> sum{}, v{};
    if (works) v = load_pack<kWidth>(projected(row) + a.edges.channels);
    const int32_t* sources = lists.sources + lists.begins[row];
    const int64_t count = lists.counts[row];
    int previous = -1;
    for (int64_t begin = 0; begin < count; begin += kWarp) {
      const int64_t left = count - begin;
      const int32_t mine = lane_index() < left ? sources[begin + lane_index()] : 0;
#pragma unroll 2
      for (int j = 0; j < (left < kWarp ? static_cast<int>(left) : kWarp); ++j) {
        const int source = __shfl_sync(kAllLanes, mine, j);
        if (works) add_source(sum, v, cloud.start + source, source == previous);
        previous = source;
      }
    }
    return sum;
  }
};

template <class T, int kWidth>
__global__ void __launch_bounds__(kEdgeThreads, 3)
    edge_gradient_kernel(EdgeReduceBackwardArguments<T> a, SourceLists lists) {
  const EdgeArguments<T>& e = a.edges;
  const int64_t row = row_of_warp();
  if (row >= e.rows) return;
  const int64_t channel = (int64_t{blockIdx.y} * kWarp + lane_index()) * kWidth;
  RowGradient<T, kWidth> gradient{a, find_cloud(e, row), row, channel, channel < e.channels};
  gradient.load_moments();
  Pack<T, kWidth> of_u{}, of_v{};
  if (gradient.cloud.holds(row)) {
    of_u = gradient.of_u();
    of_v = gradient.of_v(lists);
  }
  if (!gradient.works) return;
  store_pack(a.gradient + row * 2 * e.channels + channel, of_u);
  store_pack(a.gradient + (row * 2 + 1) * e.channels + channel, of_v);
}

// Queues the counting sort of the edges by neighbour.
template <class T>
cudaError_t list_sources(const EdgeArguments<T>& e, const SourceLists& lists, cudaStream_t stream) {
  const unsigned blocks = static_cast<unsigned>(ceil_divide<int64_t>(e.rows, kEdgeWarps));
  const unsigned row_blocks = static_cast<unsigned>(ceil_divide<int64_t>(e.rows, kEdgeThreads));
  cudaError_t error = cudaMemsetAsync(lists.taken, 0, sizeof *lists.taken, stream);
  const auto next = [&](cudaError_t queued) { error = error != cudaSuccess ? error : queued; };
  next(cudaMemsetAsync(lists.counts, 0, sizeof *lists.counts * static_cast<size_t>(e.rows), stream));
  next(launch(count_sources_kernel<T>, blocks, kEdgeThreads, 0, stream, e, lists));
  next(launch(place_lists_kernel, row_blocks, kEdgeThreads, 0, stream, e.rows, lists));
  next(launch(fill_lists_kernel<T>, blocks, kEdgeThreads, 0, stream, e, lists));
  next(launch(sort_lists_kernel, blocks, kEdgeThreads, 0, stream, e.rows, lists));
  return error;
}

// Finds the gradient. What is wrong with the input is in the refusal when the stream gets there.
template <class T>
cudaError_t edge_reduce_backward(const EdgeReduceBackwardArguments<T>& a, cudaStream_t stream) {
  const EdgeArguments<T>& e = a.edges;
  const SourceLists lists = source_lists(a.workspace, e.rows);
  cudaError_t error = cudaMemsetAsync(e.refusal, 0xff, sizeof(Refusal), stream);
  if (error == cudaSuccess) error = list_sources(e, lists, stream);
  if (error != cudaSuccess) return error;
  return with_pack_width(e, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const dim3 grid(static_cast<unsigned>(ceil_divide<int64_t>(e.rows, kEdgeWarps)),
                    static_cast<unsigned>(ceil_divide<int64_t>(e.channels, kWarp * kWidth)));
    return launch(edge_gradient_kernel<T, kWidth>, grid, kEdgeThreads, 0, stream, a, lists);
  });
}

}  // namespace pcclust::cuda
