// All neighbours within a radius, nearest first: kernels and their launcher.
//
// A ball query is a kNN search that begins with a bound: the squared radius instead of infinity
// (neighbors.cuh chooses among the ways, scan.cuh and grid_search.cuh count their work). The bound
// only ever helps: a scan appends nothing beyond it, and a grid visits no cell beyond it.
#pragma once

#include "cuda/neighbors.cuh"

namespace pcclust::cuda {

template <class T>
using BallQueryArguments = SearchArguments<T>;  // with limit, the squared radius, and counts

// Bytes of device memory that the launcher needs.
template <class T>
size_t ball_query_workspace(int64_t point_rows, int64_t clouds, int64_t dims,
                            int64_t max_neighbors) {
  return search_workspace<T>(point_rows, clouds, dims, max_neighbors);
}

template <class T>
cudaError_t ball_query(const BallQueryArguments<T>& a, cudaStream_t stream) {
  if (!(a.limit >= 0) || a.counts == nullptr) return cudaErrorInvalidValue;
  return search_neighbors(a, stream);
}

}  // namespace pcclust::cuda
