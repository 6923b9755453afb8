// The table of kernels of one instruction set, and the choice among them.
#pragma once

#include <vector>

#include "core/arguments.h"
#include "core/kmeans_arguments.h"
#include "core/parallel.h"
#include "core/tree.h"

namespace pcclust {

struct Kernels {
  const char* name;
  void (*search_f32)(const SearchArguments<float>&, const Threads&);
  void (*search_f64)(const SearchArguments<double>&, const Threads&);
  void (*build_index_f32)(const Clouds<float>&, std::vector<Tree<float>>&, const Threads&);
  void (*build_index_f64)(const Clouds<double>&, std::vector<Tree<double>>&, const Threads&);
  void (*search_index_f32)(const SearchArguments<float>&, const std::vector<Tree<float>>&,
                           const Threads&);
  void (*search_index_f64)(const SearchArguments<double>&, const std::vector<Tree<double>>&,
                           const Threads&);
  void (*rri_f32)(const RriArguments<float>&, const Threads&);
  void (*rri_f64)(const RriArguments<double>&, const Threads&);
  void (*farthest_points_f32)(const FarthestPointArguments<float>&, const Threads&);
  void (*farthest_points_f64)(const FarthestPointArguments<double>&, const Threads&);
  void (*ward_f32)(const WardArguments<float>&, const Threads&);
  void (*ward_f64)(const WardArguments<double>&, const Threads&);
  void (*edge_reduce_f32)(const EdgeReduceArguments<float>&, const Threads&);
  void (*edge_reduce_f64)(const EdgeReduceArguments<double>&, const Threads&);
  void (*edge_reduce_backward_f32)(const EdgeReduceBackwardArguments<float>&, const Threads&);
  void (*edge_reduce_backward_f64)(const EdgeReduceBackwardArguments<double>&, const Threads&);
  void (*nearest_centers_f32)(const NearestCenterArguments<float>&, const Threads&);
  void (*nearest_centers_f64)(const NearestCenterArguments<double>&, const Threads&);
  void (*greedy_seeds_f32)(const SeedArguments<float>&, const Threads&);
  void (*greedy_seeds_f64)(const SeedArguments<double>&, const Threads&);
  void (*sum_clusters_f32)(const ClusterSumsArguments<float>&, const Threads&);
  void (*sum_clusters_f64)(const ClusterSumsArguments<double>&, const Threads&);
};

// The best that this processor runs; PCCLUST_ISA=baseline|avx2|avx512|avx512vnni in the environment
// lowers it.
const Kernels& kernels();

inline void search(const SearchArguments<float>& a, const Threads& t) { kernels().search_f32(a, t); }
inline void search(const SearchArguments<double>& a, const Threads& t) { kernels().search_f64(a, t); }

inline void build_index(const Clouds<float>& clouds, std::vector<Tree<float>>& trees,
                        const Threads& t) {
  kernels().build_index_f32(clouds, trees, t);
}
inline void build_index(const Clouds<double>& clouds, std::vector<Tree<double>>& trees,
                        const Threads& t) {
  kernels().build_index_f64(clouds, trees, t);
}
inline void search_index(const SearchArguments<float>& a, const std::vector<Tree<float>>& trees,
                         const Threads& t) {
  kernels().search_index_f32(a, trees, t);
}
inline void search_index(const SearchArguments<double>& a, const std::vector<Tree<double>>& trees,
                         const Threads& t) {
  kernels().search_index_f64(a, trees, t);
}

inline void rri(const RriArguments<float>& a, const Threads& t) { kernels().rri_f32(a, t); }
inline void rri(const RriArguments<double>& a, const Threads& t) { kernels().rri_f64(a, t); }

inline void farthest_points(const FarthestPointArguments<float>& a, const Threads& t) {
  kernels().farthest_points_f32(a, t);
}
inline void farthest_points(const FarthestPointArguments<double>& a, const Threads& t) {
  kernels().farthest_points_f64(a, t);
}

inline void ward(const WardArguments<float>& a, const Threads& t) { kernels().ward_f32(a, t); }
inline void ward(const WardArguments<double>& a, const Threads& t) { kernels().ward_f64(a, t); }

inline void edge_reduce(const EdgeReduceArguments<float>& a, const Threads& t) {
  kernels().edge_reduce_f32(a, t);
}
inline void edge_reduce(const EdgeReduceArguments<double>& a, const Threads& t) {
  kernels().edge_reduce_f64(a, t);
}
inline void edge_reduce_backward(const EdgeReduceBackwardArguments<float>& a, const Threads& t) {
  kernels().edge_reduce_backward_f32(a, t);
}
inline void edge_reduce_backward(const EdgeReduceBackwardArguments<double>& a, const Threads& t) {
  kernels().edge_reduce_backward_f64(a, t);
}

inline void nearest_centers(const NearestCenterArguments<float>& a, const Threads& t) {
  kernels().nearest_centers_f32(a, t);
}
inline void nearest_centers(const NearestCenterArguments<double>& a, const Threads& t) {
  kernels().nearest_centers_f64(a, t);
}
inline void greedy_seeds(const SeedArguments<float>& a, const Threads& t) {
  kernels().greedy_seeds_f32(a, t);
}
inline void greedy_seeds(const SeedArguments<double>& a, const Threads& t) {
  kernels().greedy_seeds_f64(a, t);
}
inline void sum_clusters(const ClusterSumsArguments<float>& a, const Threads& t) {
  kernels().sum_clusters_f32(a, t);
}
inline void sum_clusters(const ClusterSumsArguments<double>& a, const Threads& t) {
  kernels().sum_clusters_f64(a, t);
}

}  // namespace pcclust
