// What the kernels take: plain pointers and sizes, the same for every instruction set.
#pragma once

#include <cstdint>

namespace pcclust {

// Rows of coordinates that belong to one or many clouds.
template <class T>
struct Clouds {
  const T* rows;          // (rows, dims)
  int64_t dims;
  const int64_t* starts;  // (count,) first row of each cloud
  const int64_t* sizes;   // (count,) points of each cloud
  int64_t count;
};

// Up to k nearest points of each query within a squared distance.
template <class T>
struct SearchArguments {
  Clouds<T> points;
  Clouds<T> queries;  // the same rows as points where `self`
  bool self;
  bool exclude_self;
  bool packed;  // indices count rows of all clouds instead of points of one
  int64_t k;
  T limit;             // squared distance up to which points count; inf for kNN
  T* distances;        // (queries, k)
  int64_t* indices;    // (queries, k)
  int64_t* counts;     // (queries,) or null
};

}  // namespace pcclust
