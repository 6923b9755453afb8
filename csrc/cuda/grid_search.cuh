// Neighbours through a uniform grid: for clouds of many points in up to three dimensions.
//
// A warp serves one query; queries among the points come in order of their cells, so that warps
// side by side read the same lines, and other queries as they are. It looks into the 27 cells
// around the query, then at one shell of cells after the other, until no point in the cells left
// can be nearer than the k-th found. Cells in a row along x are one run of placed points; the lanes
// look up 32 runs at once and then share out all their points, so that cells of few points leave
// no lane idle.
//
// Exact: a cell never falls as the coordinate grows, so what lies in the cells left is beyond their
// border on some axis, up to the rounding of the border, for which a margin is taken off; the sums
// of squares are rounded, which is monotone as well. Only where that distance is larger than the
// k-th, not where it is equal, the search ends: equal distances are decided by the index.
//
// Counted for n points of a surface, k = 16: 250 candidates in 27 cells are 8 turns of 60
// instructions, the look-up 60, five merges 850: about 1400 instructions of a warp for a query. An
// H100 issues 924 G of them a second: at best 1.5 ms for a million points. The output, 192 bytes
// for a query, takes 57 us at 3.35 TB/s; candidates (4 KB for a query, 16 bytes each) come from the
// L1 and L2, 4 GB or 0.8 ms at the L2's 5.5 TB/s were none in the L1. 40 to 50 % are expected.
// Where nearly all points lie in one cell (many copies of one point, or a cluster far smaller than
// the cells), boxes around runs of its points (grid_boxes.cuh) leave each query some hundred to
// measure, and 32 turns for the boxes of a million. A query alone among far cells looks into all of
// the n / per_cell cells once.
#pragma once

#include "cuda/grid_boxes.cuh"

namespace pcclust::cuda {

constexpr int kGridWarps = kGridThreads / kWarp;

// Some eight roundings separate a cell's border from where it is thought to be; twice as much.
template <class T>
constexpr T kMargin = 16 * std::numeric_limits<T>::epsilon();

// What a warp searches for.
template <class T>
struct GridQuery {
  T position[3];
  int64_t cloud, row;
  uint32_t own;  // which point it is, where that is no neighbour
};

// The query of a warp, or none. Self-queries are taken in order of cell.
template <class T>
__device__ __forceinline__ bool find_query(const SearchArguments<T>& a, const GridTables<T>& tables,
                                           int64_t number, GridQuery<T>& query) {
  query.own = kNoPoint;
  if (!a.self) {
    query.row = number;
    query.cloud = number < a.queries.row_count ? cloud_of_row(a.queries, number) : -1;
    if (query.cloud < 0) return false;
    for (int axis = 0; axis < 3; ++axis) query.position[axis] = coordinate(a.queries, number, axis);
    return true;
  }
  if (number >= tables.begins[tables.cells]) return false;
  query.cloud = last_at_most(a.points.count, number, [&](int64_t cloud) {
    return static_cast<int64_t>(tables.begins[first_piece(a.points, cloud, tables.per_cell)]);
  });
  if (query.cloud < 0) return false;
  const PlacedPoint<T> point = tables.placed[number];
  query.position[0] = point.x;
  query.position[1] = point.y;
  query.position[2] = point.z;
  query.row = start_of(a.points, query.cloud) + static_cast<int64_t>(point.index);
  if (a.exclude_self) query.own = static_cast<uint32_t>(point.index);
  // Where tables of clouds do not ascend, a point may pass for one of another cloud.
  return query.row < a.queries.row_count;
}

// The search of one warp.
template <class T, int Registers>
class GridSearch {
 public:
  __device__ __forceinline__ GridSearch(const SearchArguments<T>& a, const GridTables<T>& tables,
                                        const GridQuery<T>& query, Key<T>* queue)
      : query_(query),
        tables_(tables),
        grid_(tables.grids[query.cloud]),
        begins_(tables.begins + first_piece(a.points, query.cloud, tables.per_cell)),
        queue_(queue),
        boxed_(tables.crowded[0] > 0),
        k_(static_cast<int>(a.k)),
        lane_(lane_index()) {
    top.start(a.limit);
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) cell_[axis] = axis_cell(grid_, axis, query.position[axis]);
  }

  __device__ __forceinline__ void search() {
    for (int ring = 1;; ++ring) {
      visit_ring(ring);
      top.finish(k_, queue_, lane_);
      if (is_complete(ring)) return;
    }
  }

  WarpTopK<T, Registers> top;

 private:
  // A run of placed points.
  struct Run {
    uint32_t begin = 0, end = 0;
  };

  __device__ __forceinline__ int first_cell(int axis, int ring) const {
    return cell_[axis] > ring ? cell_[axis] - ring : 0;
  }
  __device__ __forceinline__ int last_cell(int axis, int ring) const {
    const int last = grid_.cells[axis] - 1;
    return last - cell_[axis] > ring ? cell_[axis] + ring : last;
  }

  // Looks into the cells at most (the first time) or exactly `ring` cells away.
  __device__ __forceinline__ void visit_ring(int ring) {
    const uint32_t width = last_cell(1, ring) - first_cell(1, ring) + 1;
    const uint32_t rows = width * (last_cell(2, ring) - first_cell(2, ring) + 1);
    // Of a shell, a row within has a cell at either end: each row is looked up twice.
    const uint32_t sides = ring == 1 ? 1 : 2;
    for (uint32_t base = 0; base < sides * rows; base += kWarp) {
      const uint32_t piece = base + lane_, row = piece / sides;
      Run run;
      if (row < rows) {
        const int y = first_cell(1, ring) + static_cast<int>(row % width);
        const int z = first_cell(2, ring) + static_cast<int>(row / width);
        run = find_run(ring, y, z, static_cast<int>(piece % sides));
      }
      if (boxed_) run = without_long_run(run);
      measure_runs(run);
    }
  }

  // Looks through the boxes of long runs, one after the other; returns this lane's if it is short.
  __device__ __forceinline__ Run without_long_run(const Run& run) {
    const bool is_long = run.end - run.begin > kCrowded;
    unsigned left = __ballot_sync(kAllLanes, is_long);
#pragma unroll 1
    for (; left != 0; left &= left - 1) {
      const int owner = __ffs(static_cast<int>(left)) - 1;
      visit_boxes<kBoxLevels - 1>(__shfl_sync(kAllLanes, run.begin, owner),
                                  __shfl_sync(kAllLanes, run.end, owner));
    }
    return is_long ? Run{} : run;
  }

  // Measures the placed points from `begin` to `end` in those boxes that may hold a candidate, the
  // nearest box of 32 first.
  template <int Level>
  __device__ __forceinline__ void visit_boxes(uint32_t begin, uint32_t end) {
    constexpr auto places = static_cast<uint32_t>(box_places(Level));
    const uint32_t last = (end - 1) / places;
#pragma unroll 1
    for (uint32_t base = begin / places; base <= last; base += kWarp) {
      Key<T> key = no_key<T>();
      if (base + lane_ <= last) {
        key = first_key(tables_.boxes[Level][base + lane_], query_.position);
      }
#pragma unroll 1
      for (;;) {
        const Key<T> least = least_of_lanes<T>(key);
        if (!(least < top.bound)) break;
        const unsigned holders = __ballot_sync(kAllLanes, !(least < key));
        const int holder = __ffs(static_cast<int>(holders)) - 1;
        if (lane_ == holder) key = no_key<T>();
        const uint32_t from = (base + holder) * places, to = from + places;
        const uint32_t first = begin < from ? from : begin, beyond = to < end ? to : end;
        if constexpr (Level == 0) {
          measure(first + lane_ < beyond, first + lane_);
        } else {
          visit_boxes<Level - 1>(first, beyond);
        }
      }
    }
  }

  __device__ __forceinline__ Run find_run(int ring, int y, int z, int side) const {
    int first = first_cell(0, ring), last = last_cell(0, ring);
    const bool within = abs(y - cell_[1]) < ring && abs(z - cell_[2]) < ring;
    if (ring > 1 && within) {
      const int64_t end = static_cast<int64_t>(cell_[0]) + (side == 0 ? -ring : ring);
      if (end < 0 || end >= grid_.cells[0]) return {};
      first = last = static_cast<int>(end);
    } else if (side == 1) {
      return {};
    }
    const int64_t row = (static_cast<int64_t>(z) * grid_.cells[1] + y) * grid_.cells[0];
    return {begins_[row + first], begins_[row + last + 1]};
  }

  // Measures the points of the runs of all lanes, 32 at a time.
  __device__ __forceinline__ void measure_runs(const Run& run) {
    const uint32_t until = warp_inclusive_sum(run.end - run.begin);
    const uint32_t total = __shfl_sync(kAllLanes, until, kWarp - 1);
    for (uint32_t base = 0; base < total; base += kWarp) {
      const uint32_t number = base + lane_;
      // The lane whose run the number falls into: the first with more points up to its end.
      int owner = 0;
#pragma unroll
      for (int step = kWarp / 2; step > 0; step /= 2) {
        if (__shfl_sync(kAllLanes, until, owner + step - 1) <= number) owner += step;
      }
      const uint32_t end = __shfl_sync(kAllLanes, run.end, owner);
      const uint32_t left = __shfl_sync(kAllLanes, until, owner) - number;
      measure(number < total, end - left);
    }
  }

  __device__ __forceinline__ void measure(bool valid, uint32_t at) {
    Key<T> key = no_key<T>();
    if (valid) {
      note_distance();
      const PlacedPoint<T> point = tables_.placed[at];
      T distance = add_square(T(0), query_.position[0], point.x);
      distance = add_square(distance, query_.position[1], point.y);
      distance = add_square(distance, query_.position[2], point.z);
      key = make_key(distance, static_cast<uint32_t>(point.index));
    }
    // No key at all is below no bound.
    top.append(key, key < top.bound && index_of(key) != query_.own, queue_, lane_);
    top.work_in(k_, queue_, lane_);
  }

  // Whether nothing in the cells beyond `ring` can belong to the list.
  __device__ __forceinline__ bool is_complete(int ring) const {
    bool all = true;
    T gap = infinity<T>();
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      const T offset = query_.position[axis] - grid_.low[axis];
      const auto border = [&](int cell, T sign) {
        const T at = static_cast<T>(cell) * grid_.width;
        const T beyond = sign * (at - offset) - kMargin<T> * (at + fabs(offset));
        // NaN, of a query too far for its offset, is no proof.
        const T proven = beyond > 0 ? beyond : 0;
        if (proven < gap) gap = proven;
        all = false;
      };
      if (first_cell(axis, ring) > 0) border(first_cell(axis, ring), T(-1));
      if (last_cell(axis, ring) < grid_.cells[axis] - 1) border(last_cell(axis, ring) + 1, T(1));
    }
    return all || gap * gap * (1 - kMargin<T>) > distance_of(top.bound);
  }

  const GridQuery<T> query_;
  const GridTables<T>& tables_;
  const Grid<T> grid_;
  const uint32_t* begins_;
  Key<T>* queue_;
  const bool boxed_;
  const int k_, lane_;
  int cell_[3];
};

// Blocks on one multiprocessor, as many as leave enough registers that nothing is spilled: 80, 128,
// or all there are for the longest lists of doubles.
template <class T, int Registers>
constexpr int kGridBlocks = Registers <= 2 ? (sizeof(T) == 4 ? 3 : 2) : (sizeof(T) == 4 ? 2 : 1);

template <class T, int Registers>
__global__ void __launch_bounds__(kGridThreads, kGridBlocks<T, Registers>)
    grid_search_kernel(SearchArguments<T> a, GridTables<T> tables) {
  __shared__ Key<T> queues[kGridWarps][2 * kWarp];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  GridQuery<T> query;
  const int64_t number = static_cast<int64_t>(blockIdx.x) * kGridWarps + warp;
  if (!find_query(a, tables, number, query)) return;
  GridSearch<T, Registers> search(a, tables, query, queues[warp]);
  search.search();
  const int64_t first_index = a.packed ? start_of(a.points, query.cloud) : 0;
  write_row(a, query.row, first_index, search.top, lane_index());
}

template <class T, int Registers>
cudaError_t search_grid(const SearchArguments<T>& a, cudaStream_t stream) {
  const GridTables<T> tables =
      GridPlan<T>(a.points.row_count, a.points.count, a.k).at(a.workspace);
  cudaError_t built = build_grids(a.points, tables, stream);
  if (built == cudaSuccess) built = box_grids(a.points.row_count, tables, stream);
  if (built != cudaSuccess) return built;
  return launch(grid_search_kernel<T, Registers>, blocks_for(a.queries.row_count, kGridWarps),
                dim3(kGridThreads), 0, stream, a, tables);
}

}  // namespace pcclust::cuda
