// What the passes over the members of groups sum, block by block in the same order for any number of
// threads.
#pragma once

#include <cstdint>
#include <vector>

#include "core/group_layer.h"
#include "core/parallel.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Runs work(block, totals) on every block, each with `size` totals of its own, and returns their sum
// over the blocks in order.
template <class MakeScratch, class Work>
std::vector<double> sum_blocks(const GroupTiles& tiles, int64_t size, const Threads& threads,
                               const MakeScratch& make_scratch, const Work& work) {
  std::vector<double> partial(tiles.blocks() * size), sums(size);
  for_each_task_with(threads, tiles.blocks(), make_scratch, [&](int64_t block, auto& scratch) {
    work(block, scratch, partial.data() + block * size);
  });
  for (int64_t block = 0; block < tiles.blocks(); ++block) {
    for (int64_t i = 0; i < size; ++i) sums[i] += partial[block * size + i];
  }
  return sums;
}

template <class T>
void add_rows(const PaddedMatrix<T>& x, int64_t count, double* totals) {
  using V = typename Vector<T>::Type;
  for (int64_t c = 0; c < x.width(); c += Vector<T>::lanes) {
    V sum{};
    for (int64_t row = 0; row < count; ++row) sum += load<V>(x.row(row) + c);
    add_to_totals<T>(totals + c, sum);
  }
}

// What the backward passes sum over members: the gradients of the first layer's weights, input by
// input, and then that of its bias.
template <class T>
struct LayerBackward {
  const HiddenLayer<T>& forward;
  const GroupGradient<T>& to;
  int64_t width() const { return forward.bias.width(); }
  int64_t size() const { return (forward.layer.inputs + 1) * width(); }

  // Adds what a tile gives; `gradient` is that of what the LeakyReLU got.
  void add(const PaddedMatrix<T>& gradient, int64_t first, int64_t count, double* totals) const {
    using V = typename Vector<T>::Type;
    const int64_t inputs = forward.layer.inputs;
    if (to.features) pull_features(gradient, first, count);
    if (inputs == kRriInputs) return add_few<kRriInputs>(gradient, first, count, totals);
    const T* x = forward.layer.features + first * inputs;
    for (int64_t c = 0; c < width(); c += Vector<T>::lanes) {
      for (int64_t i = 0; i < inputs; ++i) {
        V sum{};
        for (int64_t member = 0; member < count; ++member) {
          sum = multiply_add(splat<V>(x[member * inputs + i]), load<V>(gradient.row(member) + c), sum);
        }
        add_to_totals<T>(totals + i * width() + c, sum);
      }
    }
    add_rows(gradient, count, totals + inputs * width());
  }

  // The same, of few inputs: all sums go on at once, and none waits for its last addition.
  template <int I>
  void add_few(const PaddedMatrix<T>& gradient, int64_t first, int64_t count, double* totals) const {
    using V = typename Vector<T>::Type;
    const T* x = forward.layer.features + first * I;
    for (int64_t c = 0; c < width(); c += Vector<T>::lanes) {
      V sum[I + 1] = {};
      for (int64_t member = 0; member < count; ++member) {
        const V pull = load<V>(gradient.row(member) + c);
        for (int i = 0; i < I; ++i) sum[i] = multiply_add(splat<V>(x[member * I + i]), pull, sum[i]);
        sum[I] += pull;
      }
      for (int i = 0; i <= I; ++i) add_to_totals<T>(totals + i * width() + c, sum[i]);
    }
  }

  void pull_features(const PaddedMatrix<T>& gradient, int64_t first, int64_t count) const {
    const int64_t inputs = forward.layer.inputs;
    for (int64_t member = 0; member < count; ++member) {
      for (int64_t i = 0; i < inputs; ++i) {
        T sum = 0;
        for (int64_t c = 0; c < width(); ++c) {
          sum += gradient.row(member)[c] * forward.weight.row(i)[c];
        }
        to.features[(first + member) * inputs + i] = sum;
      }
    }
  }

  void finish(const double* sums) const {
    const GroupLayer<T>& layer = forward.layer;
    for (int64_t h = 0; h < layer.hidden; ++h) {
      for (int64_t i = 0; i < layer.inputs; ++i) {
        to.weight[h * layer.inputs + i] = static_cast<T>(sums[i * width() + h]);
      }
      to.bias[h] = static_cast<T>(sums[layer.inputs * width() + h]);
    }
  }
};

// The hidden layer of a tile and its gradient.
template <class T>
struct TilePair {
  PaddedMatrix<T> hidden, gradient;
};

}  // namespace pcclust::inline PCCLUST_ISA
