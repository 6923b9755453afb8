// Rows of numbers as 8-bit codes, and what their inner products then prove about distances.
//
// A row (its shift subtracted) is scale·code + what is lost. For a point y = ŷ + e and a center
// z = ẑ + f, Cauchy and Schwarz give |⟨y, z⟩ − ⟨ŷ, ẑ⟩| ≤ ‖ŷ‖‖f‖ + ‖e‖‖z‖. So a product of integers,
// several times cheaper than one of floats, bounds a squared distance from below; who wants the
// nearest computes exactly the few distances that the bound does not rule out.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/buffer.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

typedef uint8_t U8x16 __attribute__((vector_size(16)));

// acc[lane] += Σ_b points[lane][b] · center[b] for four codes b: unsigned of points, signed of a
// center. `kCenterCode` is the largest code of a center with which nothing overflows; so many
// centers and points are multiplied at once as the registers hold.
#if defined(PCCLUST_HAS_VNNI)
typedef I32x16 Products;
constexpr int kCenterCode = 127, kCenters = 8, kTile = 48;
PCCLUST_INLINE Products dot4(Products acc, Products points, int32_t center) {
  return (Products)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)points, _mm512_set1_epi32(center));
}
#elif defined(PCCLUST_HAS_AVX512)
typedef I32x16 Products;
constexpr int kCenterCode = 64, kCenters = 8, kTile = 48;  // sums of two products have 16 bits
PCCLUST_INLINE Products dot4(Products acc, Products points, int32_t center) {
  const __m512i pairs = _mm512_maddubs_epi16((__m512i)points, _mm512_set1_epi32(center));
  return acc + (Products)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}
#elif defined(PCCLUST_HAS_AVX2)
typedef int32_t Products __attribute__((vector_size(32)));
constexpr int kCenterCode = 64, kCenters = 4, kTile = 16;  // sums of two products have 16 bits
PCCLUST_INLINE Products dot4(Products acc, Products points, int32_t center) {
  const __m256i pairs = _mm256_maddubs_epi16((__m256i)points, _mm256_set1_epi32(center));
  return acc + (Products)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
#else
typedef int32_t Products __attribute__((vector_size(16)));
constexpr int kCenterCode = 127, kCenters = 4, kTile = 16;
PCCLUST_INLINE Products dot4(Products acc, Products points, int32_t center) {
  for (int byte = 0; byte < 4; ++byte) {
    acc += (points >> (8 * byte) & 0xff) * static_cast<int8_t>(center >> (8 * byte));
  }
  return acc;
}
#endif

constexpr int kCodeLanes = 16;
constexpr int kPointCode = 127;
constexpr int kCodeOffset = 128;  // makes a point's codes unsigned

constexpr int64_t padded(int64_t dims) { return (dims + kCodeLanes - 1) / kCodeLanes * kCodeLanes; }

// Rounding of all that is computed in floats, relative to the squared norms that enter.
inline float rounding_slack(int64_t dims) {
  return (static_cast<float>(dims) / 4 + 64) * std::numeric_limits<float>::epsilon();
}

// A shifted row's scale and norms; `lost` is the norm of what its code does not say.
struct RowCode {
  float scale, norm, lost;
};

PCCLUST_INLINE float sum(F32x16 v) {
  float total = 0;
  for (int lane = 0; lane < kCodeLanes; ++lane) total += v[lane];
  return total;
}

// Writes row − shift into `shifted`, padded with zeros, and returns the largest absolute value.
template <class T>
PCCLUST_INLINE float subtract_shift(const T* row, const T* shift, int64_t dims, float* shifted) {
  for (int64_t d = 0; d < dims; ++d) shifted[d] = static_cast<float>(row[d] - shift[d]);
  for (int64_t d = dims; d < padded(dims); ++d) shifted[d] = 0;
  F32x16 top{};
  for (int64_t d = 0; d < padded(dims); d += kCodeLanes) {
    const F32x16 y = load<F32x16>(shifted + d);
    top = maximum(top, maximum(y, -y));
  }
  return largest_lane(top);
}

// Codes a row by integers up to `range`; `put(d, codes)` takes sixteen of them, plus kCodeOffset.
template <class T, class Put>
PCCLUST_INLINE RowCode encode(const T* row, const T* shift, int64_t dims, int range, float* scratch,
                           Put put) {
  const float top = subtract_shift(row, shift, dims, scratch);
  // A row too small for 1 / scale to exist is coded as zeros: everything is lost, and allowed for.
  const float scale = top > 1e-30f ? top / static_cast<float>(range) : 0;
  const float inverse = scale > 0 ? 1 / scale : 0;
  F32x16 squares{}, lost{};
  for (int64_t d = 0; d < padded(dims); d += kCodeLanes) {
    const F32x16 y = load<F32x16>(scratch + d);
    const I32x16 code = __builtin_convertvector(y * inverse + (kCodeOffset + 0.5f), I32x16);
    const F32x16 error = y - __builtin_convertvector(code - kCodeOffset, F32x16) * scale;
    squares += y * y;
    lost += error * error;
    put(d, __builtin_convertvector(code, U8x16));
  }
  return {scale, std::sqrt(sum(squares)), std::sqrt(sum(lost))};
}

// What the bounds need to know of the points of a tile, one lane each.
struct TileTerms {
  float scale[kTile], norm[kTile], lost[kTile], square[kTile];
};

// Codes `count` (up to kTile) rows; the lanes that are left repeat the last one.
// `codes` is (padded dims / 4, kTile, 4): four dimensions of a point side by side.
template <class T>
inline void encode_tile(const T* rows, int64_t count, const T* shift, int64_t dims, float* scratch,
                        uint8_t* codes, TileTerms& terms) {
  const float keep = 1 - rounding_slack(dims);
  for (int64_t lane = 0; lane < kTile; ++lane) {
    const T* row = rows + (lane < count ? lane : count - 1) * dims;
    const RowCode code = encode(row, shift, dims, kPointCode, scratch, [&](int64_t d, U8x16 c) {
      for (int64_t quad = 0; quad < 4; ++quad) {
        std::memcpy(codes + ((d / 4 + quad) * kTile + lane) * 4, &c[quad * 4], 4);
      }
    });
    terms.scale[lane] = code.scale;
    terms.norm[lane] = code.norm + code.lost;
    terms.lost[lane] = code.lost;
    terms.square[lane] = code.norm * code.norm * keep;
  }
}

// Centers as codes, one row each, and their terms of the bounds.
struct CenterCodes {
  int64_t dims = 0;
  Buffer<int8_t> codes;  // (count rounded up to kCenters, padded dims)
  Buffer<float> scale, norm, lost, square;
  Buffer<int32_t> start;  // what the offset of the points' codes adds, to be taken off

  CenterCodes(int64_t count, int64_t dims) : dims(padded(dims)) {
    const int64_t rows = (count + kCenters - 1) / kCenters * kCenters;
    codes.resize(rows * this->dims);
    std::fill_n(codes.data() + count * this->dims, (rows - count) * this->dims, int8_t(0));
    for (Buffer<float>* terms : {&scale, &norm, &lost, &square}) terms->resize(rows);
    start.resize(rows);
  }

  template <class T>
  void encode_row(int64_t index, const T* row, const T* shift, int64_t true_dims, float* scratch) {
    int32_t total = 0;
    int8_t* to = codes.data() + index * dims;
    const RowCode code = encode(row, shift, true_dims, kCenterCode, scratch, [&](int64_t d, U8x16 c) {
      c -= kCodeOffset;
      std::memcpy(to + d, &c, sizeof(c));
      for (int lane = 0; lane < kCodeLanes; ++lane) total += static_cast<int8_t>(c[lane]);
    });
    scale[index] = 2 * code.scale;
    norm[index] = 2 * code.norm;
    lost[index] = 2 * code.lost;
    square[index] = code.norm * code.norm * (1 - rounding_slack(true_dims)) -
                    static_cast<float>(dims) * std::numeric_limits<float>::min();
    start[index] = -kCodeOffset * total;
  }
};

// A point and a center that may be nearer to it than the limit.
struct NearPair {
  int32_t lane, center;
  float bound;  // of their squared distance, from below
};

// products[c][i] = Σ codes of point i · codes of center first + c.
inline void multiply(const uint8_t* points, const CenterCodes& centers, int64_t first,
                     int32_t (*products)[kTile]) {
  constexpr int kWide = sizeof(Products) / sizeof(int32_t);
  constexpr int kVectors = kTile / kWide;
  Products acc[kCenters][kVectors]{};
  const int8_t* row = centers.codes.data() + first * centers.dims;
  for (int64_t d = 0; d < centers.dims; d += 4, points += kTile * 4) {
    Products code[kVectors];
    for (int v = 0; v < kVectors; ++v) code[v] = load<Products>(points + v * sizeof(Products));
    for (int c = 0; c < kCenters; ++c) {
      int32_t quad;
      std::memcpy(&quad, row + c * centers.dims + d, sizeof(quad));
      for (int v = 0; v < kVectors; ++v) acc[c][v] = dot4(acc[c][v], code[v], quad);
    }
  }
  for (int c = 0; c < kCenters; ++c) {
    for (int v = 0; v < kVectors; ++v) store(products[c] + v * kWide, acc[c][v]);
  }
}

// Finds which of up to kCenters centers from `first` on may be within `limit` (squared, one for
// each lane) of the points of a tile; returns how many of up to kTile · kCenters it found.
inline int screen(const uint8_t* points, const TileTerms& terms, const CenterCodes& centers,
                  int64_t first, int64_t count, const float* limit, NearPair* found) {
  alignas(64) int32_t products[kCenters][kTile];
  multiply(points, centers, first, products);
  int candidates = 0;
  for (int i = 0; i < kTile; i += kCodeLanes) {
    const F32x16 scale = load<F32x16>(terms.scale + i);
    const F32x16 norm = load<F32x16>(terms.norm + i);
    const F32x16 lost = load<F32x16>(terms.lost + i);
    const F32x16 square = load<F32x16>(terms.square + i);
    const F32x16 most = load<F32x16>(limit + i);
    for (int64_t c = 0; c < count; ++c) {
      const int64_t j = first + c;
      const I32x16 product = load<I32x16>(products[c] + i) + centers.start[j];
      const F32x16 bound = square + centers.square[j] -
                           __builtin_convertvector(product, F32x16) * (scale * centers.scale[j]) -
                           norm * centers.lost[j] - lost * centers.norm[j];
      // Where squares overflow the bound is NaN, and must rule out nothing.
      for (uint32_t near = ~bits(less(most, bound)) & 0xffffu; near; near &= near - 1) {
        const int lane = __builtin_ctz(near);
        found[candidates++] = {i + lane, static_cast<int32_t>(j), bound[lane]};
      }
    }
  }
  return candidates;
}

}  // namespace pcclust::inline PCCLUST_ISA
