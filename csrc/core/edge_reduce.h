// The reductions of an EdgeConv over edges that are never stored.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
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
      const auto number = equal(key, key);
      best = where(number, best, u + v);
      argmax = where(number, argmax, C::fill(near));
    }
    store(a.maxima + at, best);
    store(a.argmax + at, C::narrow(argmax));
  }
}

// Vectors of channels that are worked on at once: a neighbour's lie side by side in memory, and all
// sums stay in the registers.
#if defined(PCCLUST_HAS_AVX512)
constexpr int kEdgeVectors = 4;
#else
constexpr int kEdgeVectors = 2;
#endif

// Calls use.operator()<V, N>(channel) for runs of N vectors of channels, single ones, and numbers.
template <class T, class Use>
PCCLUST_INLINE void for_each_run(int64_t channels, const Use& use) {
  using V = typename Vector<T>::Type;
  constexpr int64_t lanes = Vector<T>::lanes;
  int64_t channel = 0;
  for (; channel + kEdgeVectors * lanes <= channels; channel += kEdgeVectors * lanes) {
    use.template operator()<V, kEdgeVectors>(channel);
  }
  for (; channel + lanes <= channels; channel += lanes) use.template operator()<V, 1>(channel);
  for (; channel < channels; ++channel) use.template operator()<T, 1>(channel);
}

constexpr int64_t kRowsAhead = 8;

// Asks for W numbers that will be wanted soon: a few of each row, so that the processor does not
// foresee it.
template <int W, class T>
PCCLUST_INLINE void fetch(const T* from) {
  for (int i = 0; i < W; i += 64 / static_cast<int>(sizeof(T))) __builtin_prefetch(from + i);
}

// Copies v of a cloud in some channels, so that what is gathered lies close together: rows as they
// are would share few places of the cache.
template <int W, class T>
void take_values(const EdgeArguments<T>& e, int64_t start, int64_t size, int64_t channel, T* values) {
  const T* from = e.projected + (2 * start + 1) * e.channels + channel;
  for (int64_t row = 0; row < size; ++row) {
    fetch<W>(from + (row + 2 * kRowsAhead) * 2 * e.channels);
    std::memcpy(values + row * W, from + row * 2 * e.channels, W * sizeof(T));
  }
}

// Reduces the edges of some rows in the channels from `channel` on, of which `values` are v.
template <class V, int N, class T>
void reduce_rows(const EdgeReduceArguments<T>& a, EdgeRows rows, int64_t channel, const T* values,
                 double* moments) {
  using C = Channels<V>;
  const EdgeArguments<T>& e = a.edges;
  constexpr int lanes = C::count;
  V sign[N];
  typename C::Total total[N] = {}, total_square[N] = {};
  for (int n = 0; n < N; ++n) sign[n] = load<V>(a.sign + channel + n * lanes);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t* near = e.neighbors + row * e.k;
    fetch<N * lanes>(e.projected + (row + kRowsAhead) * 2 * e.channels + channel);
    V u[N], best[N], key[N], sum[N], square[N];
    typename C::Mask argmax[N];
    for (int n = 0; n < N; ++n) {
      u[n] = load<V>(e.projected + row * 2 * e.channels + channel + n * lanes);
      best[n] = load<V>(values + near[0] * N * lanes + n * lanes);
      key[n] = best[n] * sign[n];
      argmax[n] = C::fill(near[0]);
      sum[n] = u[n] + best[n];
      square[n] = sum[n] * sum[n];
    }
    for (int64_t j = 1; j < e.k; ++j) {
      const T* from = values + near[j] * N * lanes;
      const auto position = C::fill(near[j]);
      for (int n = 0; n < N; ++n) {
        const V v = load<V>(from + n * lanes), candidate = v * sign[n], edge = u[n] + v;
        const auto better = less(key[n], candidate);
        key[n] = where(better, candidate, key[n]);
        best[n] = where(better, v, best[n]);
        argmax[n] = where(better, position, argmax[n]);
        sum[n] += edge;
        square[n] += edge * edge;
      }
    }
    for (int n = 0; n < N; ++n) {
      const int64_t at = row * e.channels + channel + n * lanes;
      store(a.maxima + at, u[n] + best[n]);
      store(a.argmax + at, C::narrow(argmax[n]));
      total[n] += C::widen(sum[n]);
      total_square[n] += C::widen(square[n]);
    }
  }
  for (int n = 0; n < N; ++n) {
    // A key is NaN only where a sum or a sign is not finite.
    const int64_t at = channel + n * lanes;
    if (C::any_nan(C::shorten(total[n] - total[n]) + (sign[n] - sign[n]))) {
      take_first_nans<V>(a, rows, at);
    }
    if (!moments) continue;
    store(moments + at, total[n]);
    store(moments + e.channels + at, total_square[n]);
  }
}

// Cuts all clouds into blocks of rows, the same for any number of threads: so are the sums.
inline std::vector<std::vector<EdgeRows>> edge_blocks(const int64_t* starts, const int64_t* sizes,
                                                      int64_t clouds) {
  int64_t rows = 0;
  for (int64_t cloud = 0; cloud < clouds; ++cloud) rows += sizes[cloud];
  const int64_t block = std::max<int64_t>(64, rows / 512);
  std::vector<std::vector<EdgeRows>> blocks(clouds);
  for (int64_t cloud = 0; cloud < clouds; ++cloud) {
    const int64_t start = starts[cloud], end = start + sizes[cloud];
    for (int64_t begin = start; begin < end; begin += block) {
      blocks[cloud].push_back({start, begin, std::min(end, begin + block)});
    }
  }
  return blocks;
}

// Reduces the edges of one cloud; `partial` gets the sums of its blocks, one after the other.
template <class T>
void reduce_cloud(const EdgeReduceArguments<T>& a, int64_t cloud, const std::vector<EdgeRows>& blocks,
                  Buffer<T>& values, double* partial, const Threads& threads) {
  const EdgeArguments<T>& e = a.edges;
  values.resize(e.sizes[cloud] * kEdgeVectors * Vector<T>::lanes);
  for_each_run<T>(e.channels, [&]<class V, int N>(int64_t channel) {
    take_values<N * Channels<V>::count>(e, e.starts[cloud], e.sizes[cloud], channel, values.data());
    for_each_task(threads, static_cast<int64_t>(blocks.size()), [&](int64_t block) {
      double* moments = partial ? partial + block * 2 * e.channels : nullptr;
      reduce_rows<V, N>(a, blocks[block], channel, values.data(), moments);
    });
  });
}

template <class T>
void reduce_edges(const EdgeReduceArguments<T>& a, const Threads& threads) {
  const EdgeArguments<T>& e = a.edges;
  const auto blocks = edge_blocks(e.starts, e.sizes, e.clouds);
  std::vector<int64_t> first{0};  // block of each cloud
  for (const auto& of_cloud : blocks) first.push_back(first.back() + static_cast<int64_t>(of_cloud.size()));
  const int64_t width = 2 * e.channels, count = first.back();
  Buffer<double> partial(a.moments ? count * width : 0);
  const Shares shares = share_clouds(threads, e.clouds, threads.count);
  const auto make_values = [] { return Buffer<T>(); };
  for_each_task_with(shares.across, e.clouds, make_values, [&](int64_t cloud, Buffer<T>& values) {
    double* sums = a.moments ? partial.data() + first[cloud] * width : nullptr;
    reduce_cloud(a, cloud, blocks[cloud], values, sums, shares.inside);
  });
  if (!a.moments) return;
  std::fill(a.moments, a.moments + width, 0.0);
  for (int64_t block = 0; block < count; ++block) {
    for (int64_t i = 0; i < width; ++i) a.moments[i] += partial[block * width + i];
  }
}

// Adds to each edge's two ends the gradient of the moments, first + 2·second·(u + v), and to `sum`
// what u_i gets. `values` and `pull` hold N vectors of v, and of its gradient, for each row.
template <class V, int N, class T>
PCCLUST_INLINE void spread_moments(const int64_t* near, int64_t k, const T* values, const V (&common)[N],
                                   const V (&twice_second)[N], T* pull, V (&sum)[N]) {
  constexpr int lanes = Channels<V>::count;
  for (int64_t j = 0; j < k; ++j) {
    const T* from = values + near[j] * N * lanes;
    T* at = pull + near[j] * N * lanes;
    for (int n = 0; n < N; ++n) {
      const V edge = common[n] + twice_second[n] * load<V>(from + n * lanes);
      store(at + n * lanes, load<V>(at + n * lanes) + edge);
      sum[n] += edge;
    }
  }
}

// What the backward pass holds of a cloud in a run of channels: v, and the gradient of v.
template <class T>
struct EdgeScratch {
  Buffer<T> values, pull;
};

// The gradient of one cloud in the channels from `channel` on. `pull` collects that of v: one thread
// owns it and visits the edges in order, so the sum is the same for any number of threads.
template <class V, int N, class T>
void reduce_cloud_backward(const EdgeReduceBackwardArguments<T>& a, int64_t cloud, int64_t channel,
                           EdgeScratch<T>& scratch) {
  constexpr int lanes = Channels<V>::count, width = N * lanes;
  const EdgeArguments<T>& e = a.edges;
  const int64_t stride = 2 * e.channels, start = e.starts[cloud], size = e.sizes[cloud];
  scratch.values.resize(size * width);
  scratch.pull.resize(size * width);
  T *values = scratch.values.data(), *pull = scratch.pull.data();
  std::fill_n(pull, size * width, T(0));
  V first[N] = {}, twice_second[N] = {};
  if (a.moment_gradient) {
    take_values<width>(e, start, size, channel, values);
    T numbers[2][width];
    for (int i = 0; i < width; ++i) {
      numbers[0][i] = static_cast<T>(a.moment_gradient[channel + i]);
      numbers[1][i] = static_cast<T>(2 * a.moment_gradient[e.channels + channel + i]);
    }
    for (int n = 0; n < N; ++n) {
      first[n] = load<V>(numbers[0] + n * lanes);
      twice_second[n] = load<V>(numbers[1] + n * lanes);
    }
  }
  for (int64_t row = start; row < start + size; ++row) {
    const int64_t at = row * e.channels + channel;
    fetch<width>(e.projected + (row + kRowsAhead) * stride + channel);
    fetch<width>(a.argmax + at + kRowsAhead * e.channels);
    fetch<width>(a.max_gradient + at + kRowsAhead * e.channels);
    for (int i = 0; i < width; ++i) pull[a.argmax[at + i] * width + i] += a.max_gradient[at + i];
    V sum[N] = {}, common[N];
    for (int n = 0; n < N; ++n) {
      const V u = load<V>(e.projected + row * stride + channel + n * lanes);
      common[n] = first[n] + twice_second[n] * u;
    }
    if (a.moment_gradient) {
      spread_moments<V, N>(e.neighbors + row * e.k, e.k, values, common, twice_second, pull, sum);
    }
    // After the edges of the row, as on a GPU: the same bits.
    for (int n = 0; n < N; ++n) {
      const V total = load<V>(a.max_gradient + at + n * lanes) + sum[n];
      store(a.gradient + row * stride + channel + n * lanes, total);
    }
  }
  T* to = a.gradient + (2 * start + 1) * e.channels + channel;
  for (int64_t i = 0; i < size; ++i) std::memcpy(to + i * stride, pull + i * width, width * sizeof(T));
}

template <class T>
void reduce_edges_backward(const EdgeReduceBackwardArguments<T>& a, const Threads& threads) {
  using Step = void (*)(const EdgeReduceBackwardArguments<T>&, int64_t, int64_t, EdgeScratch<T>&);
  std::vector<std::pair<int64_t, Step>> runs;
  for_each_run<T>(a.edges.channels, [&]<class V, int N>(int64_t channel) {
    runs.emplace_back(channel, reduce_cloud_backward<V, N, T>);
  });
  const int64_t count = static_cast<int64_t>(runs.size());
  const auto make_scratch = [] { return EdgeScratch<T>(); };
  for_each_task_with(threads, a.edges.clouds * count, make_scratch, [&](int64_t task, auto& scratch) {
    const auto& [channel, step] = runs[task % count];
    step(a, task / count, channel, scratch);
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
