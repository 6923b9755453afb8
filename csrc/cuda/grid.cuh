// A uniform grid over each cloud: its points in the order of their cells.
//
// The box of a grid covers the bulk of its cloud, by quantiles of a sample, so that a few far
// points do not make the cells coarse; what lies outside belongs to the cells at the border. Every
// search through it is exact all the same (grid_search.cuh).
//
// Counted for a float cloud of n points: 12 n bytes are read twice (counted, placed), 8 n written
// and read for the places within cells, 16 n written in order of cell, and 12 bytes for each of the
// n / per_cell cells; 70 n at per_cell = 2, 21 us for a million points at 3.35 TB/s. Scattered
// writes of 16 bytes move sectors of 32, and seven kernels must start: about a third of that rate is
// expected.
#pragma once

#include <limits>
#include <type_traits>
#include <utility>

#include "cuda/block_sort.cuh"
#include "cuda/search.cuh"

namespace pcclust::cuda {

constexpr int kGridThreads = 256;
constexpr int kScanItems = 16;                             // cells of a thread
constexpr int64_t kScanTile = kGridThreads * kScanItems;  // cells of a block
constexpr int kSample = 1024;

// Where a point lies and which of its cloud it is, in one or two loads of 16 bytes.
template <class T>
struct alignas(16) PlacedPoint {
  T x, y, z;
  std::conditional_t<sizeof(T) == 4, uint32_t, unsigned long long> index;
};

// The cells of one cloud: cell i of an axis reaches from low + i * width on; the first and the last
// are open to the outside.
template <class T>
struct Grid {
  T low[3];
  T width, inverse;  // inverse = 1 / width
  int cells[3];
};

// A cell of more points is crowded: see grid_boxes.cuh.
constexpr int64_t kCrowded = 256;
constexpr int kBoxLevels = 3;

// How many placed points a box holds, and how many boxes there are for so many rows.
__host__ __device__ constexpr int64_t box_places(int level) { return int64_t{32} << 5 * level; }
constexpr int64_t box_count(int64_t rows, int level) {
  return (rows + box_places(level) - 1) / box_places(level);
}

template <class T>
struct PlaceBox {
  T low[3], high[3];
  uint32_t first;  // the lowest index inside, which decides ties
};

// What a search finds on the device.
template <class T>
struct GridTables {
  Grid<T>* grids;          // (clouds,)
  uint32_t* begins;        // (cells + 1,) where the points of a cell begin
  uint32_t* tile_sums;     // points in each kScanTile cells
  uint32_t* ranks;         // (rows,) of each point within its cell
  PlacedPoint<T>* placed;  // (points,) in order of cell
  uint32_t* crowded;       // how many cells are crowded, then which
  PlaceBox<T>* boxes[kBoxLevels];  // around placed points, where any cell is crowded
  int64_t cells;           // of all clouds
  int64_t per_cell;        // points for which a cloud owns a cell
};

// How large the tables are, from what the host knows.
template <class T>
class GridPlan {
 public:
  // A query of a few neighbours looks into 27 cells, of surfaces about 9 of them hold points.
  GridPlan(int64_t rows, int64_t clouds, int64_t k)
      : rows_(rows), clouds_(clouds), per_cell_(k < 8 ? 1 : k / 8) {}

  size_t bytes() const { return tables(nullptr).second; }
  GridTables<T> at(void* workspace) const { return tables(workspace).first; }

 private:
  std::pair<GridTables<T>, size_t> tables(void* workspace) const {
    size_t used = 0;
    const auto reserve = [&]<class Entry>(Entry*& table, int64_t count) {
      table = reinterpret_cast<Entry*>(static_cast<unsigned char*>(workspace) + used);
      used += ceil_divide<size_t>(count * sizeof(Entry), 256) * 256;
    };
    GridTables<T> tables;
    tables.per_cell = per_cell_;
    tables.cells = piece_count(rows_, clouds_, per_cell_);
    reserve(tables.grids, clouds_);
    reserve(tables.begins, tables.cells + 1);
    reserve(tables.tile_sums, ceil_divide(tables.cells, kScanTile));
    reserve(tables.ranks, rows_);
    reserve(tables.placed, rows_);
    reserve(tables.crowded, 1 + rows_ / kCrowded);
    for (int level = 0; level < kBoxLevels; ++level) {
      reserve(tables.boxes[level], box_count(rows_, level));
    }
    return {tables, used};
  }

  int64_t rows_, clouds_, per_cell_;
};

template <class T>
__device__ __forceinline__ T coordinate(const Clouds<T>& clouds, int64_t row, int axis) {
  return axis < clouds.dims ? __ldg(clouds.rows + row * clouds.dims + axis) : T(0);
}

// The cell of a coordinate: it never falls as the coordinate grows, however both are rounded.
template <class T>
__device__ __forceinline__ int axis_cell(const Grid<T>& grid, int axis, T x) {
  const T at = (x - grid.low[axis]) * grid.inverse;
  const int last = grid.cells[axis] - 1;
  return at >= static_cast<T>(last) ? last : at > 0 ? static_cast<int>(at) : 0;
}

template <class T>
__device__ __forceinline__ int64_t cell_of_row(const Clouds<T>& clouds, const GridTables<T>& tables,
                                               int64_t cloud, int64_t row) {
  const Grid<T> grid = tables.grids[cloud];
  int64_t cell = 0;
#pragma unroll
  for (int axis = 2; axis >= 0; --axis) {
    cell = cell * grid.cells[axis] + axis_cell(grid, axis, coordinate(clouds, row, axis));
  }
  return first_piece(clouds, cloud, tables.per_cell) + cell;
}

template <class T>
__global__ void __launch_bounds__(kGridThreads) clear_kernel(GridTables<T> tables) {
  const int64_t cell = static_cast<int64_t>(blockIdx.x) * kGridThreads + threadIdx.x;
  if (cell <= tables.cells) tables.begins[cell] = 0;
  if (cell == 0) tables.crowded[0] = 0;
}

// Within these, no cell is denormal and nothing overflows.
template <class T>
constexpr T kSmallestExtent = std::numeric_limits<T>::min() * T(1ull << 63);
template <class T>
constexpr T kLargestExtent = std::numeric_limits<T>::max() / 256;

// The bulk of a cloud along an axis; nothing where it is too small or too large to be divided.
template <class T>
__device__ __forceinline__ T bulk(const T* sorted, int count, T& low) {
  const int cut = count / 16;
  const T first = sorted[cut], last = sorted[count - 1 - cut];
  const T margin = (last - first) / 14;
  low = first - margin;
  const T extent = (last + margin) - low;
  const bool divisible = extent > kSmallestExtent<T> && extent < kLargestExtent<T>;
  if (!divisible) low = first;
  return divisible ? extent : 0;
}

// How many cells of a width there would be.
template <class T>
__device__ __forceinline__ double cells_of(const T (&extent)[3], T width) {
  double cells = 1;
  for (T length : extent) cells *= floor(static_cast<double>(length / width)) + 1;
  return cells;
}

// A block fits the grid of a cloud: the smallest cells for which the cloud owns places.
template <class T>
__global__ void __launch_bounds__(kGridThreads) fit_kernel(Clouds<T> clouds, GridTables<T> tables) {
  __shared__ T sample[3][kSample];
  const int64_t cloud = blockIdx.x;
  const Extent here = extent_of(clouds, cloud);
  const int count = static_cast<int>(here.size < kSample ? here.size : kSample);
  for (int i = threadIdx.x; i < 3 * count; i += kGridThreads) {
    const int64_t row = here.start + static_cast<int64_t>(i / 3) * here.size / count;
    sample[i % 3][i / 3] = coordinate(clouds, row, i % 3);
  }
  for (int axis = 0; axis < 3; ++axis) {
    sort_block<kGridThreads>(count, [&](int64_t low, int64_t high) {
      const T a = sample[axis][low], b = sample[axis][high];
      if (!(b < a)) return;
      sample[axis][low] = b;
      sample[axis][high] = a;
    });
  }
  Grid<T> grid{};
  T extent[3] = {}, widest = 0;
  for (int axis = 0; axis < 3 && count > 0; ++axis) {
    extent[axis] = bulk(sample[axis], count, grid.low[axis]);
    if (widest < extent[axis]) widest = extent[axis];
  }
  // Every thread tries a width; cells grow in number as widths shrink.
  const auto width = [&](int thread) { return static_cast<T>(widest * exp2(T(-thread) / 8)); };
  const double owned = static_cast<double>(here.size / tables.per_cell + 1);
  const bool fits = widest > 0 && cells_of(extent, width(threadIdx.x)) <= owned;
  const int narrowest = __syncthreads_count(fits) - 1;
  if (threadIdx.x != 0) return;
  grid.width = narrowest < 0 ? T(1) : width(narrowest);
  grid.inverse = T(1) / grid.width;
  for (int axis = 0; axis < 3; ++axis) {
    grid.cells[axis] = narrowest < 0 ? 1 : static_cast<int>(extent[axis] / grid.width) + 1;
  }
  tables.grids[cloud] = grid;
}

template <class T>
__global__ void __launch_bounds__(kGridThreads)
    count_kernel(Clouds<T> clouds, GridTables<T> tables) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kGridThreads + threadIdx.x;
  const int64_t cloud = row < clouds.row_count ? cloud_of_row(clouds, row) : -1;
  if (cloud < 0) return;
  const int64_t cell = cell_of_row(clouds, tables, cloud, row);
  const uint32_t rank = atomicAdd(tables.begins + cell, 1u);
  tables.ranks[row] = rank;
  if (rank == kCrowded) {
    tables.crowded[1 + atomicAdd(tables.crowded, 1u)] = static_cast<uint32_t>(cell);
  }
}

template <class T>
__global__ void __launch_bounds__(kGridThreads)
    place_kernel(Clouds<T> clouds, GridTables<T> tables) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kGridThreads + threadIdx.x;
  const int64_t cloud = row < clouds.row_count ? cloud_of_row(clouds, row) : -1;
  if (cloud < 0) return;
  // The order within a cell differs from run to run; no result depends on it.
  const uint32_t at = tables.begins[cell_of_row(clouds, tables, cloud, row)] + tables.ranks[row];
  tables.placed[at] = {coordinate(clouds, row, 0), coordinate(clouds, row, 1),
                       coordinate(clouds, row, 2),
                       static_cast<uint32_t>(row - start_of(clouds, cloud))};
}

}  // namespace pcclust::cuda
