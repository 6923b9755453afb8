// The table of kernels of one instruction set, and the choice among them.
#pragma once

#include <cstddef>
#include <type_traits>

#include "core/arguments.h"
#include "core/kmeans_arguments.h"
#include "core/parallel.h"

namespace pcclust {

template <class T>
struct KernelsOf {
  void (*search)(const SearchArguments<T>&, const Threads&);
  void (*build_index)(const Clouds<T>&, std::byte*, const Threads&);
  bool (*search_index)(const SearchArguments<T>&, const std::byte*, const Threads&);
  void (*rri)(const RriArguments<T>&, const Threads&);
  void (*farthest_points)(const FarthestPointArguments<T>&, const Threads&);
  void (*ward)(const WardArguments<T>&, const Threads&);
  void (*edge_reduce)(const EdgeReduceArguments<T>&, const Threads&);
  void (*edge_reduce_backward)(const EdgeReduceBackwardArguments<T>&, const Threads&);
  void (*group_moments)(const GroupMomentsArguments<T>&, const Threads&);
  void (*group_moments_backward)(const GroupMomentsBackwardArguments<T>&, const Threads&);
  void (*group_max)(const GroupMaxArguments<T>&, const Threads&);
  void (*group_max_backward)(const GroupMaxBackwardArguments<T>&, const Threads&);
  void (*row_layer)(const RowLayerArguments<T>&, const Threads&);
  void (*linear_pool)(const LinearPoolArguments<T>&, const Threads&);
  void (*edge_layer)(const EdgeLayerArguments<T>&, const Threads&);
  void (*row_moments)(const RowMomentsArguments<T>&, const Threads&);
  void (*segment_pool)(const SegmentPoolArguments<T>&, const Threads&);
  void (*scaled_leaky)(const ScaledLeakyArguments<T>&, const Threads&);
  void (*scaled_leaky_backward)(const ScaledLeakyBackwardArguments<T>&, const Threads&);
  void (*segment_sums)(const SegmentSumsArguments<T>&, const Threads&);
  void (*segment_pull)(const SegmentPullArguments<T>&, const Threads&);
  void (*kmeans_assign)(const KmeansAssignArguments<T>&, const Threads&);
  void (*greedy_seeds)(const SeedArguments<T>&, const Threads&);
  void (*sum_clusters)(const KmeansUpdateArguments<T>&, const Threads&);
};

struct Kernels {
  const char* name;
  KernelsOf<float> f32;
  KernelsOf<double> f64;
};

// The best that this processor runs; PCCLUST_ISA=baseline|avx2|avx512|avx512vnni|avx512bf16 in the environment
// lowers it.
const Kernels& kernels();

template <class T>
const KernelsOf<T>& kernels_of() {
  if constexpr (std::is_same_v<T, float>) return kernels().f32;
  else return kernels().f64;
}

}  // namespace pcclust
