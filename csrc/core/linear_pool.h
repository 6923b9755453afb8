// A layer and a LeakyReLU on rows, of which only maximum and mean over each segment are kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/row_product.h"
#include "core/segments.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Adds some rows of a panel's results to maxima and sums. NaN stays.
template <class T>
PCCLUST_INLINE void collect(const T* rows, int count, T* maxima, double* sums) {
  using V = typename Vector<T>::Type;
  for (int64_t c = 0; c < kPanel<T>; c += Vector<T>::lanes) {
    V best = load<V>(maxima + c), sum{};
    for (int row = 0; row < count; ++row) {
      const V y = load<V>(rows + row * kPanel<T> + c);
      best = (y > best) | (y != y) ? y : best;
      sum += y;
    }
    store(maxima + c, best);
    add_to_totals<T>(sums + c, sum);
  }
}

// Works on the rows of some pieces in tiles that cross from one piece to the next.
template <class T, class Product>
void pool_pieces(const LinearPoolArguments<T>& a, const Product& product,
                 const std::vector<Piece>& pieces, int64_t first, int64_t last, T* maxima,
                 double* sums, typename Product::Tile& tile) {
  const int64_t width = product.panels() * kPanel<T>;
  int64_t owner[kTileRows];
  int count = 0;
  const auto finish = [&] {
    for (int64_t panel = 0; panel < product.panels(); ++panel) {
      product.multiply(panel, tile);
      activate(tile.results.data(), count * kPanel<T>, a.layer.slope);
      for (int row = 0, next; row < count; row = next) {
        next = row + 1;
        while (next < count && owner[next] == owner[row]) ++next;
        const int64_t at = owner[row] * width + panel * kPanel<T>;
        collect(tile.results.data() + row * kPanel<T>, next - row, maxima + at, sums + at);
      }
    }
    count = 0;
  };
  for (int64_t piece = first; piece < last; ++piece) {
    for (int64_t i = pieces[piece].begin; i < pieces[piece].end; ++i) {
      product.take(a.rows, a.members ? a.members[i] : i, nullptr, count, tile);
      owner[count] = piece;
      if (++count == kTileRows) finish();
    }
  }
  if (count) finish();
}

// Brings together what the pieces of each segment gave; a segment without rows has 0.
template <class T>
void join_pieces(const LinearPoolArguments<T>& a, const std::vector<Piece>& pieces, int64_t width,
                 const T* maxima, const double* sums) {
  const int64_t channels = a.layer.outputs, count = static_cast<int64_t>(pieces.size());
  std::fill(a.maxima, a.maxima + a.segments * channels, T(0));
  std::fill(a.means, a.means + a.segments * channels, T(0));
  std::vector<double> total(channels);
  for (int64_t i = 0, next; i < count; i = next) {
    T* to = a.maxima + pieces[i].segment * channels;
    std::copy(maxima + i * width, maxima + i * width + channels, to);
    std::copy(sums + i * width, sums + i * width + channels, total.begin());
    for (next = i + 1; next < count && pieces[next].segment == pieces[i].segment; ++next) {
      for (int64_t c = 0; c < channels; ++c) {
        const T y = maxima[next * width + c];
        if (y > to[c] || y != y) to[c] = y;
        total[c] += sums[next * width + c];
      }
    }
    const double rows = static_cast<double>(a.sizes[pieces[i].segment]);
    for (int64_t c = 0; c < channels; ++c) {
      a.means[pieces[i].segment * channels + c] = static_cast<T>(total[c] / rows);
    }
  }
}

template <class T>
void linear_pool(const LinearPoolArguments<T>& a, const Threads& threads) {
  const std::vector<Piece> pieces = cut_segments(a.starts, a.sizes, a.segments);
  const std::vector<int64_t> firsts = cut_tasks(pieces);
  with_product<T>(a.layer, [&](const auto& product) {
    using Product = std::remove_cvref_t<decltype(product)>;
    const int64_t width = product.panels() * kPanel<T>;
    const int64_t size = static_cast<int64_t>(pieces.size()) * width;
    Buffer<T> maxima(size);
    Buffer<double> sums(size);
    const auto make_scratch = [&] { return typename Product::Tile(product); };
    const int64_t tasks = pieces.empty() ? 0 : static_cast<int64_t>(firsts.size()) - 1;
    for_each_task_with(threads, tasks, make_scratch, [&](int64_t task, auto& tile) {
      const int64_t first = firsts[task], last = firsts[task + 1];
      std::fill(maxima.data() + first * width, maxima.data() + last * width,
                -std::numeric_limits<T>::infinity());
      std::fill(sums.data() + first * width, sums.data() + last * width, 0.0);
      pool_pieces(a, product, pieces, first, last, maxima.data(), sums.data(), tile);
    });
    join_pieces(a, pieces, width, maxima.data(), sums.data());
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
