// Which search serves: a scan of all points, a grid for large clouds, a selection for large k.
#pragma once

#include <type_traits>

#include "cuda/grid_search.cuh"
#include "cuda/scan.cuh"
#include "cuda/select.cuh"

namespace pcclust::cuda {

constexpr int64_t kLargestList = 8 * kWarp;  // beyond, a list does not fit the registers of a warp

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

// Calls use(registers) with how many registers of a warp hold a list of k. Between 64 and 256 a
// finer choice would save some instructions of rare searches, and cost every build a minute.
template <class Use>
cudaError_t with_list(int64_t k, const Use& use) {
  if (k > 2 * kWarp) return use(std::integral_constant<int, 8>());
  if (k > kWarp) return use(std::integral_constant<int, 2>());
  return use(std::integral_constant<int, 1>());
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
  const bool grid = uses_grid(a.points.row_count, a.points.count, a.points.dims, a.k);
  return with_list(a.k, [&](auto registers) {
    return grid ? search_grid<T, registers>(a, stream) : scan<T, registers>(a, stream);
  });
}

// Compiled once, with knn, and linked by whatever else searches.
extern template cudaError_t search_neighbors(const SearchArguments<float>&, cudaStream_t);
extern template cudaError_t search_neighbors(const SearchArguments<double>&, cudaStream_t);

}  // namespace pcclust::cuda
