// The maximum over the members of each group of what two layers make of them.
//
// A block takes some 128 members of whole groups and 64 outputs: the second layer's product stays
// in registers, goes to shared memory, and a thread a group and output looks for the maximum there.
// The first of equal members counts, and NaN is larger than all, as for torch.
//
// Counted for G groups of k members, D inputs, H hidden channels and C outputs: 2 G k H (C + D C /
// 64) operations against 4 G (k D + 2 C) bytes. 32 clouds of 1024 points, k = 20, D = 4, H = 32,
// C = 64: 2.9 GFLOP, 43 µs at 67 TFLOP/s, and 27 MB, 8 µs at 3.35 TB/s: arithmetic is the bound;
// 40 to 50 % of it are expected, since the last 8 of 128 places of a tile stay empty and shared
// memory serves a maximum for every 64 products. In torch, 1.4 GB of hidden channels and products
// would be written and read: 420 µs.
#pragma once

#include "cuda/group_layer.cuh"

namespace pcclust::cuda {

template <class T>
struct GroupMaxArguments {
  GroupLayer<T> layer;
  const T* out_weight;  // (channels, hidden)
  int64_t channels;
  T* maxima;        // (groups, channels)
  int32_t* argmax;  // (groups, channels) the member that has it
};

constexpr int kMaxColumns = 64;

template <class T>
union GroupMaxMemory {
  TileFactors<T, kMaxColumns> factors;
  T products[kTileMembers<T>][kMaxColumns + 1];
};

// Looks through the members of one group that a tile holds, for one output.
template <class T>
__device__ __forceinline__ void take_members(const GroupMaxArguments<T>& a, const GroupTile& tile,
                                             int64_t group, int column, int64_t channel,
                                             const GroupMaxMemory<T>& memory) {
  const int64_t at = (tile.group + group) * a.channels + channel;
  const int row = static_cast<int>(group * a.layer.k);
  const int count = tile.groups == 1 ? tile.count : static_cast<int>(a.layer.k);
  T best = memory.products[row][column];
  int64_t place = tile.offset;
  if (tile.offset > 0 && !is_larger(best, a.maxima[at])) {
    best = a.maxima[at];
    place = a.argmax[at];
  }
  for (int member = 1; member < count; ++member) {
    const T value = memory.products[row + member][column];
    if (is_larger(value, best)) {
      best = value;
      place = tile.offset + member;
    }
  }
  a.maxima[at] = best;
  a.argmax[at] = static_cast<int32_t>(place);
}

template <class T>
__global__ void __launch_bounds__(kTileThreads, 2)
    group_max_kernel(GroupMaxArguments<T> a, GroupTiles tiles) {
  __shared__ GroupMaxMemory<T> memory;
  const int64_t first = int64_t{blockIdx.y} * kMaxColumns;
  for (int64_t part = 0; part < tiles.parts; ++part) {
    const GroupTile tile = tiles.at(blockIdx.x * tiles.parts + part);
    multiply_tile(a.layer, tile, a.out_weight, first, a.channels, memory.factors,
                  [&](int member, int column, T sum) { memory.products[member][column] = sum; });
    const int pairs = static_cast<int>(tile.groups) * kMaxColumns;
    for (int i = static_cast<int>(threadIdx.x); i < pairs; i += kTileThreads) {
      const int column = i % kMaxColumns;
      if (first + column >= a.channels) continue;
      take_members(a, tile, i / kMaxColumns, column, first + column, memory);
    }
  }
}

template <class T>
cudaError_t group_max(const GroupMaxArguments<T>& a, cudaStream_t stream) {
  const GroupTiles tiles = GroupTiles::of(a.layer);
  const dim3 grid(static_cast<unsigned>(tiles.runs()),
                  static_cast<unsigned>(ceil_divide<int64_t>(a.channels, kMaxColumns)));
  return launch(group_max_kernel<T>, grid, kTileThreads, 0, stream, a, tiles);
}

}  // namespace pcclust::cuda
