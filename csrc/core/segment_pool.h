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

// What the rows of a piece give: sums of y, of its slopes and of slope · z.
struct PieceSums {
  double *y, *slopes, *products;
};

// Takes rows [begin, end) of a piece into maxima and sums. The first NaN stays.
template <class V, class T>
PCCLUST_INLINE void pool_block(const SegmentPoolArguments<T>& a, int64_t first, int64_t begin,
                               int64_t end, int64_t channel, T* maxima, int32_t* argmax,
                               const PieceSums& sums) {
  using C = Channels<V>;
  using Position = typename C::Position;
  const V scale = load<V>(a.scale + channel), shift = load<V>(a.shift + channel);
  const V one = V{} + T(1), slope = V{} + a.slope;
  V best = load<V>(maxima + channel), sum{}, slopes{}, products{};
  auto place = C::wide(load<Position>(argmax + channel));
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = a.members ? a.members[i] : i;
    const V z = load<V>(a.values + row * a.channels + channel);
    const V x = multiply_add(z, scale, shift);
    const V factor = x > V{} ? one : slope, y = x * factor;
    const auto better = (best == best) & !(y <= best);
    best = better ? y : best;
    place = better ? C::fill(i - first) : place;
    sum += y;
    slopes += factor;
    products = multiply_add(factor, z, products);
  }
  store(maxima + channel, best);
  store(argmax + channel, C::narrow(place));
  add_in_double(sums.y + channel, sum);
  add_in_double(sums.slopes + channel, slopes);
  add_in_double(sums.products + channel, products);
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

// Brings together what the pieces of each segment gave; a segment without rows has 0, and -1.
template <class T>
void join_pool(const SegmentPoolArguments<T>& a, const std::vector<Piece>& pieces,
               PoolPieces<T>& found) {
  const int64_t size = a.segments * a.channels;
  std::fill(a.maxima, a.maxima + size, T(0));
  std::fill(a.argmax, a.argmax + size, -1);
  for (T* to : {a.means, a.slopes, a.products}) std::fill(to, to + size, T(0));
  std::vector<double> total(3 * a.channels);
  const int64_t count = static_cast<int64_t>(pieces.size());
  for (int64_t i = 0, next; i < count; i = next) {
    const int64_t segment = pieces[i].segment, at = segment * a.channels;
    std::fill(total.begin(), total.end(), 0.0);
    for (next = i; next < count && pieces[next].segment == segment; ++next) {
      const T* maxima = found.maxima.data() + next * a.channels;
      const int32_t* argmax = found.argmax.data() + next * a.channels;
      for (int64_t c = 0; c < a.channels; ++c) {
        const T best = a.maxima[at + c];
        if (next > i && (maxima[c] <= best || best != best)) continue;
        a.maxima[at + c] = maxima[c];
        a.argmax[at + c] = argmax[c];
      }
      const double* sums = found.sums_of(next).y;
      for (int64_t j = 0; j < 3 * a.channels; ++j) total[j] += sums[j];
    }
    const double rows = static_cast<double>(a.sizes[segment]);
    for (int64_t c = 0; c < a.channels; ++c) {
      a.means[at + c] = static_cast<T>(total[c] / rows);
      a.slopes[at + c] = static_cast<T>(total[a.channels + c]);
      a.products[at + c] = static_cast<T>(total[2 * a.channels + c]);
    }
  }
}

template <class T>
void segment_pool(const SegmentPoolArguments<T>& a, const Threads& threads) {
  const std::vector<Piece> pieces = cut_segments(a.starts, a.sizes, a.segments);
  const std::vector<int64_t> firsts = cut_tasks(pieces);
  PoolPieces<T> found(static_cast<int64_t>(pieces.size()), a.channels);
  const int64_t tasks = pieces.empty() ? 0 : static_cast<int64_t>(firsts.size()) - 1;
  for_each_task(threads, tasks, [&](int64_t task) {
    for (int64_t i = firsts[task]; i < firsts[task + 1]; ++i) pool_piece(a, pieces[i], i, found);
  });
  join_pool(a, pieces, found);
}

// The gradient of values: that of means through each row's slope, and what BatchNorm's statistics
// give, which is linear in z. That of maxima comes on top at the rows that have them.
template <class V, class T>
PCCLUST_INLINE void pull_block(const SegmentPullArguments<T>& a, int64_t segment, int64_t begin,
                               int64_t end, int64_t channel) {
  const V scale = load<V>(a.scale + channel), shift = load<V>(a.shift + channel);
  const V linear = load<V>(a.linear + channel), constant = load<V>(a.constant + channel);
  const V own = load<V>(a.to_rows + segment * a.channels + channel);
  const V rising = own * scale, falling = own * a.slope * scale;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = a.members ? a.members[i] : i, at = row * a.channels + channel;
    const V z = load<V>(a.values + at), x = multiply_add(z, scale, shift);
    const V common = multiply_add(z, linear, constant);
    store(a.gradient + at, common + (x > V{} ? rising : falling));
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
  const int64_t start = a.starts[piece.segment];
  for (int64_t c = 0; c < a.channels; ++c) {
    const int64_t at = piece.segment * a.channels + c, place = start + a.argmax[at];
    if (place < piece.begin || place >= piece.end) continue;
    const int64_t row = a.members ? a.members[place] : place, to = row * a.channels + c;
    const T z = a.values[to], x = multiply_add(z, a.scale[c], a.shift[c]);
    const T own = (a.to_rows[at] + a.to_maxima[at]) * (x > 0 ? T(1) : a.slope);
    a.gradient[to] = multiply_add(z, a.linear[c], a.constant[c]) + own * a.scale[c];
  }
}

template <class T>
void segment_pull(const SegmentPullArguments<T>& a, const Threads& threads) {
  const std::vector<Piece> pieces = cut_segments(a.starts, a.sizes, a.segments);
  const std::vector<int64_t> firsts = cut_tasks(pieces);
  const int64_t tasks = pieces.empty() ? 0 : static_cast<int64_t>(firsts.size()) - 1;
  for_each_task(threads, tasks, [&](int64_t task) {
    for (int64_t i = firsts[task]; i < firsts[task + 1]; ++i) pull_piece(a, pieces[i]);
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
