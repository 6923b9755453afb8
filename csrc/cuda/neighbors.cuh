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
// clouds get a grid, and so do many rows: one large cloud among many small ones must not be
// scanned.
constexpr int64_t kLargeCloud = 4096;
constexpr int64_t kManyRows = int64_t{1} << 18;

enum class Way { scan, grid, select };

inline Way best_way(int64_t point_rows, int64_t clouds, int64_t dims, int64_t k) {
  if (k > kLargestList) return Way::select;
  if (dims > 3 || clouds == 0) return Way::scan;
  const bool large = point_rows / clouds >= kLargeCloud || point_rows >= kManyRows;
  return large ? Way::grid : Way::scan;
}

// Bytes of device memory that a search needs beside its results.
template <class T>
size_t search_workspace(int64_t point_rows, int64_t clouds, int64_t dims, int64_t k) {
  if (best_way(point_rows, clouds, dims, k) != Way::grid) return 0;
  return GridPlan<T>(point_rows, clouds, k).bytes();
}

// Calls use(registers) with how many registers of a warp hold a list of k. Between 64 and 256 a
// finer choice would save some instructions of rare searches, and cost every build a minute.
template <class Use>
cudaError_t with_list(int64_t k, const Use& use) {
  if (k > 2 * kWarp) return use(std::integral_constant<int, 8>());
  if (k > kWarp) return use(std::integral_constant<int, 2>());
  return use(std::integral_constant<int, 1>());
}

// Searches one way: a grid for up to three dimensions, lists for a k of up to kLargestList.
template <class T>
cudaError_t search_by(Way way, const SearchArguments<T>& a, cudaStream_t stream) {
  const cudaError_t padded = launch(padding_kernel<T>, blocks_for(a.queries.row_count, kRowThreads),
                                    dim3(kRowThreads), 0, stream, a);
  if (padded != cudaSuccess) return padded;
  if (way == Way::select) return search_by_selection(a, stream);
  return with_list(a.k, [&](auto registers) {
    return way == Way::grid ? search_grid<T, registers>(a, stream) : scan<T, registers>(a, stream);
  });
}

// Compiled once, with knn, and linked by whatever else searches.
extern template cudaError_t search_by(Way, const SearchArguments<float>&, cudaStream_t);
extern template cudaError_t search_by(Way, const SearchArguments<double>&, cudaStream_t);

// Finds the neighbours of every query. Nothing waits for the device.
template <class T>
cudaError_t search_neighbors(const SearchArguments<T>& a, cudaStream_t stream) {
  const Clouds<T>&points = a.points, &queries = a.queries;
  if (a.k < 1 || points.dims < 1 || points.dims != queries.dims || points.count != queries.count ||
      points.row_count > kMostRows || queries.row_count > kMostRows) {
    return cudaErrorInvalidValue;
  }
  return search_by(best_way(points.row_count, points.count, points.dims, a.k), a, stream);
}

}  // namespace pcclust::cuda
