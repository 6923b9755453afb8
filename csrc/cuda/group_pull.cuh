// The gradients of the first layer, of group_max's maxima and of group_moments' sums alike: the
// layer is computed once more, and the gradient of its outputs stands in shared memory for a tile of
// members and 32 channels at a time.
//
// Sums over members are made in working precision within a tile and go on in double, block by block
// in a fixed order: the same bits in every run and on every device.
#pragma once

#include "cuda/group_layer.cuh"

namespace pcclust::cuda {

// What is wanted.
template <class T>
struct GroupGradient {
  T* features;  // (groups, k, inputs), or null where it is not wanted
  T* weight;    // (hidden, inputs)
  T* bias;      // (hidden,)
};

template <class T>
using TileGradient = T[kDepth][kTileMembers<T> + 1];

template <class T>
int64_t layer_width(const GroupLayer<T>& layer) {
  return layer.hidden * (layer.inputs + 1);
}

// Adds what a tile gives to a block's sums: of the weight, and behind it those of the bias.
template <class T>
__device__ __forceinline__ void add_to_layer(const GroupLayer<T>& layer, const GroupTile& tile,
                                             int64_t channel, const TileGradient<T>& gradient,
                                             bool begins, double* sums) {
  const int64_t mine = channel + lane_index();
  if (mine >= layer.hidden) return;
  for (int64_t i = threadIdx.x / kWarp; i <= layer.inputs; i += kTileWarps) {
    const bool of_bias = i == layer.inputs;
    const T* x = layer.features + tile.first * layer.inputs + i;
    T sum = 0;
    for (int member = 0; member < tile.count; ++member) {
      const T factor = of_bias ? T(1) : __ldg(x + member * layer.inputs);
      sum = fma(factor, gradient[lane_index()][member], sum);
    }
    double* to = sums + (of_bias ? layer.hidden * layer.inputs + mine : mine * layer.inputs + i);
    *to = begins ? static_cast<double>(sum) : *to + static_cast<double>(sum);
  }
}

// Adds what 32 channels give to the gradient of a tile's features.
template <class T>
__device__ __forceinline__ void add_to_features(const GroupLayer<T>& layer, const GroupTile& tile,
                                                int64_t channel, const TileGradient<T>& gradient,
                                                T* features) {
  const int64_t left = layer.hidden - channel, count = tile.count * layer.inputs;
  const int channels = static_cast<int>(left < kDepth ? left : kDepth);
  for (int64_t i = threadIdx.x; i < count; i += kTileThreads) {
    const int64_t member = i / layer.inputs, input = i % layer.inputs;
    const int64_t at = tile.first * layer.inputs + i;
    T sum = channel == 0 ? T(0) : features[at];
    for (int d = 0; d < channels; ++d) {
      const T w = __ldg(layer.weight + (channel + d) * layer.inputs + input);
      sum = fma(gradient[d][member], w, sum);
    }
    features[at] = sum;
  }
}

// source.fill(layer, tile, channel, memory) makes memory.gradient that of what the layer put out.
template <class T, class Source>
__global__ void __launch_bounds__(kTileThreads, 2)
    group_pull_kernel(GroupLayer<T> layer, GroupTiles tiles, Source source, T* features,
                      double* partial, int64_t width) {
  __shared__ typename Source::Memory memory;
  const TileRun run(tiles);
  double* sums = partial + blockIdx.x * width;
  for (int64_t channel = 0; channel < layer.hidden; channel += kDepth) {
    for (int64_t number = run.begin; number < run.end; ++number) {
      const GroupTile tile = tiles.at(number);
      source.fill(layer, tile, channel, memory);
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < kDepth * tile.count; i += kTileThreads) {
        const int d = i / tile.count, member = i % tile.count;
        if (channel + d >= layer.hidden) break;
        if (!(hidden_input(layer, tile.first + member, channel + d) > 0)) {
          memory.gradient[d][member] *= layer.slope;
        }
      }
      __syncthreads();
      add_to_layer(layer, tile, channel, memory.gradient, number == run.begin, sums);
      if (features) add_to_features(layer, tile, channel, memory.gradient, features);
      __syncthreads();
    }
  }
}

template <class T>
size_t group_pull_workspace(const GroupLayer<T>& layer) {
  const GroupTiles tiles = GroupTiles::of(layer);
  const int64_t width = layer_width(layer);
  return sizeof(double) * static_cast<size_t>(sum_blocks(tiles, width) * width);
}

// Runs the backward pass of a layer, from what `source` says of its outputs.
template <class T, class Source>
cudaError_t group_pull(const GroupLayer<T>& layer, const Source& source, const GroupGradient<T>& to,
                       double* partial, cudaStream_t stream) {
  const GroupTiles tiles = GroupTiles::of(layer);
  const int64_t width = layer_width(layer), blocks = sum_blocks(tiles, width);
  cudaError_t error = launch(group_pull_kernel<T, Source>, static_cast<unsigned>(blocks),
                             kTileThreads, 0, stream, layer, tiles, source, to.features, partial,
                             width);
  const auto next = [&](cudaError_t queued) { error = error != cudaSuccess ? error : queued; };
  const int64_t weights = layer.hidden * layer.inputs;
  next(sum_columns(partial, blocks, width, weights, to.weight, stream));
  next(sum_columns(partial + weights, blocks, width, layer.hidden, to.bias, stream));
  return error;
}

}  // namespace pcclust::cuda
