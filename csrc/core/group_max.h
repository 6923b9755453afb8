// The maximum over each group of what two layers make of its members, which is never stored.
//
// The hidden layer of a tile stays in the cache; the backward pass computes it once more. Only one
// member of a group has the maximum of a channel, so the second layer's gradient takes one row of
// the hidden layer and not all.
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

constexpr int64_t kTilesSummed = 8;  // in working precision before sums go on in double

// Adds a block's sums in working precision to those in double, and clears them.
template <class T>
void flush(PaddedMatrix<T>& sums, double* totals) {
  T* from = sums.row(0);
  for (int64_t i = 0; i < sums.rows() * sums.width(); ++i) totals[i] += static_cast<double>(from[i]);
  sums.clear();
}

// The largest of a group's members in N vectors of channels, and which member has it.
template <int N, class T>
PCCLUST_INLINE void max_of_group(const T* hidden, int64_t hidden_width, int64_t depth, int64_t k,
                                  const T* weight, int64_t width, T* maxima, int32_t* argmax) {
  using V = typename Wide<T>::Type;
  using Mask = typename Wide<T>::Mask;
  V best[N];
  Mask first[N];
  for_each_rows(k, [&]<int R>(int64_t member) {
    V sum[R][N] = {};
    multiply_rows<R, N>(hidden + member * hidden_width, hidden_width, 1, weight, width, depth, sum);
    for (int r = 0; r < R; ++r) {
      for (int n = 0; n < N; ++n) {
        if (member + r == 0) {
          best[n] = sum[r][n];
          first[n] = Mask{};
        }
        const auto better = sum[r][n] > best[n];
        best[n] = better ? sum[r][n] : best[n];
        first[n] = better ? Mask{} + static_cast<typename Wide<T>::Integer>(member + r) : first[n];
      }
    }
  });
  for (int n = 0; n < N; ++n) {
    store(maxima + n * Wide<T>::lanes, best[n]);
    store(argmax + n * Wide<T>::lanes,
          __builtin_convertvector(first[n], typename Wide<T>::Positions));
  }
}

template <class T>
void group_max(const GroupMaxArguments<T>& a, const Threads& threads) {
  const HiddenLayer<T> layer(a.layer);
  const GroupTiles tiles(a.layer.groups, a.layer.k);
  const PaddedMatrix<T> weight = transposed(a.out_weight, a.channels, a.layer.hidden);
  struct Scratch {
    PaddedMatrix<T> hidden, maxima;
    std::vector<int32_t> argmax;
  };
  const auto make_scratch = [&] {
    return Scratch{PaddedMatrix<T>(tiles.members(), a.layer.hidden),
                   PaddedMatrix<T>(1, a.channels), std::vector<int32_t>(weight.width())};
  };
  for_each_task_with(threads, tiles.blocks(), make_scratch, [&](int64_t block, Scratch& scratch) {
    T* maxima = scratch.maxima.row(0);
    int32_t* argmax = scratch.argmax.data();
    tiles.for_each(block, [&](int64_t first, int64_t count) {
      layer.compute(first * tiles.k, count * tiles.k, scratch.hidden);
      for (int64_t group = 0; group < count; ++group) {
        for_each_columns<T>(weight.width(), [&]<int N>(int64_t column) {
          max_of_group<N>(scratch.hidden.row(group * tiles.k), scratch.hidden.width(),
                           a.layer.hidden, tiles.k, weight.row(0) + column, weight.width(),
                           maxima + column, argmax + column);
        });
        const int64_t at = (first + group) * a.channels;
        std::copy(maxima, maxima + a.channels, a.maxima + at);
        std::copy(argmax, argmax + a.channels, a.argmax + at);
      }
    });
  });
}

// Adds to the gradients of one group's hidden rows, and of the second layer, what its maxima get.
template <class T>
void pull_max(const GroupMaxBackwardArguments<T>& a, int64_t group, const PaddedMatrix<T>& weight,
                const T* hidden, T* gradient, PaddedMatrix<T>& to_weight) {
  using V = typename Wide<T>::Type;
  for (int64_t channel = 0; channel < a.channels; ++channel) {
    const int64_t at = group * a.channels + channel;
    const int64_t row = a.argmax[at] * weight.width();
    const V pull = splat<V>(a.max_gradient[at]);
    for (int64_t c = 0; c < weight.width(); c += Wide<T>::lanes) {
      T* to = gradient + row + c;
      store(to, multiply_add(pull, load<V>(weight.row(channel) + c), load<V>(to)));
      T* sum = to_weight.row(channel) + c;
      store(sum, multiply_add(pull, load<V>(hidden + row + c), load<V>(sum)));
    }
  }
}

template <class T>
void group_max_backward(const GroupMaxBackwardArguments<T>& a, const Threads& threads) {
  const HiddenLayer<T> layer(a.layer);
  const LayerBackward<T> backward{layer, a.gradient};
  const GroupTiles tiles(a.layer.groups, a.layer.k);
  const int64_t hidden = a.layer.hidden, width = layer.bias.width();
  const PaddedMatrix<T> weight = padded(a.out_weight, a.channels, hidden);
  struct Scratch {
    TilePair<T> tile;
    PaddedMatrix<T> to_weight;
  };
  const auto make_scratch = [&] {
    return Scratch{{PaddedMatrix<T>(tiles.members(), hidden),
                    PaddedMatrix<T>(tiles.members(), hidden)},
                   PaddedMatrix<T>(a.channels, hidden)};
  };
  const std::vector<double> sums = sum_blocks(
      tiles, backward.size() + a.channels * width, threads, make_scratch,
      [&](int64_t block, Scratch& scratch, double* totals) {
        auto& [x, gradient] = scratch.tile;
        int64_t number = 0;
        tiles.for_each(block, [&](int64_t first, int64_t count) {
          layer.compute(first * tiles.k, count * tiles.k, x);
          gradient.clear();
          for (int64_t group = 0; group < count; ++group) {
            const int64_t row = group * tiles.k;
            pull_max(a, first + group, weight, x.row(row), gradient.row(row), scratch.to_weight);
          }
          layer.through_slope(count * tiles.k, x, gradient);
          backward.add(gradient, first * tiles.k, count * tiles.k, totals);
          if (++number % kTilesSummed == 0) flush(scratch.to_weight, totals + backward.size());
        });
        flush(scratch.to_weight, totals + backward.size());
      });
  backward.finish(sums.data());
  for (int64_t channel = 0; channel < a.channels; ++channel) {
    const double* from = sums.data() + backward.size() + channel * width;
    for (int64_t h = 0; h < hidden; ++h) {
      a.out_weight_gradient[channel * hidden + h] = static_cast<T>(from[h]);
    }
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
