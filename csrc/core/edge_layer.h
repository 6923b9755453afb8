// An EdgeConv whose BatchNorm is folded into its weights: a product on points, and the maximum of
// one half of it over each point's neighbours. What stands between is held for one cloud at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/parallel.h"
#include "core/row_product.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kEdgeRows = 384;  // that a thread takes where threads share a cloud

// The mean row of a cloud, summed in double.
template <class T>
std::vector<T> mean_row(const RowParts<T>& rows, int64_t start, int64_t size) {
  std::vector<T> mean;
  for (int64_t part = 0; part < rows.count; ++part) {
    const int64_t width = rows.widths[part];
    std::vector<double> sum(width);
    for (int64_t row = start; row < start + size; ++row) {
      const T* from = rows.data[part] + row * width;
      for (int64_t i = 0; i < width; ++i) sum[i] += from[i];
    }
    for (const double each : sum) mean.push_back(static_cast<T>(each / static_cast<double>(size)));
  }
  return mean;
}

// What u + v lack since both were made of rows less their mean: (A - B) c + B c = A c.
template <class T>
std::vector<T> edge_shift(const EdgeLayerArguments<T>& a, const std::vector<T>& center) {
  const int64_t inputs = a.layer.inputs;
  std::vector<T> shift(a.channels);
  for (int64_t c = 0; c < a.channels; ++c) {
    const T* u = a.layer.weight + c * inputs;
    const T* v = u + a.channels * inputs;
    double sum = 0;
    for (int64_t i = 0; i < inputs; ++i) sum += (static_cast<double>(u[i]) + v[i]) * center[i];
    shift[c] = static_cast<T>(sum);
  }
  return shift;
}

// The product on some rows of a cloud: u, shifted, goes to the output, v to `values`.
template <class T, class Product>
void project_rows(const EdgeLayerArguments<T>& a, const Product& product, int64_t start,
                  int64_t begin, int64_t end, const T* center, const T* shift,
                  typename Product::Tile& tile, T* values) {
  for (int64_t row = begin; row < end; row += kTileRows) {
    const int count = static_cast<int>(std::min<int64_t>(kTileRows, end - row));
    for (int i = 0; i < count; ++i) product.take(a.rows, start + row + i, center, i, tile);
    for (int64_t panel = 0; panel < product.panels(); ++panel) {
      product.multiply(panel, tile);
      for (int64_t c = 0; c < kPanel<T>; c += Vector<T>::lanes) {
        // Outputs lie u and then v, each in whole vectors: see `padded_halves`.
        const int64_t output = panel * kPanel<T> + c;
        const int64_t half = whole_vectors<T>(a.channels);
        if (output >= 2 * half) break;
        for (int i = 0; i < count; ++i) {
          const T* from = tile.results.data() + i * kPanel<T> + c;
          if (output >= half) {
            std::memcpy(values + (row + i) * half + output - half, from, kRegisterBytes);
            continue;
          }
          const int64_t lanes = std::min<int64_t>(Vector<T>::lanes, a.channels - output);
          T* to = a.out + (start + row + i) * a.channels + output;
          for (int64_t lane = 0; lane < lanes; ++lane) to[lane] = from[lane] + shift[output + lane];
        }
      }
    }
  }
}

// Whether any number of some whole vectors is NaN.
template <class T>
bool has_nan(const T* values, int64_t count) {
  using V = typename Vector<T>::Type;
  typename Vector<T>::Mask nan{};
  for (int64_t i = 0; i < count; i += Vector<T>::lanes) {
    const V v = load<V>(values + i);
    nan |= v != v;
  }
  for (int lane = 0; lane < Vector<T>::lanes; ++lane) {
    if (nan[lane]) return true;
  }
  return false;
}

// The largest of N vectors of channels over a point's neighbours; NaN, if there may be one, stays.
template <int N, bool nan, class T>
PCCLUST_INLINE void largest_of(const int64_t* near, int64_t k, const T* values, int64_t width,
                               T* largest) {
  using V = typename Vector<T>::Type;
  V best[N];
  for (int n = 0; n < N; ++n) best[n] = load<V>(values + near[0] * width + n * Vector<T>::lanes);
  for (int64_t j = 1; j < k; ++j) {
    const T* from = values + near[j] * width;
    for (int n = 0; n < N; ++n) {
      const V v = load<V>(from + n * Vector<T>::lanes);
      if constexpr (nan) best[n] = best[n] == best[n] ? maximum(best[n], v) : best[n];
      else best[n] = maximum(best[n], v);
    }
  }
  for (int n = 0; n < N; ++n) store(largest + n * Vector<T>::lanes, best[n]);
}

template <bool nan, class T>
void finish_rows(const EdgeLayerArguments<T>& a, int64_t start, int64_t begin, int64_t end,
                 const T* values, T* largest) {
  const int64_t width = whole_vectors<T>(a.channels);
  for (int64_t row = start + begin; row < start + end; ++row) {
    for_each_columns<T>(width, [&]<int N>(int64_t column) {
      largest_of<N, nan>(a.neighbors + row * a.k, a.k, values + column, width, largest + column);
    });
    T* to = a.out + row * a.channels;
    for (int64_t c = 0; c < a.channels; ++c) {
      const T y = to[c] + largest[c];
      to[c] = y > 0 ? y : y * a.layer.slope;
    }
  }
}

// Weight and bias with u and v padded to whole vectors each.
template <class T>
struct PaddedHalves {
  PaddedHalves(const EdgeLayerArguments<T>& a) : layer(a.layer) {
    const int64_t half = whole_vectors<T>(a.channels), inputs = a.layer.inputs;
    weight.resize(2 * half * inputs);
    bias.resize(2 * half);
    for (int64_t c = 0; c < a.channels; ++c) {
      for (int side = 0; side < 2; ++side) {
        const T* from = a.layer.weight + (side * a.channels + c) * inputs;
        std::copy(from, from + inputs, weight.begin() + (side * half + c) * inputs);
      }
      bias[c] = a.layer.bias[c];
    }
    layer.weight = weight.data();
    layer.bias = bias.data();
    layer.outputs = 2 * half;
  }
  std::vector<T> weight, bias;
  RowLayer<T> layer;
};

template <class T>
void edge_layer(const EdgeLayerArguments<T>& a, const Threads& threads) {
  const PaddedHalves<T> halves(a);
  const Shares shares = share_clouds(threads, a.clouds, threads.count);
  const int64_t width = whole_vectors<T>(a.channels);
  with_product<T>(halves.layer, [&](const auto& product) {
    using Product = std::remove_cvref_t<decltype(product)>;
    const auto make_values = [] { return Buffer<T>(); };
    for_each_task_with(shares.across, a.clouds, make_values, [&](int64_t cloud, Buffer<T>& values) {
      const int64_t start = a.starts[cloud], size = a.sizes[cloud];
      if (size == 0) return;
      const std::vector<T> center = mean_row(a.rows, start, size), shift = edge_shift(a, center);
      values.resize(size * width);
      const int64_t blocks = (size + kEdgeRows - 1) / kEdgeRows;
      const auto rows_of = [&](int64_t block, const auto& use) {
        use(block * kEdgeRows, std::min(size, (block + 1) * kEdgeRows));
      };
      std::vector<uint8_t> nan(blocks);  // which blocks hold any
      const auto make_tile = [&] { return typename Product::Tile(product); };
      for_each_task_with(shares.inside, blocks, make_tile, [&](int64_t block, auto& tile) {
        rows_of(block, [&](int64_t begin, int64_t end) {
          project_rows(a, product, start, begin, end, center.data(), shift.data(), tile,
                       values.data());
          nan[block] = has_nan(values.data() + begin * width, (end - begin) * width);
        });
      });
      const bool careful = std::find(nan.begin(), nan.end(), 1) != nan.end();
      const auto make_row = [&] { return Buffer<T>(width); };
      for_each_task_with(shares.inside, blocks, make_row, [&](int64_t block, Buffer<T>& largest) {
        rows_of(block, [&](int64_t begin, int64_t end) {
          const auto finish = careful ? finish_rows<true, T> : finish_rows<false, T>;
          finish(a, start, begin, end, values.data(), largest.data());
        });
      });
    });
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
