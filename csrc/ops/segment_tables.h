// Segments of rows, listed or as they lie, checked: kernels do not look.
#pragma once

#include <optional>
#include <vector>

#include "ops/tensors.h"

namespace pcclust {

struct Segments {
  const int64_t* members;
  const int64_t* starts;
  const int64_t* sizes;
  int64_t count;
  int64_t covered;  // rows, or members, in some segment
};

// Raises unless members are rows and segments lie inside of them, one behind the other.
inline Segments segments_of(const std::optional<Tensor>& members, const Tensor& starts,
                            const Tensor& sizes, int64_t rows) {
  int64_t listed = rows;
  if (members) {
    listed = members->numel();
    STD_TORCH_CHECK(members->dim() == 1 && members->is_contiguous() && members->is_cpu() &&
                        members->scalar_type() == ScalarType::Long,
                    "members must be a contiguous vector of int64 on the CPU");
    const int64_t* values = members->const_data_ptr<int64_t>();
    bool valid = true;
    for (int64_t i = 0; i < listed; ++i) {
      valid &= static_cast<uint64_t>(values[i]) < static_cast<uint64_t>(rows);
    }
    STD_TORCH_CHECK(valid, "members hold rows that there are not");
  }
  const Clouds<int64_t> runs =
      clouds_in(data_or_null<int64_t>(members), listed, 1, starts, sizes);
  return {runs.rows, runs.starts, runs.sizes, runs.count, covered_rows(runs)};
}

// Raises where a row is listed twice.
inline void check_listed_once(const Segments& segments, int64_t rows) {
  if (!segments.members) return;
  std::vector<char> seen(rows);
  bool once = true;
  for (int64_t segment = 0; segment < segments.count; ++segment) {
    const int64_t* members = segments.members + segments.starts[segment];
    for (int64_t i = 0; i < segments.sizes[segment]; ++i) {
      once &= !seen[members[i]];
      seen[members[i]] = 1;
    }
  }
  STD_TORCH_CHECK(once, "members hold a row twice");
}

}  // namespace pcclust
