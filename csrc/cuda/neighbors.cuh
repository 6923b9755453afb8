// Which search serves: a scan of all points, a grid for large clouds, a selection for large k.
#pragma once

#include "cuda/grid_search.cuh"
#include "cuda/scan.cuh"
#include "cuda/select.cuh"

namespace pcclust::cuda {

constexpr int64_t kLargestList = 256;  // beyond, a list does not fit the registers of a warp

// The host knows how many rows and clouds there are, not how large each cloud is. A grid costs a
// query about 1000 instructions whatever its cloud, a scan as many for some 2000 points. So large
// clouds get a grid, and so do many rows: one large cloud among many small ones must not be scanned.
constexpr int64_t kLargeCloud = 4096;
constexpr int64_t kManyRows = int64_t{1} << 18;

inline bool uses_grid(int64_t point_rows, int64_t clouds, int64_t dims, int64_t k) {
  if (dims > 3 || k > kLargestList || clouds == 0) return false;
  return point_rows / clouds >= kLargeCloud || point_rows >= kManyRows;
}

// Bytes of device memory that a search needs beside its results.
template <class T>
size_t search_workspace(int64_t point_rows, int64_t clouds, int64_t dims, int64_t k) {
  return uses_grid(point_rows, clouds, dims, k) ? GridPlan<T>(point_rows, clouds, k).bytes() : 0;
}

template <class T, int Registers>
cudaError_t search_with_list(const SearchArguments<T>& a, cudaStream_t stream) {
  if (uses_grid(a.points.row_count, a.points.count, a.points.dims, a.k)) {
    return search_grid<T, Registers>(a, stream);
  }
  return scan<T, Registers>(a, stream);
}

// Finds the neighbours of every query. Nothing waits for the device.
template <class T>
cudaError_t search_neighbors(const SearchArguments<T>& a, cudaStream_t stream) {
  if (a.k < 1 || a.points.dims < 1 || a.points.dims != a.queries.dims ||
      a.points.count != a.queries.count || a.points.row_count > kMostRows ||
      a.queries.row_count > kMostRows) {
    return cudaErrorInvalidValue;
  }
  const cudaError_t padded = launch(padding_kernel<T>, blocks_for(a.queries.row_count, kRowThreads),
                                    dim3(kRowThreads), 0, stream, a);
  if (padded != cudaSuccess) return padded;
  if (a.k > kLargestList) return search_by_selection(a, stream);
  if (a.k > 128) return search_with_list<T, 8>(a, stream);
  if (a.k > 64) return search_with_list<T, 4>(a, stream);
  if (a.k > 32) return search_with_list<T, 2>(a, stream);
  return search_with_list<T, 1>(a, stream);
}

}  // namespace pcclust::cuda
