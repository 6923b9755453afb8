// What the kernels of k-means take.
#pragma once

#include <cstdint>

namespace pcclust {

template <class T>
struct KmeansAssignArguments {
  const T* points;       // (count, dims)
  int64_t count, dims;
  const T* centers;      // (center_count, dims)
  int64_t center_count;
  const T* shift;        // (dims,) taken off before coding
  const int64_t* guess;  // (count,) a center that may be the nearest, or null
  int64_t* labels;       // (count,)
  T* distances;          // (count,) squared
};

template <class T>
struct SeedArguments {
  const T* points;         // (count, dims)
  int64_t count, dims;
  const T* weights;        // (count,) or null
  const T* shift;          // (dims,) taken off before coding
  const double* uniforms;  // (steps, trials) in [0, 1): where in the distribution a trial lies
  int64_t steps, trials;   // at most 32 trials
  int64_t first_center;    // how many centers are chosen already
  int64_t* chosen;         // (steps,) points
  int64_t* labels;         // (count,) in and out: the nearest center so far
  T* distances;            // (count,) in and out: its squared distance
};

template <class T>
struct KmeansUpdateArguments {
  const T* points;        // (count, dims)
  int64_t count, dims;
  const T* weights;       // (count,) or null
  const int64_t* labels;  // (count,) in [0, clusters)
  int64_t clusters;
  double* sums;           // (clusters, dims)
  double* masses;         // (clusters,) sums of weights
};

}  // namespace pcclust
