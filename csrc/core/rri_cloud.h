// A cloud as its centre sees it, and its points in the lanes of registers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/buffer.h"
#include "core/rri_tolerance.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// A point in units of a power of two near its cloud's radius, so that squares neither overflow nor
// vanish, and its distance from the centre in these units.
template <class T>
struct alignas(4 * sizeof(T)) Placed {
  T coordinate[3];
  T radius;
};

template <class T>
PCCLUST_INLINE T dot(const T (&a)[3], const T (&b)[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// The mean of a cloud, summed in double in the order of its points, from the first of them: clouds
// of equal points have exactly that point. In units of a power of two, for the widest of clouds.
template <class T>
void find_centroid(const T* points, int64_t count, T* center) {
  double reach = 0;
  for (int64_t i = 0; i < 3 * count; ++i) reach = std::max(reach, std::abs(double(points[i]) / 4));
  int exponent = 0;
  std::frexp(reach, &exponent);
  const int half = (exponent + 2) / 2, rest = exponent + 2 - half;
  const double shrink[2] = {std::ldexp(1.0, -half), std::ldexp(1.0, -rest)};
  for (int axis = 0; axis < 3; ++axis) {
    const double first = points[axis] * shrink[0] * shrink[1];
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += points[3 * i + axis] * shrink[0] * shrink[1] - first;
    const double mean = sum / static_cast<double>(count) * std::ldexp(1.0, half);
    center[axis] = static_cast<T>(points[axis] + mean * std::ldexp(1.0, rest));
  }
}

// The cloud as its centre sees it.
template <class T>
class RriCloud {
 public:
  // Seen from the centroid where `center` is null.
  RriCloud(const T* points, int64_t count, const T* center) {
    T centroid[3];
    if (!center) {
      find_centroid(points, count, centroid);
      center = centroid;
    }
    T reach = 0;
    for (int64_t i = 0; i < count; ++i) {
      for (int axis = 0; axis < 3; ++axis) {
        reach = std::max(reach, std::abs(points[3 * i + axis] / 4 - center[axis] / 4));
      }
    }
    // Two powers of two, since one alone may overflow or vanish.
    int exponent = 0;
    std::frexp(reach, &exponent);
    const int whole = exponent + 2, half = whole / 2;
    grow_[0] = std::ldexp(T(1), half);
    grow_[1] = std::ldexp(T(1), whole - half);
    shrink_[0] = std::ldexp(T(1), -half);
    shrink_[1] = std::ldexp(T(1), half - whole);
    for (int axis = 0; axis < 3; ++axis) middle_[axis] = shrunk(center[axis]);
    placed_.resize(count);
    T largest = 0;
    for (int64_t i = 0; i < count; ++i) {
      T relative[3];
      for (int axis = 0; axis < 3; ++axis) {
        placed_[i].coordinate[axis] = shrunk(points[3 * i + axis]);
        relative[axis] = placed_[i].coordinate[axis] - middle_[axis];
      }
      placed_[i].radius = std::sqrt(dot(relative, relative));
      largest = std::max(largest, placed_[i].radius);
    }
    nearest_ = static_cast<T>(RriTolerance<T>::direction) * largest;
  }

  const Placed<T>* placed() const { return placed_.data(); }
  bool has_direction(T radius) const { return radius > nearest_; }
  T nearest() const { return nearest_; }  // radii up to this have no direction
  T grow(int step) const { return grow_[step]; }  // the unit, in two factors
  // A radius in the unit of the points; the diagonal of the widest cloud would overflow.
  T length(T radius) const {
    return std::min(radius * grow_[0] * grow_[1], std::numeric_limits<T>::max());
  }
  // Sets `axis` to the unit vector from the centre to a point, 0 where there is none; returns the
  // point's radius.
  template <class Wide>
  Wide direction(const Placed<T>& point, Wide (&axis)[3]) const {
    for (int i = 0; i < 3; ++i) axis[i] = static_cast<Wide>(point.coordinate[i]) - middle_[i];
    const Wide radius = std::sqrt(dot(axis, axis));
    const Wide factor = has_direction(point.radius) ? 1 / radius : 0;
    for (int i = 0; i < 3; ++i) axis[i] *= factor;
    return radius;
  }

 private:
  T shrunk(T value) const { return value * shrink_[0] * shrink_[1]; }

  Buffer<Placed<T>> placed_;
  T grow_[2], shrink_[2], middle_[3], nearest_;
};

// Coordinates and radii of sixteen points, lane by lane.
PCCLUST_INLINE void gather_placed(const Placed<float>* placed, const int32_t* id,
                                  F32x16 (&out)[4]) {
#if defined(PCCLUST_HAS_AVX512)
  __m512 quad[4];  // quad[i] holds the points i, i + 4, i + 8, i + 12
  for (int i = 0; i < 4; ++i) {
    const auto point = [&](int at) { return _mm_load_ps(placed[id[i + at]].coordinate); };
    quad[i] = _mm512_castps128_ps512(point(0));
    quad[i] = _mm512_insertf32x4(quad[i], point(4), 1);
    quad[i] = _mm512_insertf32x4(quad[i], point(8), 2);
    quad[i] = _mm512_insertf32x4(quad[i], point(12), 3);
  }
  const __m512 a = _mm512_unpacklo_ps(quad[0], quad[1]), b = _mm512_unpackhi_ps(quad[0], quad[1]);
  const __m512 c = _mm512_unpacklo_ps(quad[2], quad[3]), d = _mm512_unpackhi_ps(quad[2], quad[3]);
  out[0] = (F32x16)_mm512_shuffle_ps(a, c, 0x44);
  out[1] = (F32x16)_mm512_shuffle_ps(a, c, 0xee);
  out[2] = (F32x16)_mm512_shuffle_ps(b, d, 0x44);
  out[3] = (F32x16)_mm512_shuffle_ps(b, d, 0xee);
#else
  alignas(64) float lanes[4][16];
#if defined(__x86_64__)
  for (int lane = 0; lane < 16; lane += 4) {
    __m128 point[4];
    for (int i = 0; i < 4; ++i) point[i] = _mm_load_ps(placed[id[lane + i]].coordinate);
    _MM_TRANSPOSE4_PS(point[0], point[1], point[2], point[3]);
    for (int i = 0; i < 4; ++i) _mm_store_ps(lanes[i] + lane, point[i]);
  }
#else
  for (int lane = 0; lane < 16; ++lane) {
    for (int i = 0; i < 3; ++i) lanes[i][lane] = placed[id[lane]].coordinate[i];
    lanes[3][lane] = placed[id[lane]].radius;
  }
#endif
  for (int i = 0; i < 4; ++i) out[i] = load<F32x16>(lanes[i]);
#endif
}

// Stores (a, b, c, d) of lane 0, then of lane 1, …: 64 floats.
PCCLUST_INLINE void store_interleaved(float* to, F32x16 a, F32x16 b, F32x16 c, F32x16 d) {
#if defined(PCCLUST_HAS_AVX512)
  const auto pairs = [](F32x16 x, F32x16 y, int half) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i at = _mm512_add_epi32(low, _mm512_set1_epi32(8 * half));
    return _mm512_castps_pd(_mm512_permutex2var_ps((__m512)x, at, (__m512)y));
  };
  const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i high = _mm512_add_epi64(low, _mm512_set1_epi64(4));
  for (int half = 0; half < 2; ++half) {
    const __m512d ab = pairs(a, b, half), cd = pairs(c, d, half);
    store(to + 32 * half, _mm512_permutex2var_pd(ab, low, cd));
    store(to + 32 * half + 16, _mm512_permutex2var_pd(ab, high, cd));
  }
#else
  alignas(64) float columns[4][16];
  const F32x16 all[4] = {a, b, c, d};
  std::memcpy(columns, all, sizeof(columns));
  for (int lane = 0; lane < 16; lane += 4) {
#if defined(__x86_64__)
    __m128 row[4];
    for (int i = 0; i < 4; ++i) row[i] = _mm_load_ps(columns[i] + lane);
    _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
    for (int i = 0; i < 4; ++i) _mm_storeu_ps(to + 4 * (lane + i), row[i]);
#else
    for (int at = lane; at < lane + 4; ++at) {
      for (int i = 0; i < 4; ++i) to[4 * at + i] = columns[i][at];
    }
#endif
  }
#endif
}

}  // namespace pcclust::inline PCCLUST_ISA
