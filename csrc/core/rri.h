// Rotation-invariant features of every neighbourhood, computed while its neighbours are at hand.
//
// pcclust/ops/rri.py defines them and its torch twin is the reference. Floats whose neighbours all
// have an azimuth, and these well apart, go sixteen neighbours at a time, with links or, faster,
// without; all else is sorted.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "core/angle.h"
#include "core/arguments.h"
#include "core/azimuth_order.h"
#include "core/buffer.h"
#include "core/neighbor_search.h"
#include "core/rri_cloud.h"
#include "core/rri_lanes.h"
#include "core/rri_link_lanes.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Writes the features of one point, and its successors where asked for, whatever its neighbourhood.
// In double, so that rounding does not part azimuths that are equal.
template <class T, class List>
void rri_by_sorting(const RriCloud<T>& cloud, int64_t point, const List& list, int64_t k,
                    T* features, int64_t* successors) {
  static thread_local AzimuthOrder order;
  order.start(static_cast<T>(RriTolerance<T>::azimuth));
  const Placed<T>& center = cloud.placed()[point];
  const bool placed = cloud.has_direction(center.radius);
  double axis[3], u[3], v[3];
  const double radius = cloud.direction(center, axis);
  complete_frame(axis, u, v);
  for (int64_t column = 0; column < k; ++column) {
    const Placed<T>& neighbor = cloud.placed()[list.id(column)];
    double edge[3];
    for (int i = 0; i < 3; ++i) {
      edge[i] = static_cast<double>(neighbor.coordinate[i]) - center.coordinate[i];
    }
    const bool seen = placed && cloud.has_direction(neighbor.radius);
    const double x = dot(u, edge), y = dot(v, edge), sine = std::sqrt(x * x + y * y);
    T* row = features + 4 * column;
    row[0] = cloud.length(center.radius);
    row[1] = cloud.length(neighbor.radius);
    row[2] = seen ? static_cast<T>(std::atan2(sine, radius + dot(axis, edge))) : 0;
    row[3] = 0;
    if (successors) successors[column] = -1;
    if (!seen || !(sine > static_cast<T>(RriTolerance<T>::direction) * neighbor.radius)) continue;
    const double azimuth = std::atan2(y, x);
    order.add(azimuth < 0 ? azimuth + kTurn : azimuth, column);
  }
  order.each_gap([&](int64_t column, double gap, int64_t successor) {
    features[4 * column + 3] = static_cast<T>(gap);
    if (successors) successors[column] = successor;
  });
}

// Turns a query's neighbours into its features.
template <class T>
class RriWriter {
 public:
  RriWriter(const RriArguments<T>& a, int64_t cloud)
      : a_(a),
        first_row_(a.clouds.starts[cloud]),
        cloud_(a.clouds.rows + 3 * a.clouds.starts[cloud], a.clouds.sizes[cloud],
               a.centers ? a.centers + 3 * cloud : nullptr) {}

  void expect(int64_t query) const {
    const T* features = a_.features + 4 * a_.k * (first_row_ + query);
    for (int64_t i = 0; i < 4 * a_.k; i += 64 / sizeof(T)) __builtin_prefetch(features + i, 1);
  }

  template <class List>
  void operator()(int64_t query, const List& list) const {
    const int64_t row = first_row_ + query, k = a_.k;
    T* features = a_.features + 4 * k * row;
    int64_t* successors = a_.neighbors ? a_.successors + row * k : nullptr;
    for (int64_t i = 0; a_.neighbors && i < k; ++i) a_.neighbors[row * k + i] = list.id(i);
    if constexpr (std::is_same_v<T, float>) {
      const int few = static_cast<int>(std::min<int64_t>(k, 65));
      const bool done = successors
                            ? rri_links_by_lanes(cloud_, query, list, few, features, successors)
                            : rri_by_lanes(cloud_, query, list, few, features);
      if (done) return;
    }
    rri_by_sorting(cloud_, query, list, k, features, successors);
  }

 private:
  const RriArguments<T>& a_;
  int64_t first_row_;
  RriCloud<T> cloud_;
};

template <class T>
void compute_rri(const RriArguments<T>& a, const Threads& threads) {
  const SearchArguments<T> search{.points = a.clouds,
                                  .queries = a.clouds,
                                  .self = true,
                                  .exclude_self = true,
                                  .packed = false,
                                  .k = a.k,
                                  .limit = std::numeric_limits<T>::infinity(),
                                  .distances = nullptr,
                                  .indices = nullptr,
                                  .counts = nullptr};
  search_clouds(search, threads, [&](int64_t cloud) { return RriWriter<T>(a, cloud); });
}

}  // namespace pcclust::inline PCCLUST_ISA
