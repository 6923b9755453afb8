// From merges in any order to SciPy's linkage rows, and from these to flat clusters.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace pcclust {

// Two clusters, each named by one of its points, and the increase of the sum of squares.
struct Merge {
  int32_t left, right;
  double cost;
};

// The root of a node, shortening the way there.
inline int64_t find_root(std::vector<int64_t>& parent, int64_t node) {
  while (parent[node] != node) node = parent[node] = parent[parent[node]];
  return node;
}

// Writes (n - 1, 4) rows: the two clusters (n + t is what row t made), height (in units of
// `scale`), points. Rows are in order of height, equal ones in order of the merges.
inline void write_linkage(std::vector<Merge>& merges, double scale, double* rows) {
  std::stable_sort(merges.begin(), merges.end(),
                   [](const Merge& a, const Merge& b) { return a.cost < b.cost; });
  const int64_t n = static_cast<int64_t>(merges.size()) + 1;
  std::vector<int64_t> parent(2 * n - 1), size(2 * n - 1, 1);
  std::iota(parent.begin(), parent.end(), int64_t{0});
  for (int64_t t = 0; t + 1 < n; ++t) {
    const int64_t left = find_root(parent, merges[t].left);
    const int64_t right = find_root(parent, merges[t].right);
    parent[left] = parent[right] = n + t;
    size[n + t] = size[left] + size[right];
    double* row = rows + 4 * t;
    row[0] = static_cast<double>(std::min(left, right));
    row[1] = static_cast<double>(std::max(left, right));
    row[2] = std::sqrt(2 * merges[t].cost) * scale;
    row[3] = static_cast<double>(size[n + t]);
  }
}

// Labels the n points of a linkage cut into `clusters`, numbered by first appearance.
inline void cut_linkage(const double* rows, int64_t n, int64_t clusters, int64_t* labels) {
  std::vector<int64_t> top(2 * n - 1), number(2 * n - 1, -1);
  std::iota(top.begin(), top.end(), int64_t{0});
  for (int64_t t = n - clusters - 1; t >= 0; --t) {
    for (int side = 0; side < 2; ++side) top[static_cast<int64_t>(rows[4 * t + side])] = top[n + t];
  }
  int64_t next = 0;
  for (int64_t i = 0; i < n; ++i) {
    int64_t& label = number[top[i]];
    if (label < 0) label = next++;
    labels[i] = label;
  }
}

}  // namespace pcclust
