// Neighbours by every distance: for batches of small clouds, and in more than three dimensions.
//
// A block shares tiles of candidates in shared memory. Each of its warps asks for up to four
// queries, whose sorted lists it keeps in registers; a lane measures two candidates at a time for
// all of them, so that of the values in shared memory each is read once for four queries.
//
// Counted for D <= 3 and k <= 64, per warp and 32 pairs: 9 operations of floats, 1.1 loads from
// shared memory, 5 to compare with the k-th and to vote, so 15. A query of n points appends its
// nearer ones some k * ln(n / k) times and merges 32 of them with 170 instructions: for n = 1024
// and k = 20 about 6 merges, 1750 instructions for a query in all. An H100 issues 132 * 4
// instructions a clock at 1.75 GHz: at best 62 us for 32 clouds of 1024 points, of which the output
// (12 bytes for a neighbour, 7.9 MB, 2.4 us at 3.35 TB/s) and the input hide behind the arithmetic;
// 60 to 70 % of that rate are expected. In D > 3, dimensions are rounded up to 8 or to multiples of
// 16: 3 operations for each dimension of a pair, none fused, so half of the 67 TFLOP/s of fused
// float32 bound it, and 0.4 loads; 32 clouds of 1024 points in D = 64 cost 0.24 G instructions, 260
// us at best, 70 % expected.
#pragma once

#include "cuda/top_k.cuh"

namespace pcclust::cuda {

// How a block of the scan is cut for a dtype, the registers of a list and the dimensions in a tile.
template <class T, int Registers, int Dims>
struct ScanShape {
  static constexpr int warps = sizeof(T) == 4 ? 8 : 4;
  static constexpr int threads = warps * kWarp;
  static constexpr int blocks = 3;  // of a multiprocessor: 24 warps of 80 registers, 12 of doubles
  static constexpr int warp_queries = Registers <= 2 ? 4 : 1;
  static constexpr int queries = warps * warp_queries;
  static constexpr int lane_points = 2;
  static constexpr int step = lane_points * kWarp;             // candidates of one turn of a warp
  static constexpr int turns = Dims <= 3 ? 8 : Dims <= 8 ? 4 : 1;
  static constexpr int points = turns * step;  // candidates of a tile
};

template <class T, int Registers, int Dims>
struct ScanMemory {
  using Shape = ScanShape<T, Registers, Dims>;
  // One column more than points, lest the values of one point share a bank.
  T point[Dims][Shape::points + 1];
  alignas(16) T query[Dims][Shape::queries];
  Key<T> queue[Shape::queries][Shape::step + kWarp];
};

// Copies values of `count` rows from the first dimension on. Missing dimensions are zeros, which
// change no bit of a sum of squares; missing rows are NaN, nobody's neighbours.
template <int Threads, class T, int Dims, int Columns>
__device__ __forceinline__ void load_tile(T (&out)[Dims][Columns], int columns, const T* rows,
                                          int64_t count, int64_t dims, int64_t first) {
#pragma unroll 2
  for (int i = threadIdx.x; i < columns * Dims; i += Threads) {
    const int row = i / Dims, d = i % Dims;
    T value = not_a_number<T>();
    if (row < count) value = first + d < dims ? __ldg(rows + row * dims + first + d) : T(0);
    out[d][row] = value;
  }
}

// Values that lie side by side, for loads of up to 16 bytes.
template <class T, int Count>
struct alignas(Count * sizeof(T) < 16 ? Count * sizeof(T) : 16) Pack {
  T value[Count];
};

// The queries of one warp.
template <class T, int Registers, int Dims>
class WarpScan {
 public:
  using Shape = ScanShape<T, Registers, Dims>;
  using Memory = ScanMemory<T, Registers, Dims>;

  __device__ __forceinline__ WarpScan(const SearchArguments<T>& a, Memory& memory, int64_t first,
                                      uint32_t count)
      : memory_(memory),
        k_(static_cast<int>(a.k)),
        lane_(threadIdx.x % kWarp),
        column_(threadIdx.x / kWarp * Shape::warp_queries) {
#pragma unroll
    for (int q = 0; q < Shape::warp_queries; ++q) {
      const int64_t query = first + column_ + q;
      top_[q].start(a.limit);
      // Nothing counts for a query that is not there.
      if (query >= count) top_[q].bound = make_key(T(0), 0);
      own_[q] = a.exclude_self ? static_cast<uint32_t>(query) : kNoPoint;
    }
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int q = 0; q < Shape::warp_queries; ++q) {
#pragma unroll
      for (int j = 0; j < Shape::lane_points; ++j) sum_[q][j] = 0;
    }
  }

  // Adds the tile's dimensions to the distances of the candidates from `at` on.
  __device__ __forceinline__ void accumulate(int at) {
#pragma unroll
    for (int d = 0; d < Dims; ++d) {
      T point[Shape::lane_points];
#pragma unroll
      for (int j = 0; j < Shape::lane_points; ++j) {
        point[j] = memory_.point[d][at + j * kWarp + lane_];
      }
using Queries = Pack<T, Shape::warp_queries>;
      const Queries query = *reinterpret_cast<const Queries*>(memory_.query[d] + column_);
#pragma unroll
      for (int q = 0; q < Shape::warp_queries; ++q) {
#pragma unroll
        for (int j = 0; j < Shape::lane_points; ++j) {
          sum_[q][j] = add_square(sum_[q][j], query.value[q], point[j]);
        }
      }
    }
  }

  // Lists the candidates of one turn, of which the first is the cloud's point `index`.
  __device__ __forceinline__ void select(uint32_t index) {
#pragma unroll
    for (int q = 0; q < Shape::warp_queries; ++q) {
      Key<T>* queue = memory_.queue[column_ + q];
#pragma unroll
      for (int j = 0; j < Shape::lane_points; ++j) {
        const uint32_t point = index + j * kWarp + lane_;
        const Key<T> key = make_key(sum_[q][j], point);
        top_[q].append(key, key < top_[q].bound && point != own_[q], queue, lane_);
      }
      top_[q].work_in(k_, queue, lane_);
    }
  }

  __device__ __forceinline__ void write(const SearchArguments<T>& a, const Extent& asked,
                                        int64_t first, int64_t first_index) {
#pragma unroll
    for (int q = 0; q < Shape::warp_queries; ++q) {
      const int64_t query = first + column_ + q;
      if (query >= asked.size) return;
      top_[q].finish(k_, memory_.queue[column_ + q], lane_);
      write_row(a, asked.start + query, first_index, top_[q], lane_);
    }
  }

 private:
  Memory& memory_;
  const int k_, lane_, column_;
  WarpTopK<T, Registers> top_[Shape::warp_queries];
  uint32_t own_[Shape::warp_queries];
  T sum_[Shape::warp_queries][Shape::lane_points];
};

template <class T, int Registers, int Dims>
__global__ void __launch_bounds__(ScanShape<T, Registers, Dims>::threads,
                                  ScanShape<T, Registers, Dims>::blocks)
    scan_kernel(SearchArguments<T> a) {
  using Shape = ScanShape<T, Registers, Dims>;
  using Memory = ScanMemory<T, Registers, Dims>;
  __shared__ Memory memory;
  const Piece piece = find_piece(a.queries, blockIdx.x, Shape::queries);
  if (piece.cloud < 0) return;
  const Extent asked = extent_of(a.queries, piece.cloud);
  const Extent cloud = extent_of(a.points, piece.cloud);
  if (piece.first >= asked.size) return;
  const int64_t dims = a.points.dims;
  const T* points = a.points.rows + cloud.start * dims;
  const T* queries = a.queries.rows + (asked.start + piece.first) * dims;
  WarpScan<T, Registers, Dims> scan(a, memory, piece.first, asked.size);
  for (uint32_t base = 0; base < cloud.size; base += Shape::points) {
    const int64_t left = cloud.size - base;
    for (int64_t d = 0; d < dims; d += Dims) {
      __syncthreads();
      load_tile<Shape::threads>(memory.point, Shape::points, points + base * dims, left, dims, d);
      load_tile<Shape::threads>(memory.query, Shape::queries, queries, asked.size - piece.first,
                                dims, d);
      __syncthreads();
      // Distances wait in registers from one tile to the next, so either the turns or the tiles of
      // dimensions are one.
#pragma unroll 1
      for (int at = 0; at < Shape::points && at < left; at += Shape::step) {
        if (d == 0) scan.clear();
        scan.accumulate(at);
        if (d + Dims >= dims) scan.select(base + at);
      }
    }
  }
  scan.write(a, asked, piece.first, a.packed ? cloud.start : 0);
}


template <class T, int Registers, int Dims>
cudaError_t launch_scan(const SearchArguments<T>& a, cudaStream_t stream) {
  using Shape = ScanShape<T, Registers, Dims>;
  const int64_t blocks = piece_count(a.queries.row_count, a.queries.count, Shape::queries);
  return launch(scan_kernel<T, Registers, Dims>, blocks_for(blocks, 1), dim3(Shape::threads), 0,
                stream, a);
}

// Searches by every distance; the list has `Registers` * 32 >= k entries.
template <class T, int Registers>
cudaError_t scan(const SearchArguments<T>& a, cudaStream_t stream) {
  if (a.points.dims <= 3) return launch_scan<T, Registers, 3>(a, stream);
  if (a.points.dims <= 8) return launch_scan<T, Registers, 8>(a, stream);
  return launch_scan<T, Registers, 16>(a, stream);
}

}  // namespace pcclust::cuda
