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
#include "core/buffer.h"
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

// The largest of a group's members in N vectors of channels, and which member has it. The first NaN
// stays.
template <int N, class T>
PCCLUST_INLINE void max_of_group(const T* products, int64_t k, T* maxima, int32_t* argmax) {
  using V = typename Vector<T>::Type;
  using Mask = typename Vector<T>::Mask;
  constexpr int lanes = Vector<T>::lanes;
  for (int n = 0; n < N; ++n) {
    V best = load<V>(products + n * lanes);
    Mask first{};
    for (int64_t member = 1; member < k; ++member) {
      const V value = load<V>(products + (member * N + n) * lanes);
      const auto better = (best == best) & !(value <= best);
      best = better ? value : best;
      first = better ? Mask{} + static_cast<typename Vector<T>::Integer>(member) : first;
    }
    store(maxima + n * lanes, best);
    store(argmax + n * lanes, __builtin_convertvector(first, typename Vector<T>::Positions));
  }
}

template <class T>
struct MaxScratch {
  PaddedMatrix<T> hidden, maxima;
  Buffer<T> products;  // of all members of a tile in one run of channels
  std::vector<int32_t> argmax;
  MaxScratch(int64_t members, int64_t depth)
      : hidden(members, depth),
        maxima(1, kSumVectors * Vector<T>::lanes),
        products(members * maxima.width()),
        argmax(maxima.width()) {}
};

// The maxima of `count` groups from `first` on, whose hidden rows are there.
template <class T>
void max_of_groups(const GroupMaxArguments<T>& a, const PaddedMatrix<T>& weight, int64_t first,
                   int64_t count, MaxScratch<T>& scratch) {
  const int64_t k = a.layer.k, width = scratch.hidden.width(), members = count * k;
  T* products = scratch.products.data();
  for_each_columns<T>(weight.width(), [&]<int N>(int64_t column) {
    constexpr int64_t run = N * Vector<T>::lanes;
    // What lies beyond the last member is computed, too, and not looked at.
    for (int64_t row = 0; row < members; row += kTileRows) {
      multiply_tile<kTileRows, N>(scratch.hidden.row(row), width, 1, weight.row(0) + column,
                                  weight.width(), a.layer.hidden, products + row * run);
    }
    const int64_t channels = std::min<int64_t>(run, a.channels - column);
    for (int64_t group = 0; group < count; ++group) {
      max_of_group<N>(products + group * k * run, k, scratch.maxima.row(0), scratch.argmax.data());
      const int64_t at = (first + group) * a.channels + column;
      std::copy(scratch.maxima.row(0), scratch.maxima.row(0) + channels, a.maxima + at);
      std::copy(scratch.argmax.data(), scratch.argmax.data() + channels, a.argmax + at);
    }
  });
}

template <class T>
void group_max(const GroupMaxArguments<T>& a, const Threads& threads) {
  const HiddenLayer<T> layer(a.layer);
  const GroupTiles tiles(a.layer.groups, a.layer.k);
  const PaddedMatrix<T> weight = transposed(a.out_weight, a.channels, a.layer.hidden);
  const int64_t room = (tiles.members() + kTileRows - 1) / kTileRows * kTileRows;
  const auto make_scratch = [&] {
    return MaxScratch<T>(room, a.layer.hidden);
  };
  for_each_task_with(threads, tiles.blocks(), make_scratch, [&](int64_t block, MaxScratch<T>& scratch) {
    tiles.for_each(block, [&](int64_t first, int64_t count) {
      layer.compute(first * tiles.k, count * tiles.k, scratch.hidden);
      max_of_groups(a, weight, first, count, scratch);
    });
  });
}

// Adds to the gradients of one group's hidden rows, and of the second layer, what its maxima get.
template <class T>
void pull_max(const GroupMaxBackwardArguments<T>& a, int64_t group, const PaddedMatrix<T>& weight,
                const T* hidden, T* gradient, PaddedMatrix<T>& to_weight) {
  using V = typename Vector<T>::Type;
  for (int64_t channel = 0; channel < a.channels; ++channel) {
    const int64_t at = group * a.channels + channel;
    const int64_t row = a.argmax[at] * weight.width();
    const V pull = splat<V>(a.max_gradient[at]);
    for (int64_t c = 0; c < weight.width(); c += Vector<T>::lanes) {
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
