// One layer of a perceptron on the members of groups, a tile of members at a time in shared memory,
// and products of a tile with a matrix. What the layer makes of all members is never stored.
//
// Inputs are few (4 of RRI), so what the layer makes of a member is computed wherever it is needed:
// for 64 outputs that is 1 operation in 8. A product of its own, not cuBLAS's, since what it makes
// is reduced where it stands: written out, members times outputs would be the traffic. Each of 256
// threads has 8 members and 4 outputs in registers: 32 fused operations for 3 loads of 16 bytes.
#pragma once

#include "cuda/column_sums.cuh"
#include "cuda/refusal.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

template <class T>
struct GroupLayer {
  const T* features;  // (groups, k, inputs)
  int64_t groups;
  int64_t k;
  int64_t inputs;
  const T* weight;  // (hidden, inputs)
  const T* bias;    // (hidden,)
  int64_t hidden;
  T slope;
};

constexpr int kTileThreads = 256;
constexpr int kTileWarps = kTileThreads / kWarp;
constexpr int kDepth = 32;  // hidden channels that are computed at a time
template <class T>
constexpr int kTileMembers = sizeof(T) == 4 ? 128 : 64;

// Members that a block takes at a time: of several whole groups, or a part of a large one.
struct GroupTile {
  int64_t group;   // the first
  int64_t groups;  // how many
  int64_t offset;  // the first member, in its group
  int64_t first;   // and of all members
  int count;       // of members
};

// Cuts all groups into tiles.
struct GroupTiles {
  int64_t groups, k;
  int64_t of_tile;  // groups of a tile
  int64_t parts;    // tiles of a group
  int64_t room;     // members of a tile

  template <class T>
  static GroupTiles of(const GroupLayer<T>& layer) {
    const int64_t room = kTileMembers<T>, k = layer.k;
    return {layer.groups, k, k < room ? room / k : 1, k < room ? 1 : ceil_divide(k, room), room};
  }
  __host__ __device__ int64_t runs() const { return ceil_divide(groups, of_tile); }
  __host__ __device__ int64_t count() const { return runs() * parts; }
  __device__ __forceinline__ GroupTile at(int64_t number) const {
    const int64_t group = number / parts * of_tile, offset = number % parts * room;
    const int64_t several = groups - group < of_tile ? groups - group : of_tile;
    const int64_t left = several * k - offset;
    return {group, several, offset, group * k + offset, static_cast<int>(left < room ? left : room)};
  }
};

template <class T>
__device__ __forceinline__ T activate(T x, T slope) {
  return x > 0 ? x : x * slope;
}

// What a hidden channel is before its LeakyReLU.
template <class T>
__device__ __forceinline__ T hidden_input(const GroupLayer<T>& layer, int64_t member,
                                          int64_t channel) {
  const T* x = layer.features + member * layer.inputs;
  const T* w = layer.weight + channel * layer.inputs;
  T sum = __ldg(layer.bias + channel);
  for (int64_t i = 0; i < layer.inputs; ++i) sum = fma(__ldg(x + i), __ldg(w + i), sum);
  return sum;
}

// A run of hidden channels of the members of a tile; zeros where there are none.
template <class T, int Pitch>
__device__ __forceinline__ void fill_hidden(const GroupLayer<T>& layer, const GroupTile& tile,
                                            int64_t channel, T (&to)[kDepth][Pitch]) {
  for (int i = static_cast<int>(threadIdx.x); i < kDepth * kTileMembers<T>; i += kTileThreads) {
    const int member = i % kTileMembers<T>, d = i / kTileMembers<T>;
    const bool there = member < tile.count && channel + d < layer.hidden;
    to[d][member] =
        there ? activate(hidden_input(layer, tile.first + member, channel + d), layer.slope) : T(0);
  }
}

// The factors of a product of a tile with some columns.
template <class T, int Columns>
struct TileFactors {
  alignas(16) T hidden[kDepth][kTileMembers<T> + 16 / sizeof(T)];
  alignas(16) T matrix[kDepth][Columns];
};

// Calls put(member, column, sum) for the sums over hidden channels of those of each member of a tile
// times the rows [first, first + Columns) of matrix (columns, hidden); zeros beyond.
template <int Columns, class T, class Put>
__device__ __forceinline__ void multiply_tile(const GroupLayer<T>& layer, const GroupTile& tile,
                                              const T* matrix, int64_t first, int64_t columns,
                                              TileFactors<T, Columns>& factors, const Put& put) {
  constexpr int kSide = 16, kOwn = kTileMembers<T> / kSide, kWide = Columns / kSide;
  const int row = static_cast<int>(threadIdx.x) / kSide * kOwn;
  const int column = static_cast<int>(threadIdx.x) % kSide * kWide;
  T sum[kOwn][kWide] = {};
  for (int64_t channel = 0; channel < layer.hidden; channel += kDepth) {
    __syncthreads();
    fill_hidden(layer, tile, channel, factors.hidden);
    for (int i = static_cast<int>(threadIdx.x); i < kDepth * Columns; i += kTileThreads) {
      const int64_t d = channel + i % kDepth, c = first + i / kDepth;
      factors.matrix[i % kDepth][i / kDepth] =
          d < layer.hidden && c < columns ? matrix[c * layer.hidden + d] : T(0);
    }
    __syncthreads();
#pragma unroll 4
    for (int d = 0; d < kDepth; ++d) {
#pragma unroll
      for (int r = 0; r < kOwn; ++r) {
#pragma unroll
        for (int c = 0; c < kWide; ++c) {
          sum[r][c] = fma(factors.hidden[d][row + r], factors.matrix[d][column + c], sum[r][c]);
        }
      }
    }
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < kOwn; ++r) {
#pragma unroll
    for (int c = 0; c < kWide; ++c) put(row + r, column + c, sum[r][c]);
  }
  __syncthreads();
}

#ifdef PCCLUST_EMULATED
constexpr int64_t kMostSumBlocks = 2;  // so that tests of few groups have blocks of many tiles
#else
constexpr int64_t kMostSumBlocks = 256;
#endif

// Blocks that share all tiles, each a run of them; as many for every device, so that sums are the
// same, and so few that what they find, `width` numbers each, is little. None is without tiles.
inline int64_t sum_blocks(const GroupTiles& tiles, int64_t width) {
  constexpr int64_t kLeast = 16, kNumbers = int64_t{1} << 23;
  const int64_t room = width == 0 ? kMostSumBlocks : kNumbers / width;
  const int64_t wished = room < kLeast ? kLeast : room;
  const int64_t blocks = wished < kMostSumBlocks ? wished : kMostSumBlocks;
  return tiles.count() <= blocks
             ? tiles.count()
             : ceil_divide(tiles.count(), ceil_divide(tiles.count(), blocks));
}

// The tiles of a block: [begin, end).
struct TileRun {
  int64_t begin, end;
  __device__ __forceinline__ explicit TileRun(const GroupTiles& tiles) {
    const int64_t share = ceil_divide(tiles.count(), int64_t{gridDim.x});
    begin = blockIdx.x * share;
    end = begin + share < tiles.count() ? begin + share : tiles.count();
  }
};

}  // namespace pcclust::cuda
