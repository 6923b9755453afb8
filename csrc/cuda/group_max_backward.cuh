// The gradient of group_max. Only one member of a group has the maximum of an output, so the second
// layer takes one row of the hidden layer for each, and not all.
//
// A warp owns a group and 32 hidden channels and takes the group's outputs in order, so no two add
// to one place at a time. For the second layer's weight, a warp owns outputs: the hidden rows that
// have their maxima are added group by group. Counted: 4 G C H operations where torch's scatter and
// two products make 4 G k C H; for the sizes in group_max.cuh 0.3 GFLOP, and 8 operations of other
// kinds for each: 60 µs expected, and the layer computed three times more, 15 µs.
#pragma once

#include "cuda/group_pull.cuh"

namespace pcclust::cuda {

template <class T>
struct GroupMaxBackwardArguments {
  GroupLayer<T> layer;
  const T* out_weight;  // (channels, hidden)
  int64_t channels;
  const int32_t* argmax;   // (groups, channels)
  const T* max_gradient;   // (groups, channels)
  GroupGradient<T> gradient;
  T* out_weight_gradient;       // (channels, hidden)
  unsigned long long* refusal;  // an entry of argmax that is no member, kNothingWrong without
  void* workspace;              // group_max_backward_workspace bytes
};

// Where in a tile the member is that has a maximum, or -1 where it is not there.
template <class T>
__device__ __forceinline__ int member_of(const GroupMaxBackwardArguments<T>& a,
                                         const GroupTile& tile, int64_t group, int64_t channel) {
  if (channel >= a.channels) return -1;
  const int64_t at = (tile.group + group) * a.channels + channel, member = __ldg(a.argmax + at);
  if (member < 0 || member >= a.layer.k) refuse(a.refusal, at);
  const int64_t place = member - tile.offset;
  const int64_t here = tile.groups == 1 ? tile.count : a.layer.k;
  if (member >= a.layer.k || place < 0 || place >= here) return -1;
  return static_cast<int>(group * a.layer.k + place);
}

// Gives the members that have maxima their gradients, through the second layer.
template <class T>
struct MaximaSource {
  struct Memory {
    TileGradient<T> gradient;
  };
  GroupMaxBackwardArguments<T> a;

  __device__ __forceinline__ void fill(const GroupLayer<T>& layer, const GroupTile& tile,
                                       int64_t channel, Memory& memory) const {
    for (int i = static_cast<int>(threadIdx.x); i < kDepth * kTileMembers<T>; i += kTileThreads) {
      memory.gradient[i / kTileMembers<T>][i % kTileMembers<T>] = 0;
    }
    __syncthreads();
    const int lane = lane_index();
    const bool works = channel + lane < layer.hidden;
    for (int64_t group = threadIdx.x / kWarp; group < tile.groups; group += kTileWarps) {
      for (int64_t first = 0; first < a.channels; first += kWarp) {
        const int mine = member_of(a, tile, group, first + lane);
        const T pulls =
            mine < 0 ? T(0)
                     : __ldg(a.max_gradient + (tile.group + group) * a.channels + first + lane);
#pragma unroll 4
        for (int j = 0; j < kWarp; ++j) {
          const int member = __shfl_sync(kAllLanes, mine, j);
          const T pull = __shfl_sync(kAllLanes, pulls, j);
          if (member < 0 || !works) continue;
          const T w = __ldg(a.out_weight + (first + j) * layer.hidden + channel + lane);
          memory.gradient[lane][member] = fma(pull, w, memory.gradient[lane][member]);
        }
      }
    }
  }
};

constexpr int kPullOutputs = 8;  // of a warp

// The sums for the second layer's weight over the groups of a block.
template <class T>
__global__ void __launch_bounds__(kTileThreads, 2)
    out_weight_kernel(GroupMaxBackwardArguments<T> a, GroupTiles tiles, double* partial) {
  __shared__ TileGradient<T> hidden;
  const int64_t channel = int64_t{blockIdx.z} * kDepth, mine = channel + lane_index();
  const int64_t first =
      (int64_t{blockIdx.y} * kTileWarps + threadIdx.x / kWarp) * kPullOutputs;
  const TileRun run(tiles);
  double total[kPullOutputs] = {};
  for (int64_t number = run.begin; number < run.end; ++number) {
    const GroupTile tile = tiles.at(number);
    fill_hidden(a.layer, tile, channel, hidden);
    __syncthreads();
    T sum[kPullOutputs] = {};
    for (int64_t group = 0; group < tile.groups; ++group) {
      const T* pulls = a.max_gradient + (tile.group + group) * a.channels;
#pragma unroll
      for (int i = 0; i < kPullOutputs; ++i) {
        const int member = member_of(a, tile, group, first + i);
        if (member < 0) continue;
        sum[i] = fma(__ldg(pulls + first + i), hidden[lane_index()][member], sum[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < kPullOutputs; ++i) total[i] += static_cast<double>(sum[i]);
    __syncthreads();
  }
  double* to = partial + blockIdx.x * a.channels * a.layer.hidden;
  for (int i = 0; i < kPullOutputs; ++i) {
    if (first + i < a.channels && mine < a.layer.hidden) {
      to[(first + i) * a.layer.hidden + mine] = total[i];
    }
  }
}

template <class T>
size_t group_max_backward_workspace(const GroupLayer<T>& layer, int64_t channels) {
  const int64_t width = channels * layer.hidden;
  return group_pull_workspace(layer) +
         sizeof(double) * static_cast<size_t>(sum_blocks(GroupTiles::of(layer), width) * width);
}

// Finds the gradients. What is wrong with argmax is in the refusal when the stream gets there.
template <class T>
cudaError_t group_max_backward(const GroupMaxBackwardArguments<T>& a, cudaStream_t stream) {
  const GroupTiles tiles = GroupTiles::of(a.layer);
  const int64_t width = a.channels * a.layer.hidden, blocks = sum_blocks(tiles, width);
  double* of_layer = static_cast<double*>(a.workspace);
  double* of_weight = of_layer + group_pull_workspace(a.layer) / sizeof(double);
  cudaError_t error = cudaMemsetAsync(a.refusal, 0xff, sizeof *a.refusal, stream);
  const auto next = [&](cudaError_t queued) { error = error != cudaSuccess ? error : queued; };
  next(group_pull(a.layer, MaximaSource<T>{a}, a.gradient, of_layer, stream));
  const dim3 grid(
      static_cast<unsigned>(blocks),
      static_cast<unsigned>(ceil_divide<int64_t>(a.channels, kTileWarps * kPullOutputs)),
      static_cast<unsigned>(ceil_divide<int64_t>(a.layer.hidden, kDepth)));
  next(launch(out_weight_kernel<T>, grid, kTileThreads, 0, stream, a, tiles, of_weight));
  next(sum_columns(of_weight, blocks, width, width, a.out_weight_gradient, stream));
  return error;
}

}  // namespace pcclust::cuda
