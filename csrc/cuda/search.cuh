// What every neighbour search takes, and how its blocks find their queries among ragged clouds.
//
// Many clouds lie one behind the other in one matrix of rows, and where they begin is known on the
// device only. Blocks and grid cells are therefore numbered by a rule that needs no prefix sum: of
// pieces of `size` rows, cloud c owns those from floor(starts[c] / size) + c on. As the starts
// ascend and ceil(n / size) <= floor((s + n) / size) - floor(s / size) + 1, no two clouds share
// one.
#pragma once

#include "cuda/platform.cuh"

namespace pcclust::cuda {

// Rows of coordinates that belong to one or many clouds.
template <class T>
struct Clouds {
  const T* rows;          // (row_count, dims)
  int64_t row_count;      // below kMostRows
  int64_t dims;
  const int64_t* starts;  // (count,) first row of each cloud, ascending
  const int64_t* sizes;   // (count,) points of each cloud
  int64_t count;
};

// Points of a cloud are counted in 32 bits.
constexpr int64_t kMostRows = (int64_t{1} << 31) - 1;

// Up to k nearest points of each query within a squared distance.
template <class T>
struct SearchArguments {
  Clouds<T> points;
  Clouds<T> queries;  // the same rows as points where `self`
  bool self;
  bool exclude_self;  // only where `self`
  bool packed;        // indices count rows of all clouds instead of points of one
  int64_t k;          // at least 1; what a cloud does not hold is missing: inf and -1
  T limit;            // squared distance up to which points count; inf for kNN
  T* distances;       // (query rows, k)
  int64_t* indices;   // (query rows, k)
  int64_t* counts;    // (query rows,) neighbours found, or null
  void* workspace;    // search_workspace bytes, aligned to 256; may be null where it is 0
};

// Where a cloud lies. A table that points outside of the rows is cut, so that nothing is read
// there.
struct Extent {
  int64_t start;
  uint32_t size;
};

template <class T>
__device__ __forceinline__ int64_t start_of(const Clouds<T>& clouds, int64_t cloud) {
  const int64_t start = __ldg(clouds.starts + cloud);
  return start < 0 ? 0 : start < clouds.row_count ? start : clouds.row_count;
}

template <class T>
__device__ __forceinline__ Extent extent_of(const Clouds<T>& clouds, int64_t cloud) {
  const int64_t start = start_of(clouds, cloud), room = clouds.row_count - start;
  const int64_t size = __ldg(clouds.sizes + cloud);
  return {start, static_cast<uint32_t>(size < 0 ? 0 : size < room ? size : room)};
}

// The last of `count` clouds whose first(cloud) is at most `at`, or -1; first ascends.
template <class First>
__device__ __forceinline__ int64_t last_at_most(int64_t count, int64_t at, const First& first) {
  int64_t low = -1, high = count;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (first(middle) <= at) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// The first piece of a cloud, and how many pieces there are for all clouds.
template <class T>
__device__ __forceinline__ int64_t first_piece(const Clouds<T>& clouds, int64_t cloud,
                                               int64_t size) {
  return start_of(clouds, cloud) / size + cloud;
}
inline int64_t piece_count(int64_t rows, int64_t clouds, int64_t size) {
  return clouds == 0 ? 0 : rows / size + clouds;
}

// The rows of a piece: `first` is counted from the start of the cloud; empty where first >= size.
struct Piece {
  int64_t cloud;
  int64_t first;
};

template <class T>
__device__ __forceinline__ Piece find_piece(const Clouds<T>& clouds, int64_t piece, int64_t size) {
  const int64_t cloud = last_at_most(
      clouds.count, piece, [&](int64_t c) { return first_piece(clouds, c, size); });
  return {cloud, cloud < 0 ? 0 : (piece - first_piece(clouds, cloud, size)) * size};
}

// The cloud of a row, or -1 on padding.
template <class T>
__device__ __forceinline__ int64_t cloud_of_row(const Clouds<T>& clouds, int64_t row) {
  const int64_t cloud =
      last_at_most(clouds.count, row, [&](int64_t c) { return start_of(clouds, c); });
  if (cloud < 0) return -1;
  const Extent extent = extent_of(clouds, cloud);
  return row < extent.start + extent.size ? cloud : -1;
}

// Every operation is rounded, none fused: the bits of the twin.
__device__ __forceinline__ float add_square(float sum, float a, float b) {
  const float step = __fsub_rn(a, b);
  return __fadd_rn(sum, __fmul_rn(step, step));
}
__device__ __forceinline__ double add_square(double sum, double a, double b) {
  const double step = __dsub_rn(a, b);
  return __dadd_rn(sum, __dmul_rn(step, step));
}

// The squared distance of two rows, summed in order of dimension.
template <class T>
__device__ __forceinline__ T squared_distance(const T* a, const T* b, int64_t dims) {
  note_distance();
  T sum = 0;
  for (int64_t d = 0; d < dims; ++d) sum = add_square(sum, a[d], __ldg(b + d));
  return sum;
}

template <class T>
__device__ __forceinline__ T infinity() {
  return static_cast<T>(__int_as_float(0x7f800000));
}

template <class T>
__device__ __forceinline__ T not_a_number() {
  return static_cast<T>(__int_as_float(0x7fffffff));
}

constexpr int kRowThreads = 256;

inline dim3 blocks_for(int64_t items, int64_t per_block) {
  return dim3(static_cast<unsigned>(ceil_divide(items, per_block)));
}

// Fills the rows of queries that belong to no cloud; a search writes all others.
template <class T>
__global__ void __launch_bounds__(kRowThreads) padding_kernel(SearchArguments<T> a) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (row >= a.queries.row_count || cloud_of_row(a.queries, row) >= 0) return;
  for (int64_t i = row * a.k; i < (row + 1) * a.k; ++i) {
    a.distances[i] = infinity<T>();
    a.indices[i] = -1;
  }
  if (a.counts) a.counts[row] = 0;
}

}  // namespace pcclust::cuda
