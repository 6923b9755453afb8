// pcclust::ward_linkage and pcclust::ward_cut on the CPU; the schemas are in pcclust/ops/ward.py.
#include <cmath>
#include <limits>
#include <vector>

#include "core/dendrogram.h"
#include "core/kernels.h"
#include "ops/tensors.h"

namespace pcclust {
namespace {

// A row for which a padded cloud has no merge: as a missing neighbour, index -1 and distance inf.
constexpr double kNoMerge[4] = {-1, -1, std::numeric_limits<double>::infinity(), 0};

// Raises where a cloud is empty: cloud c's rows of the linkage begin at its first point less c.
template <class T>
void check_not_empty(const Clouds<T>& clouds) {
  for (int64_t cloud = 0; cloud < clouds.count; ++cloud) {
    STD_TORCH_CHECK(clouds.sizes[cloud] >= 1, "cloud ", cloud, " is empty");
  }
}

Tensor ward_linkage(Tensor points, Tensor starts, Tensor sizes) {
  const int64_t rows = points.size(0) - starts.numel();
  STD_TORCH_CHECK(rows >= 0, "there are more clouds than points");
  Tensor linkage = torch::stable::new_empty(points, {rows, 4}, ScalarType::Double);
  double* to = linkage.mutable_data_ptr<double>();
  with_floating(points, [&](auto zero) {
    using T = decltype(zero);
    const WardArguments<T> a{points_of<T>(points, starts, sizes), to};
    check_not_empty(a.points);
    if (covered_rows(a.points) < points.size(0)) {
      for (int64_t i = 0; i < 4 * rows; ++i) to[i] = kNoMerge[i % 4];
    }
    kernels_of<T>().ward(a, torch_threads());
  });
  return linkage;
}

// Raises unless every row merges two clusters that are there by then.
void check_linkage(const double* rows, int64_t n) {
  std::vector<bool> merged(2 * n - 1);
  for (int64_t t = 0; t + 1 < n; ++t) {
    for (int side = 0; side < 2; ++side) {
      const double cluster = rows[4 * t + side];
      const bool there = cluster >= 0 && cluster < static_cast<double>(n + t) &&
                         cluster == std::floor(cluster) && !merged[static_cast<int64_t>(cluster)];
      STD_TORCH_CHECK(there, "row ", t, " of a linkage merges cluster ", cluster,
                      ", which is not there");
      merged[static_cast<int64_t>(cluster)] = true;
    }
  }
}

Tensor ward_cut(Tensor linkage, Tensor starts, Tensor sizes, std::vector<int64_t> num_clusters) {
  STD_TORCH_CHECK(linkage.dim() == 2 && linkage.size(1) == 4 && linkage.is_contiguous() && linkage.is_cpu() &&
                      linkage.scalar_type() == ScalarType::Double,
                  "linkage must be contiguous float64 (R, 4)");
  const int64_t rows = linkage.size(0) + starts.numel();
  const int64_t levels = static_cast<int64_t>(num_clusters.size());
  // Stands for the points, whose clouds are checked like any others.
  const Tensor points = torch::stable::new_empty(linkage, {rows, 0});
  const Clouds<double> clouds = clouds_of<double>(points, starts, sizes);
  check_not_empty(clouds);
  Tensor labels = torch::stable::new_empty(linkage, {levels, rows}, ScalarType::Long);
  if (covered_rows(clouds) < rows) torch::stable::fill_(labels, -1);
  int64_t* to = labels.mutable_data_ptr<int64_t>();
  for (int64_t cloud = 0; cloud < clouds.count; ++cloud) {
    const int64_t start = clouds.starts[cloud], size = clouds.sizes[cloud];
    const double* merges = linkage.const_data_ptr<double>() + 4 * (start - cloud);
    check_linkage(merges, size);
    for (int64_t level = 0; level < levels; ++level) {
      const int64_t clusters = num_clusters[level];
      STD_TORCH_CHECK(clusters >= 1 && clusters <= size, "num_clusters=", clusters,
                      " is not between 1 and the ", size, " points of cloud ", cloud);
      cut_linkage(merges, size, clusters, to + level * rows + start);
    }
  }
  return labels;
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("ward_linkage", TORCH_BOX(&pcclust::ward_linkage));
  m.impl("ward_cut", TORCH_BOX(&pcclust::ward_cut));
}
