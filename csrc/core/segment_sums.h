// What the maxima of segments give to the scale and shift before them: one number of each segment
// and channel, wherever it lies.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/channels.h"
#include "core/parallel.h"
#include "core/segment_pool.h"
#include "core/segments.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
void sum_maxima(const SegmentSumsArguments<T>& a, int64_t segment, double* sums) {
  for (int64_t c = 0; c < a.channels; ++c) {
    const int64_t at = segment * a.channels + c, place = a.starts[segment] + a.argmax[at];
    if (a.argmax[at] < 0) continue;
    const T z = a.values[(a.members ? a.members[place] : place) * a.channels + c];
    const T own = multiply_add(z, a.scale[c], a.shift[c]) > 0 ? a.to_maxima[at]
                                                              : a.to_maxima[at] * a.slope;
    sums[c] += static_cast<double>(own) * z;
    sums[a.channels + c] += own;
  }
}

// The same of few rows, which are gone through a vector at a time rather than jumped to.
template <class V, class T>
PCCLUST_INLINE void sum_few(const SegmentSumsArguments<T>& a, int64_t segment, int64_t channel,
                            double* sums) {
  using C = Channels<V>;
  const int64_t of = segment * a.channels + channel, first = a.starts[segment];
  const auto argmax = C::wide(load<typename C::Position>(a.argmax + of));
  V z{};
  for (int64_t i = 0; i < a.sizes[segment]; ++i) {
    const int64_t row = a.members ? a.members[first + i] : first + i;
    z = where(equal(argmax, C::fill(i)), load<V>(a.values + row * a.channels + channel), z);
  }
  const V x = multiply_add(z, load<V>(a.scale + channel), load<V>(a.shift + channel));
  const V pull = where(less(argmax, C::fill(0)), V{}, load<V>(a.to_maxima + of));
  const V own = where(less(V{}, x), pull, pull * a.slope);
  using Total = typename C::Total;
  store(sums + channel, load<Total>(sums + channel) + C::widen(own) * C::widen(z));
  add_in_double(sums + a.channels + channel, own);
}

template <class T>
void sum_segment(const SegmentSumsArguments<T>& a, int64_t segment, double* sums) {
  if (a.sizes[segment] > kRowsInFloat) return sum_maxima(a, segment, sums);
  for_each_channels<T>(a.channels, [&]<class V>(V, int64_t channel) {
    sum_few<V>(a, segment, channel, sums);
  });
}

// Sums are those of tasks, in the same order for any number of threads.
template <class T>
void segment_sums(const SegmentSumsArguments<T>& a, const Threads& threads) {
  const std::vector<Piece> pieces = cut_segments(a.starts, a.sizes, a.segments);
  const std::vector<int64_t> firsts = cut_tasks(pieces);
  const int64_t tasks = pieces.empty() ? 0 : static_cast<int64_t>(firsts.size()) - 1;
  const int64_t width = 2 * a.channels;
  Buffer<double> partial(tasks * width);
  for_each_task(threads, tasks, [&](int64_t task) {
    double* sums = partial.data() + task * width;
    std::fill_n(sums, width, 0.0);
    for (int64_t i = firsts[task]; i < firsts[task + 1]; ++i) {
      if (i + 1 < firsts[task + 1]) fetch_piece(a.values, a.members, a.channels, pieces[i + 1]);
      if (pieces[i].begin == a.starts[pieces[i].segment]) sum_segment(a, pieces[i].segment, sums);
    }
  });
  std::fill_n(a.sums, width, 0.0);
  for (int64_t task = 0; task < tasks; ++task) {
    for (int64_t i = 0; i < width; ++i) a.sums[i] += partial[task * width + i];
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
