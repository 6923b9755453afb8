// One layer of a perceptron on the members of groups, a tile of whole groups at a time, and the
// matrices that its channels make.
//
// Channels lie along the vectors, padded with zero weights to whole ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kTileMembers = 128;
constexpr int64_t kGroupBlocks = 256;
constexpr int kRriInputs = 4;  // of a neighbour, for which there are loops of their own
// How many sums fit into the registers: members × vectors of channels.
#if defined(PCCLUST_HAS_AVX512)
constexpr int kSumRows = 4, kSumVectors = 4, kTileRows = 6;
#else
constexpr int kSumRows = 2, kSumVectors = 4, kTileRows = 2;
#endif

// to += v, in double.
template <class T>
PCCLUST_INLINE void add_to_totals(double* to, typename Vector<T>::Type v) {
  using Totals = typename Vector<T>::Totals;
  store(to, load<Totals>(to) + __builtin_convertvector(v, Totals));
}

// Cuts all groups into tiles, and the tiles into blocks, the same for any number of threads.
struct GroupTiles {
  int64_t groups, k, tile, block;
  GroupTiles(int64_t groups, int64_t k)
      : groups(groups), k(k), tile(std::max<int64_t>(1, kTileMembers / k)) {
    const int64_t tiles = (groups + tile - 1) / tile;
    block = std::max<int64_t>(1, (tiles + kGroupBlocks - 1) / kGroupBlocks) * tile;
  }
  int64_t blocks() const { return (groups + block - 1) / block; }
  int64_t members() const { return tile * k; }
  // Calls use(first, count) for each tile of groups of a block.
  template <class Use>
  void for_each(int64_t number, const Use& use) const {
    const int64_t end = std::min(groups, (number + 1) * block);
    for (int64_t first = number * block; first < end; first += tile) {
      use(first, std::min(tile, end - first));
    }
  }
};

template <class T>
constexpr int64_t whole_vectors(int64_t channels) {
  return (channels + Vector<T>::lanes - 1) / Vector<T>::lanes * Vector<T>::lanes;
}

// A matrix whose rows are padded with zeros to `width`, a whole number of vectors.
template <class T>
class PaddedMatrix {
 public:
  PaddedMatrix(int64_t rows, int64_t columns)
      : rows_(rows), width_(whole_vectors<T>(columns)), data_(rows * width_) {
    clear();
  }
  void clear() { std::fill(data_.data(), data_.data() + rows_ * width_, T(0)); }
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  T* row(int64_t row) { return data_.data() + row * width_; }
  const T* row(int64_t row) const { return data_.data() + row * width_; }

 private:
  int64_t rows_, width_;
  Buffer<T> data_;
};

// The (outputs, inputs) weight of a layer with outputs along the rows of what is returned.
template <class T>
PaddedMatrix<T> transposed(const T* weight, int64_t outputs, int64_t inputs) {
  PaddedMatrix<T> packed(inputs, outputs);
  for (int64_t out = 0; out < outputs; ++out) {
    for (int64_t in = 0; in < inputs; ++in) packed.row(in)[out] = weight[out * inputs + in];
  }
  return packed;
}

template <class T>
PaddedMatrix<T> padded(const T* from, int64_t rows, int64_t columns) {
  PaddedMatrix<T> packed(rows, columns);
  for (int64_t row = 0; row < rows; ++row) {
    std::copy(from + row * columns, from + (row + 1) * columns, packed.row(row));
  }
  return packed;
}

// The first layer, ready for use.
template <class T>
struct HiddenLayer {
  const GroupLayer<T>& layer;
  PaddedMatrix<T> weight, bias;  // (inputs, hidden) and (1, hidden)
  explicit HiddenLayer(const GroupLayer<T>& layer)
      : layer(layer),
        weight(transposed(layer.weight, layer.hidden, layer.inputs)),
        bias(padded(layer.bias, 1, layer.hidden)) {}

  // Computes the hidden channels of `count` members from `first` on.
  void compute(int64_t first, int64_t count, PaddedMatrix<T>& hidden) const {
    if (layer.inputs == kRriInputs) return compute_few<kRriInputs>(first, count, hidden);
    using V = typename Vector<T>::Type;
    const V slope = splat<V>(layer.slope);
    for (int64_t member = 0; member < count; ++member) {
      const T* x = layer.features + (first + member) * layer.inputs;
      for (int64_t c = 0; c < hidden.width(); c += Vector<T>::lanes) {
        V y = load<V>(bias.row(0) + c);
        for (int64_t i = 0; i < layer.inputs; ++i) {
          y = multiply_add(splat<V>(x[i]), load<V>(weight.row(i) + c), y);
        }
        store(hidden.row(member) + c, y > V{} ? y : y * slope);
      }
    }
  }

  // The same, of so few inputs that their weights stay in the registers.
  template <int I>
  void compute_few(int64_t first, int64_t count, PaddedMatrix<T>& hidden) const {
    using V = typename Vector<T>::Type;
    const V slope = splat<V>(layer.slope);
    const T* x = layer.features + first * I;
    for (int64_t c = 0; c < hidden.width(); c += Vector<T>::lanes) {
      const V constant = load<V>(bias.row(0) + c);
      V of_inputs[I];
      for (int i = 0; i < I; ++i) of_inputs[i] = load<V>(weight.row(i) + c);
      for (int64_t member = 0; member < count; ++member) {
        V y = constant;
        for (int i = 0; i < I; ++i) y = multiply_add(splat<V>(x[member * I + i]), of_inputs[i], y);
        store(hidden.row(member) + c, y > V{} ? y : y * slope);
      }
    }
  }

  // Turns the gradient of hidden channels into that of what the LeakyReLU got.
  void through_slope(int64_t count, const PaddedMatrix<T>& hidden, PaddedMatrix<T>& gradient) const {
    using V = typename Vector<T>::Type;
    const V slope = splat<V>(layer.slope);
    for (int64_t i = 0; i < count * hidden.width(); i += Vector<T>::lanes) {
      const V above = load<V>(gradient.row(0) + i);
      store(gradient.row(0) + i, load<V>(hidden.row(0) + i) > V{} ? above : above * slope);
    }
  }
};

// sum[r][v] += Σ_d rows(r)[d] · matrix.row(d)[v] for R rows and V vectors of columns, where rows are
// `stride` apart and the entries of a row `step`.
template <int R, int N, class V, class T>
PCCLUST_INLINE void multiply_rows(const T* rows, int64_t stride, int64_t step, const T* matrix,
                                  int64_t width, int64_t depth, V (&sum)[R][N]) {
  for (int64_t d = 0; d < depth; ++d) {
    V columns[N];
    for (int n = 0; n < N; ++n) {
      columns[n] = load<V>(matrix + d * width + n * Vector<T>::lanes);
    }
    for (int r = 0; r < R; ++r) {
      const V entry = splat<V>(rows[r * stride + d * step]);
      for (int n = 0; n < N; ++n) sum[r][n] = multiply_add(entry, columns[n], sum[r][n]);
    }
  }
}

// The same from 0 on, row by row into `products`. A function of its own keeps all sums in registers.
template <int R, int N, class T>
__attribute__((noinline)) void multiply_tile(const T* rows, int64_t stride, int64_t step,
                                             const T* matrix, int64_t width, int64_t depth,
                                             T* products) {
  using V = typename Vector<T>::Type;
  V sum[R][N] = {};
  multiply_rows<R, N>(rows, stride, step, matrix, width, depth, sum);
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n) store(products + (r * N + n) * Vector<T>::lanes, sum[r][n]);
  }
}

// Calls use.template operator()<N>(column) for runs of up to kSumVectors vectors of columns.
template <class T, class Use>
PCCLUST_INLINE void for_each_columns(int64_t width, const Use& use) {
  constexpr int64_t lanes = Vector<T>::lanes;
  int64_t column = 0;
  for (; column + kSumVectors * lanes <= width; column += kSumVectors * lanes) {
    use.template operator()<kSumVectors>(column);
  }
  // Two at a time where it can be: a sum of its own for each addition that waits for its last.
  for (; column + 2 * lanes <= width; column += 2 * lanes) use.template operator()<2>(column);
  for (; column < width; column += lanes) use.template operator()<1>(column);
}

// Calls use.template operator()<R>(row) for runs of up to kSumRows rows.
template <class Use>
PCCLUST_INLINE void for_each_rows(int64_t rows, const Use& use) {
  int64_t row = 0;
  for (; row + kSumRows <= rows; row += kSumRows) use.template operator()<kSumRows>(row);
  for (; row < rows; ++row) use.template operator()<1>(row);
}

}  // namespace pcclust::inline PCCLUST_ISA
