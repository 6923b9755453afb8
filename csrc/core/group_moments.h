// The moments of what a layer makes of the members of groups, which is never stored; the backward
// pass computes it once more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arguments.h"
#include "core/group_layer.h"
#include "core/group_sums.h"
#include "core/parallel.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// totals += the sums of products of each pair of columns of `count` rows, of which `columns` hold
// something.
template <class T>
void add_products(const PaddedMatrix<T>& x, int64_t count, int64_t columns, double* totals) {
  using V = typename Vector<T>::Type;
  const int64_t width = x.width();
  for_each_rows(columns, [&]<int R>(int64_t row) {
    for_each_columns<T>(width, [&]<int N>(int64_t column) {
      alignas(64) T products[R * N * Vector<T>::lanes];
      multiply_tile<R, N>(x.row(0) + row, 1, width, x.row(0) + column, width, count, products);
      for (int i = 0; i < R * N; ++i) {
        double* to = totals + (row + i / N) * width + column + i % N * Vector<T>::lanes;
        add_to_totals<T>(to, load<V>(products + i * Vector<T>::lanes));
      }
    });
  });
}

template <class T>
void group_moments(const GroupMomentsArguments<T>& a, const Threads& threads) {
  const HiddenLayer<T> layer(a.layer);
  const GroupTiles tiles(a.layer.groups, a.layer.k);
  const int64_t hidden = a.layer.hidden, width = layer.bias.width();
  const auto make_scratch = [&] { return PaddedMatrix<T>(tiles.members(), hidden); };
  const std::vector<double> sums = sum_blocks(
      tiles, width + width * width, threads, make_scratch,
      [&](int64_t block, PaddedMatrix<T>& x, double* totals) {
        tiles.for_each(block, [&](int64_t first, int64_t count) {
          layer.compute(first * tiles.k, count * tiles.k, x);
          add_rows(x, count * tiles.k, totals);
          add_products(x, count * tiles.k, hidden, totals + width);
        });
      });
  std::copy(sums.begin(), sums.begin() + hidden, a.total);
  for (int64_t row = 0; row < hidden; ++row) {
    const double* from = sums.data() + width + row * width;
    std::copy(from, from + hidden, a.products + row * hidden);
  }
}

template <class T>
void group_moments_backward(const GroupMomentsBackwardArguments<T>& a, const Threads& threads) {
  using V = typename Vector<T>::Type;
  const HiddenLayer<T> layer(a.layer);
  const LayerBackward<T> backward{layer, a.gradient};
  const GroupTiles tiles(a.layer.groups, a.layer.k);
  const int64_t hidden = a.layer.hidden, width = layer.bias.width();
  // The gradient of a member's channels x is t + (P + Pᵀ) x.
  PaddedMatrix<T> constant(1, hidden), linear(hidden, hidden);
  for (int64_t i = 0; i < hidden; ++i) {
    constant.row(0)[i] = static_cast<T>(a.total_gradient[i]);
    for (int64_t j = 0; j < hidden; ++j) {
      linear.row(i)[j] = static_cast<T>(a.products_gradient[i * hidden + j] +
                                        a.products_gradient[j * hidden + i]);
    }
  }
  const auto make_scratch = [&] {
    return TilePair<T>{PaddedMatrix<T>(tiles.members(), hidden),
                       PaddedMatrix<T>(tiles.members(), hidden)};
  };
  const std::vector<double> sums = sum_blocks(
      tiles, backward.size(), threads, make_scratch,
      [&](int64_t block, TilePair<T>& tile, double* totals) {
        tiles.for_each(block, [&](int64_t first, int64_t count) {
          const int64_t members = count * tiles.k;
          layer.compute(first * tiles.k, members, tile.hidden);
          for_each_rows(members, [&]<int R>(int64_t row) {
            for_each_columns<T>(width, [&]<int N>(int64_t column) {
              alignas(64) T products[R * N * Vector<T>::lanes];
              multiply_tile<R, N>(tile.hidden.row(row), width, 1, linear.row(0) + column, width,
                                  hidden, products);
              for (int i = 0; i < R * N; ++i) {
                const int64_t c = column + i % N * Vector<T>::lanes;
                const V sum = load<V>(products + i * Vector<T>::lanes);
                store(tile.gradient.row(row + i / N) + c, sum + load<V>(constant.row(0) + c));
              }
            });
          });
          layer.through_slope(members, tile.hidden, tile.gradient);
          backward.add(tile.gradient, first * tiles.k, members, totals);
        });
      });
  backward.finish(sums.data());
}

}  // namespace pcclust::inline PCCLUST_ISA
