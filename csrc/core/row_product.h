// Products of rows with the weight of a layer, a few rows and one panel of outputs at a time.
//
// The rows lie in several matrices side by side, which are brought together only in the cache. In
// half precision both factors are rounded to bfloat16 and products summed in float, by the
// processor's own instruction where it has one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/group_layer.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
constexpr int64_t kPanel = kSumVectors * Vector<T>::lanes;  // outputs of a panel

// The nearest number that bfloat16 has, to even; NaN stays.
PCCLUST_INLINE uint32_t rounded_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (value != value) return bits | 0x400000u;
  return bits + 0x7fffu + (bits >> 16 & 1);
}

// Factors as they are.
template <class T>
struct Exact {
  using Value = T;
  using V = typename Vector<T>::Type;
  static int64_t steps(int64_t inputs) { return inputs; }
  static void put_weight(Value* to, int64_t input, int64_t output, T value) {
    to[input * kPanel<T> + output] = value;
  }
  // Puts inputs from number `first` on in their places, less the centre where there is one.
  static void put(Value* to, int64_t first, const T* from, int64_t count, const T* center) {
    to += first;
    if (!center) return static_cast<void>(std::copy_n(from, count, to));
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] - center[i];
  }
  static PCCLUST_INLINE V spread(Value value) { return splat<V>(value); }
  static PCCLUST_INLINE V columns(const Value* from) { return load<V>(from); }
  static PCCLUST_INLINE V add(V row, V column, V sum) { return multiply_add(row, column, sum); }
};

#if defined(PCCLUST_HAS_BF16)
// Two factors in bfloat16 in one number.
struct Half {
  using Value = uint32_t;
  using V = F32x16;
  static int64_t steps(int64_t inputs) { return (inputs + 1) / 2; }
  static void put_one(Value& to, int64_t input, float value) {
    const uint32_t bits = rounded_bits(value) >> 16;
    to = input % 2 ? to | bits << 16 : bits;
  }
  static void put_weight(Value* to, int64_t input, int64_t output, float value) {
    put_one(to[input / 2 * kPanel<float> + output], input, value);
  }
  static void put(Value* to, int64_t first, const float* from, int64_t count, const float* center) {
    int64_t i = 0;
    for (; first % 2 == 0 && i + 32 <= count; i += 32) {
      F32x16 low = load<F32x16>(from + i), high = load<F32x16>(from + i + 16);
      if (center) {
        low -= load<F32x16>(center + i);
        high -= load<F32x16>(center + i + 16);
      }
      store(to + (first + i) / 2, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
    }
    for (; i < count; ++i) {
      put_one(to[(first + i) / 2], first + i, center ? from[i] - center[i] : from[i]);
    }
  }
  static PCCLUST_INLINE V spread(Value value) { return (V)_mm512_set1_epi32(static_cast<int>(value)); }
  static PCCLUST_INLINE V columns(const Value* from) { return load<V>(from); }
  static PCCLUST_INLINE V add(V row, V column, V sum) {
    return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)(__m512i)row, (__m512bh)(__m512i)column);
  }
};
#else
// Factors rounded to bfloat16, but kept as floats.
struct Half : Exact<float> {
  static float rounded(float value) {
    const uint32_t bits = rounded_bits(value) & 0xffff0000u;
    std::memcpy(&value, &bits, sizeof(bits));
    return value;
  }
  static void put_weight(Value* to, int64_t input, int64_t output, float value) {
    to[input * kPanel<float> + output] = rounded(value);
  }
  static void put(Value* to, int64_t first, const float* from, int64_t count, const float* center) {
    for (int64_t i = 0; i < count; ++i) {
      to[first + i] = rounded(center ? from[i] - center[i] : from[i]);
    }
  }
};
#endif

// A layer's weight and bias in panels, and room for the rows of a tile is made by `Tile`.
template <class T, class Factors>
class RowProduct {
 public:
  using Value = typename Factors::Value;
  explicit RowProduct(const RowLayer<T>& layer)
      : inputs_(layer.inputs),
        steps_(Factors::steps(layer.inputs)),
        panels_((layer.outputs + kPanel<T> - 1) / kPanel<T>),
        weight_(panels_ * steps_ * kPanel<T>),
        bias_(panels_ * kPanel<T>) {
    std::fill_n(weight_.data(), panels_ * steps_ * kPanel<T>, Value(0));
    std::fill_n(bias_.data(), panels_ * kPanel<T>, T(0));
    for (int64_t out = 0; out < layer.outputs; ++out) {
      Value* panel = weight_.data() + out / kPanel<T> * steps_ * kPanel<T>;
      for (int64_t in = 0; in < inputs_; ++in) {
        Factors::put_weight(panel, in, out % kPanel<T>, layer.weight[out * inputs_ + in]);
      }
      if (layer.bias) bias_[out] = layer.bias[out];
    }
  }

  int64_t panels() const { return panels_; }
  int64_t steps() const { return steps_; }

  // The rows of a tile, as factors, and what the layer makes of them in one panel of outputs.
  struct Tile {
    explicit Tile(const RowProduct& product)
        : rows(kTileRows * product.steps()), results(kTileRows * kPanel<T>) {
      std::fill_n(rows.data(), kTileRows * product.steps(), Value(0));
    }
    Buffer<Value> rows;
    Buffer<T> results;
  };

  // Takes row `row` of the parts for place `place` of the tile, less the centre where there is one.
  void take(const RowParts<T>& parts, int64_t row, const T* center, int place, Tile& tile) const {
    Value* to = tile.rows.data() + place * steps_;
    int64_t input = 0;
    for (int64_t part = 0; part < parts.count; ++part) {
      const int64_t width = parts.widths[part];
      const T* from = parts.data[part] + row * width;
      Factors::put(to, input, from, width, center ? center + input : nullptr);
      input += width;
    }
  }

  void multiply(int64_t panel, Tile& tile) const {
    using V = typename Vector<T>::Type;
    constexpr int lanes = Vector<T>::lanes;
    const Value* columns = weight_.data() + panel * steps_ * kPanel<T>;
    const Value* rows = tile.rows.data();
    V sum[kTileRows][kSumVectors];
    for (int n = 0; n < kSumVectors; ++n) {
      const V first = load<V>(bias_.data() + panel * kPanel<T> + n * lanes);
      for (int r = 0; r < kTileRows; ++r) sum[r][n] = first;
    }
    for (int64_t step = 0; step < steps_; ++step) {
      V column[kSumVectors];
      for (int n = 0; n < kSumVectors; ++n) column[n] = Factors::columns(columns + step * kPanel<T> + n * lanes);
      for (int r = 0; r < kTileRows; ++r) {
        const V row = Factors::spread(rows[r * steps_ + step]);
        for (int n = 0; n < kSumVectors; ++n) sum[r][n] = Factors::add(row, column[n], sum[r][n]);
      }
    }
    for (int r = 0; r < kTileRows; ++r) {
      for (int n = 0; n < kSumVectors; ++n) store(tile.results.data() + r * kPanel<T> + n * lanes, sum[r][n]);
    }
  }

 private:
  int64_t inputs_, steps_, panels_;
  Buffer<Value> weight_;
  Buffer<T> bias_;
};

// Calls use(RowProduct) with the factors that a layer asks for.
template <class T, class Use>
void with_product(const RowLayer<T>& layer, const Use& use) {
  if constexpr (std::is_same_v<T, float>) {
    if (layer.half) return use(RowProduct<T, Half>(layer));
  }
  use(RowProduct<T, Exact<T>>(layer));
}

template <class T>
PCCLUST_INLINE void activate(T* values, int64_t count, T slope) {
  using V = typename Vector<T>::Type;
  for (int64_t i = 0; i < count; i += Vector<T>::lanes) {
    const V y = load<V>(values + i);
    store(values + i, y > V{} ? y : y * splat<V>(slope));
  }
}

}  // namespace pcclust::inline PCCLUST_ISA
