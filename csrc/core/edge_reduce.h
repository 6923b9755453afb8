// The reductions of an EdgeConv over edges that are never stored.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/channels.h"
#include "core/parallel.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Rows [begin, end) of a cloud whose first row is `start`.
struct EdgeRows {
  int64_t start, begin, end;
};

// Puts the edge of the first NaN among a row's keys, v · sign, in the place of the largest.
template <class V, class T>
__attribute__((noinline, cold)) void take_first_nans(const EdgeReduceArguments<T>& a, EdgeRows rows,
                                                     int64_t channel) {
  using C = Channels<V>;
  const EdgeArguments<T>& e = a.edges;
  const T* values = e.projected + (2 * rows.start + 1) * e.channels + channel;
  const V sign = load<V>(a.sign + channel);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t at = row * e.channels + channel;
    const V u = load<V>(e.projected + row * 2 * e.channels + channel);
    V best = load<V>(a.maxima + at);
    auto argmax = C::wide(load<typename C::Position>(a.argmax + at));
    for (int64_t j = e.k; j-- > 0;) {
      const int64_t near = e.neighbors[row * e.k + j];
      const V v = load<V>(values + near * 2 * e.channels), key = v * sign;
      const auto nan = key != key;
      best = nan ? u + v : best;
      argmax = nan ? C::fill(near) : argmax;
    }
    store(a.maxima + at, best);
    store(a.argmax + at, C::narrow(argmax));
  }
}

// Reduces the edges of some rows in the channels from `channel` on.
template <class V, class T>
void reduce_rows(const EdgeReduceArguments<T>& a, EdgeRows rows, int64_t channel, double* moments) {
  using C = Channels<V>;
  const EdgeArguments<T>& e = a.edges;
  const int64_t stride = 2 * e.channels;
  const T* values = e.projected + rows.start * stride + e.channels + channel;
  const V sign = load<V>(a.sign + channel);
  typename C::Total total{}, total_square{};
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t* near = e.neighbors + row * e.k;
    const V u = load<V>(e.projected + row * stride + channel);
    V best = load<V>(values + near[0] * stride);
    V key = best * sign;
    typename C::Mask argmax = C::fill(near[0]);
    V sum = u + best, square = sum * sum;
    for (int64_t j = 1; j < e.k; ++j) {
      const V v = load<V>(values + near[j] * stride);
      const V candidate = v * sign, edge = u + v;
      const auto better = candidate > key;
      key = better ? candidate : key;
      best = better ? v : best;
      argmax = better ? C::fill(near[j]) : argmax;
      sum += edge;
      square += edge * edge;
    }
    store(a.maxima + row * e.channels + channel, u + best);
    store(a.argmax + row * e.channels + channel, C::narrow(argmax));
    total += C::widen(sum);
    total_square += C::widen(square);
  }
  // A key is NaN only where a sum or a sign is not finite.
  if (C::any_nan(C::shorten(total - total) + (sign - sign))) take_first_nans<V>(a, rows, channel);
  if (!moments) return;
  store(moments + channel, total);
  store(moments + e.channels + channel, total_square);
}

// Cuts all clouds into blocks of rows, the same for any number of threads: so are the sums.
inline std::vector<EdgeRows> edge_blocks(const int64_t* starts, const int64_t* sizes,
                                         int64_t clouds) {
  int64_t rows = 0;
  for (int64_t cloud = 0; cloud < clouds; ++cloud) rows += sizes[cloud];
  const int64_t block = std::max<int64_t>(64, rows / 512);
  std::vector<EdgeRows> blocks;
  for (int64_t cloud = 0; cloud < clouds; ++cloud) {
    const int64_t start = starts[cloud], end = start + sizes[cloud];
    for (int64_t begin = start; begin < end; begin += block) {
      blocks.push_back({start, begin, std::min(end, begin + block)});
    }
  }
  return blocks;
}

template <class T>
void reduce_edges(const EdgeReduceArguments<T>& a, const Threads& threads) {
  const EdgeArguments<T>& e = a.edges;
  const std::vector<EdgeRows> blocks = edge_blocks(e.starts, e.sizes, e.clouds);
  const int64_t width = 2 * e.channels, count = static_cast<int64_t>(blocks.size());
  Buffer<double> partial(a.moments ? count * width : 0);
  for_each_task(threads, count, [&](int64_t block) {
    double* moments = a.moments ? partial.data() + block * width : nullptr;
    for_each_channels<T>(e.channels, [&]<class V>(V, int64_t channel) {
      reduce_rows<V>(a, blocks[block], channel, moments);
    });
  });
  if (!a.moments) return;
  std::fill(a.moments, a.moments + width, 0.0);
  for (int64_t block = 0; block < count; ++block) {
    for (int64_t i = 0; i < width; ++i) a.moments[i] += partial[block * width + i];
  }
}

// Adds to each edge's two ends the gradient of the moments, first + 2·second·(u + v), and returns
// what is left to add to u_i.
template <class V, class T>
PCCLUST_INLINE V spread_moments(const EdgeArguments<T>& e, const int64_t* near, const T* values, V u,
                                V first, V twice_second, T* pull) {
  constexpr int lanes = Channels<V>::count;
  const V common = first + twice_second * u;
  V sum{};
  for (int64_t j = 0; j < e.k; ++j) {
    const V edge = common + twice_second * load<V>(values + near[j] * 2 * e.channels);
    T* at = pull + near[j] * lanes;
    store(at, load<V>(at) + edge);
    sum += edge;
  }
  return sum;
}

// The gradient of one cloud in the channels from `channel` on. `pull` collects that of v: one thread
// owns it and visits the edges in order, so the sum is the same for any number of threads.
template <class V, class T>
void reduce_cloud_backward(const EdgeReduceBackwardArguments<T>& a, int64_t cloud, int64_t channel) {
  using C = Channels<V>;
  const EdgeArguments<T>& e = a.edges;
  const int64_t stride = 2 * e.channels, start = e.starts[cloud], size = e.sizes[cloud];
  const T* values = e.projected + start * stride + e.channels + channel;
  Buffer<T> pull(size * C::count);
  std::fill(pull.data(), pull.data() + size * C::count, T(0));
  T first[C::count] = {}, twice_second[C::count] = {};
  for (int lane = 0; a.moment_gradient && lane < C::count; ++lane) {
    first[lane] = static_cast<T>(a.moment_gradient[channel + lane]);
    twice_second[lane] = static_cast<T>(2 * a.moment_gradient[e.channels + channel + lane]);
  }
  for (int64_t row = start; row < start + size; ++row) {
    V gradient = load<V>(a.max_gradient + row * e.channels + channel);
    T each[C::count];
    store(each, gradient);
    for (int lane = 0; lane < C::count; ++lane) {
      const int32_t argmax = a.argmax[row * e.channels + channel + lane];
      pull[argmax * C::count + lane] += each[lane];
    }
    if (a.moment_gradient) {
      gradient += spread_moments<V>(e, e.neighbors + row * e.k, values,
                                    load<V>(e.projected + row * stride + channel),
                                    load<V>(first), load<V>(twice_second), pull.data());
    }
    store(a.gradient + row * stride + channel, gradient);
  }
  for (int64_t i = 0; i < size; ++i) {
    T* to = a.gradient + (start + i) * stride + e.channels + channel;
    store(to, load<V>(pull.data() + i * C::count));
  }
}

template <class T>
void reduce_edges_backward(const EdgeReduceBackwardArguments<T>& a, const Threads& threads) {
  const int64_t lanes = Vector<T>::lanes, channels = a.edges.channels;
  const int64_t groups = channels / lanes + channels % lanes;
  for_each_task(threads, a.edges.clouds * groups, [&](int64_t task) {
    const int64_t cloud = task / groups, group = task % groups, full = channels / lanes;
    if (group < full) {
      reduce_cloud_backward<typename Vector<T>::Type>(a, cloud, group * lanes);
    } else {
      reduce_cloud_backward<T>(a, cloud, full * lanes + group - full);
    }
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
