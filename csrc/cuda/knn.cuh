// k nearest neighbours: kernels and their launcher, on raw pointers and a stream.
//
// Three ways, chosen from what the host knows (neighbors.cuh): up to k = 256 a sorted list in the
// registers of one warp, filled by a scan of the whole cloud (scan.cuh) or through a uniform grid
// (grid_search.cuh); beyond, a selection by digits (select.cuh). Each file counts its own work. All
// of them find the same neighbours, with the same bits, in every run: keys (distance, index)
// differ, so no order of execution can be seen in the result.
#pragma once

#include <limits>

#include "cuda/neighbors.cuh"

namespace pcclust::cuda {

template <class T>
using KnnArguments = SearchArguments<T>;  // without limit and counts

// Bytes of device memory that the launcher needs.
template <class T>
size_t knn_workspace(int64_t point_rows, int64_t clouds, int64_t dims, int64_t k) {
  return search_workspace<T>(point_rows, clouds, dims, k);
}

template <class T>
cudaError_t knn(const KnnArguments<T>& arguments, cudaStream_t stream) {
  KnnArguments<T> a = arguments;
  a.limit = std::numeric_limits<T>::infinity();
  a.counts = nullptr;
  return search_neighbors(a, stream);
}

}  // namespace pcclust::cuda
