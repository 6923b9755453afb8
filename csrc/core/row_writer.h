// The way of a query's neighbours into the output.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/arguments.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Writes one query's neighbours to its row of the output.
template <class T>
class RowWriter {
 public:
  RowWriter(const SearchArguments<T>& a, int64_t cloud)
      : a_(a),
        first_row_(a.queries.starts[cloud]),
        first_index_(a.packed ? a.points.starts[cloud] : 0),
        listed_(std::min(a.k, a.points.sizes[cloud])) {}

  // Rows come in the order of the tree, which is none in memory.
  void expect(int64_t query) const {
    const int64_t row = first_row_ + query;
    __builtin_prefetch(a_.distances + row * a_.k, 1);
    __builtin_prefetch(a_.indices + row * a_.k, 1);
    __builtin_prefetch(a_.indices + row * a_.k + a_.k - 1, 1);
  }

  template <class List>
  void operator()(int64_t query, const List& list) const {
    const int64_t row = first_row_ + query;
    T* distances = a_.distances + row * a_.k;
    int64_t* indices = a_.indices + row * a_.k;
    int64_t count = a_.k;
    if (listed_ == a_.k && list.full()) {
      list.write(distances, indices, first_index_);
    } else {
      count = 0;
      for (int64_t i = 0; i < listed_; ++i) {
        distances[i] = list.distance(i);
        const int64_t id = list.id(i);
        indices[i] = id < 0 ? -1 : id + first_index_;
        count += id >= 0;
      }
      std::fill(distances + listed_, distances + a_.k, std::numeric_limits<T>::infinity());
      std::fill(indices + listed_, indices + a_.k, int64_t{-1});
    }
    if (a_.counts) a_.counts[row] = count;
  }

 private:
  const SearchArguments<T>& a_;
  int64_t first_row_, first_index_;
  int64_t listed_;  // how many a list of this cloud's points holds
};

}  // namespace pcclust::inline PCCLUST_ISA
