// A scale and shift, LeakyReLU and pooling over segments of rows in one pass over memory each way.
//
// Rows are taken in short blocks, so that they stay in the cache while channels are gone through.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/channels.h"
#include "core/parallel.h"
#include "core/segments.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Asks for the rows of the piece after this one: listed rows lie anywhere, and a short piece is
// done before the first of them would come.
template <class T>
PCCLUST_INLINE void fetch_piece(const T* values, const int64_t* members, int64_t channels,
                                const Piece& piece) {
  if (!members) return;
  for (int64_t i = piece.begin; i < std::min(piece.end, piece.begin + kRowsInFloat); ++i) {
    const T* row = values + members[i] * channels;
    for (int64_t c = 0; c < channels; c += 64 / static_cast<int64_t>(sizeof(T))) {
      __builtin_prefetch(row + c);
    }
  }
}

// What the rows of a piece give: sums of y, of its slopes and of slope · z.
struct PieceSums {
  double *y, *slopes, *products;
};

// The largest of some rows and its place, and the sums that go with them.
template <class V>
struct Pooled {
  V best;
  typename Channels<V>::Mask place;
  V sum{}, slopes{}, products{};
};

// Takes rows [begin, end) of a segment that begins at `first`. The first NaN stays.
template <class V, class T>
PCCLUST_INLINE void pool_rows(const SegmentPoolArguments<T>& a, int64_t first, int64_t begin,
                              int64_t end, int64_t channel, Pooled<V>& p) {
  const V scale = load<V>(a.scale + channel), shift = load<V>(a.shift + channel);
  const V one = V{} + T(1), slope = V{} + a.slope;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = a.members ? a.members[i] : i;
    const V z = load<V>(a.values + row * a.channels + channel);
    const V x = multiply_add(z, scale, shift);
    const V factor = where(less(V{}, x), one, slope), y = x * factor;
    const auto better = outdoes(y, p.best);
    p.best = where(better, y, p.best);
    p.place = where(better, Channels<V>::fill(i - first), p.place);
    p.sum += y;
    p.slopes += factor;
    p.products = multiply_add(factor, z, p.products);
  }
}

// Takes rows of a piece into maxima and sums.
template <class V, class T>
PCCLUST_INLINE void pool_block(const SegmentPoolArguments<T>& a, int64_t first, int64_t begin,
                               int64_t end, int64_t channel, T* maxima, int32_t* argmax,
                               const PieceSums& sums) {
  using C = Channels<V>;
  Pooled<V> p{load<V>(maxima + channel),
              C::wide(load<typename C::Position>(argmax + channel))};
  pool_rows<V>(a, first, begin, end, channel, p);
  store(maxima + channel, p.best);
  store(argmax + channel, C::narrow(p.place));
  add_in_double(sums.y + channel, p.sum);
  add_in_double(sums.slopes + channel, p.slopes);
  add_in_double(sums.products + channel, p.products);
}

// A segment of few rows, straight into the results.
template <class T>
void pool_short(const SegmentPoolArguments<T>& a, const Piece& piece) {
  for_each_channels<T>(a.channels, [&]<class V>(V, int64_t channel) {
    using C = Channels<V>;
    const int64_t at = piece.segment * a.channels + channel;
    Pooled<V> p{V{} - std::numeric_limits<T>::infinity(), C::fill(0)};
    pool_rows<V>(a, piece.begin, piece.begin, piece.end, channel, p);
    store(a.maxima + at, p.best);
    store(a.argmax + at, C::narrow(p.place));
    const double rows = static_cast<double>(piece.end - piece.begin);
    store(a.means + at, C::shorten(C::widen(p.sum) / rows));
    store(a.slopes + at, p.slopes);
    store(a.products + at, p.products);
  });
}

// Room for what pieces give, of which a segment has one or more.
template <class T>
struct PoolPieces {
  explicit PoolPieces(int64_t pieces, int64_t channels)
      : channels(channels), maxima(pieces * channels), argmax(pieces * channels),
        sums(3 * pieces * channels) {}
  PieceSums sums_of(int64_t piece) {
    double* first = sums.data() + 3 * piece * channels;
    return {first, first + channels, first + 2 * channels};
  }
  int64_t channels;
  Buffer<T> maxima;
  Buffer<int32_t> argmax;
  Buffer<double> sums;
};

template <class T>
void pool_piece(const SegmentPoolArguments<T>& a, const Piece& piece, int64_t number,
                PoolPieces<T>& found) {
  T* maxima = found.maxima.data() + number * a.channels;
  int32_t* argmax = found.argmax.data() + number * a.channels;
  const PieceSums sums = found.sums_of(number);
  std::fill(maxima, maxima + a.channels, -std::numeric_limits<T>::infinity());
  std::fill(argmax, argmax + a.channels, static_cast<int32_t>(piece.begin - a.starts[piece.segment]));
  std::fill(sums.y, sums.y + 3 * a.channels, 0.0);
  for (int64_t begin = piece.begin; begin < piece.end; begin += kRowsInFloat) {
    const int64_t end = std::min(piece.end, begin + kRowsInFloat);
    for_each_channels<T>(a.channels, [&]<class V>(V, int64_t channel) {
      pool_block<V>(a, a.starts[piece.segment], begin, end, channel, maxima, argmax, sums);
    });
  }
}

// Brings together what the pieces [begin, end) of a segment gave.
template <class T>
void join_pieces(const SegmentPoolArguments<T>& a, const std::vector<Piece>& pieces, int64_t begin,
                 int64_t end, PoolPieces<T>& found) {
  const int64_t at = pieces[begin].segment * a.channels;
  std::vector<double> total(3 * a.channels);
  for (int64_t piece = begin; piece < end; ++piece) {
    const T* maxima = found.maxima.data() + piece * a.channels;
    const int32_t* argmax = found.argmax.data() + piece * a.channels;
    for (int64_t c = 0; c < a.channels; ++c) {
      const T best = a.maxima[at + c];
      if (piece > begin && (maxima[c] <= best || best != best)) continue;
      a.maxima[at + c] = maxima[c];
      a.argmax[at + c] = argmax[c];
    }
    const double* sums = found.sums_of(piece).y;
    for (int64_t j = 0; j < 3 * a.channels; ++j) total[j] += sums[j];
  }
  const double rows = static_cast<double>(a.sizes[pieces[begin].segment]);
  for (int64_t c = 0; c < a.channels; ++c) {
    a.means[at + c] = static_cast<T>(total[c] / rows);
    a.slopes[at + c] = static_cast<T>(total[a.channels + c]);
    a.products[at + c] = static_cast<T>(total[2 * a.channels + c]);
  }
}

// A segment without rows has 0, and -1.
template <class T>
void clear_empty(const SegmentPoolArguments<T>& a) {
  for (int64_t segment = 0; segment < a.segments; ++segment) {
    if (a.sizes[segment]) continue;
    const int64_t at = segment * a.channels;
    std::fill_n(a.argmax + at, a.channels, -1);
    for (T* to : {a.maxima, a.means, a.slopes, a.products}) std::fill_n(to + at, a.channels, T(0));
  }
}

inline bool is_short(const Piece& piece, const int64_t* sizes) {
  return sizes[piece.segment] <= kRowsInFloat;
}

template <class T>
void segment_pool(const SegmentPoolArguments<T>& a, const Threads& threads) {
  const std::vector<Piece> pieces = cut_segments(a.starts, a.sizes, a.segments);
  const std::vector<int64_t> firsts = cut_tasks(pieces);
  const int64_t count = static_cast<int64_t>(pieces.size());
  PoolPieces<T> found(count, a.channels);  // of long segments; of the others nothing is touched
  const int64_t tasks = count ? static_cast<int64_t>(firsts.size()) - 1 : 0;
  for_each_task(threads, tasks, [&](int64_t task) {
    for (int64_t i = firsts[task]; i < firsts[task + 1]; ++i) {
      if (i + 1 < firsts[task + 1]) fetch_piece(a.values, a.members, a.channels, pieces[i + 1]);
      if (is_short(pieces[i], a.sizes)) pool_short(a, pieces[i]);
      else pool_piece(a, pieces[i], i, found);
    }
  });
  clear_empty(a);
  for (int64_t begin = 0, end; begin < count; begin = end) {
    end = begin + 1;
    while (end < count && pieces[end].segment == pieces[begin].segment) ++end;
    if (!is_short(pieces[begin], a.sizes)) join_pieces(a, pieces, begin, end, found);
  }
}

// The gradient of values: that of means through each row's slope, on top of it that of maxima at the
// rows that have them, and what BatchNorm's statistics give, which is linear in z.
template <class V, class T>
PCCLUST_INLINE void pull_block(const SegmentPullArguments<T>& a, int64_t segment, int64_t begin,
                               int64_t end, int64_t channel) {
  using C = Channels<V>;
  const int64_t of = segment * a.channels + channel;
  const V scale = load<V>(a.scale + channel), shift = load<V>(a.shift + channel);
  const V linear = load<V>(a.linear + channel), constant = load<V>(a.constant + channel);
  const V own = load<V>(a.to_rows + of), most = own + load<V>(a.to_maxima + of);
  const V rising = own * scale, falling = own * a.slope * scale;
  const V most_rising = most * scale, most_falling = most * a.slope * scale;
  const auto argmax = C::wide(load<typename C::Position>(a.argmax + of));
  const int64_t first = a.starts[segment];
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = a.members ? a.members[i] : i, at = row * a.channels + channel;
    const V z = load<V>(a.values + at), x = multiply_add(z, scale, shift);
    const V common = multiply_add(z, linear, constant);
    const auto largest = equal(argmax, C::fill(i - first));
    const V up = where(largest, most_rising, rising), down = where(largest, most_falling, falling);
    store(a.gradient + at, common + where(less(V{}, x), up, down));
  }
}

template <class T>
void pull_piece(const SegmentPullArguments<T>& a, const Piece& piece) {
  for (int64_t begin = piece.begin; begin < piece.end; begin += kRowsInFloat) {
    const int64_t end = std::min(piece.end, begin + kRowsInFloat);
    for_each_channels<T>(a.channels, [&]<class V>(V, int64_t channel) {
      pull_block<V>(a, piece.segment, begin, end, channel);
    });
  }
}

template <class T>
void segment_pull(const SegmentPullArguments<T>& a, const Threads& threads) {
  const std::vector<Piece> pieces = cut_segments(a.starts, a.sizes, a.segments);
  const std::vector<int64_t> firsts = cut_tasks(pieces);
  const int64_t tasks = pieces.empty() ? 0 : static_cast<int64_t>(firsts.size()) - 1;
  for_each_task(threads, tasks, [&](int64_t task) {
    for (int64_t i = firsts[task]; i < firsts[task + 1]; ++i) {
      if (i + 1 < firsts[task + 1]) {
        fetch_piece(a.values, a.members, a.channels, pieces[i + 1]);
        fetch_piece(a.gradient, a.members, a.channels, pieces[i + 1]);
      }
      pull_piece(a, pieces[i]);
    }
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
