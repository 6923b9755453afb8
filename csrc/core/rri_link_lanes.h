// RRI features and who follows whom, of floats whose neighbours all have an azimuth, and these well
// apart: sixteen neighbours at a time. Edges and gaps are in double, since those who ask for links
// divide by gaps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/angle.h"
#include "core/rri_cloud.h"
#include "core/rri_lanes.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

typedef float F32x8 __attribute__((vector_size(32)));

// Eight of sixteen lanes, from lane `half` on, as doubles and back.
PCCLUST_INLINE F64x8 widen_half(const F32x16& v, int half) {
  F32x8 lanes;
  std::memcpy(&lanes, reinterpret_cast<const char*>(&v) + 4 * half, sizeof(lanes));
  return __builtin_convertvector(lanes, F64x8);
}
PCCLUST_INLINE void narrow_half(F64x8 v, int half, F32x16& to) {
  const F32x8 lanes = __builtin_convertvector(v, F32x8);
  std::memcpy(reinterpret_cast<char*>(&to) + 4 * half, &lanes, sizeof(lanes));
}

// What the neighbours of a point look like around its axis, sixteen at a time.
struct Around {
  alignas(64) double x[kLaneRoom], y[kLaneRoom];
  alignas(64) float azimuth[2 * kLaneRoom + 16];
  alignas(64) int32_t successor[kLaneRoom];
};

// Sets the columns that follow sixteen columns around the axis, and returns the gaps to them as the
// azimuths have it; `lowest_column` has the lowest azimuth.
PCCLUST_INLINE F32x16 find_successors(Around& around, int part, int k, int32_t lowest_column) {
  using V = Vector<float>::Type;
  using Signed = Vector<float>::Mask;
  using Unsigned = Vector<uint32_t>::Type;
  alignas(64) float gaps[16];
  for (int lane = 0; lane < 16; lane += Vector<float>::lanes) {
    const float* azimuth = around.azimuth + 16 * part + lane;
    const V own = load<V>(azimuth);
    // As unsigned integers, negative differences are larger than positive ones: the minimum is the
    // gap to the next azimuth, or negative for the last one, whose next is the lowest.
    Unsigned least = splat<Unsigned>(0xffffffffu);
    Signed column{};
    for (int step = 1; step < k; ++step) {
      const auto difference = (Unsigned)(load<V>(azimuth + step) - own);
      column = where(less(difference, least), Signed{} + step, column);
      least = minimum(difference, least);
    }
    for (int at = 0; at < Vector<float>::lanes; ++at) column[at] += 16 * part + lane + at;
    column = where(less(column, Signed{} + k), column, column - k);
    const Signed last = less((Signed)least, Signed{});
    store(around.successor + 16 * part + lane, where(last, Signed{} + lowest_column, column));
    const V turn = (around.azimuth[lowest_column] - own) + static_cast<float>(kTurn);
    store(gaps + lane, where(last, turn, (V)least));
  }
  return load<F32x16>(gaps);
}

// The angles from sixteen neighbours to those that follow them, right to float's relative rounding
// however small they are.
PCCLUST_INLINE F32x16 turns_between(const Around& around, int part) {
  alignas(64) double x[16], y[16];
  for (int lane = 0; lane < 16; ++lane) {
    x[lane] = around.x[around.successor[16 * part + lane]];
    y[lane] = around.y[around.successor[16 * part + lane]];
  }
  F32x16 sine, cosine;
  for (int half = 0; half < 16; half += 8) {
    const F64x8 own_x = load<F64x8>(around.x + 16 * part + half);
    const F64x8 own_y = load<F64x8>(around.y + 16 * part + half);
    const F64x8 next_x = load<F64x8>(x + half), next_y = load<F64x8>(y + half);
    narrow_half(own_x * next_y - own_y * next_x, half, sine);
    narrow_half(own_x * next_x + own_y * next_y, half, cosine);
  }
  return angle_around(sine, cosine);
}

// Writes the features and successors of one point of up to 64 neighbours; returns false, having
// written nothing that matters, where some have no azimuth or two nearly the same.
template <class List>
bool rri_links_by_lanes(const RriCloud<float>& cloud, int64_t point, const List& list, int k,
                  float* features, int64_t* successors) {
  const Placed<float>& center = cloud.placed()[point];
  if (k > kLaneRoom || k < 2 || !cloud.has_direction(center.radius)) return false;
  double axis[3], u[3], v[3];
  const double reach = cloud.direction(center, axis);
  complete_frame(axis, u, v);

  const int parts = (k + 15) / 16;
  alignas(64) int32_t id[kLaneRoom];
  for (int i = 0; i < k; ++i) id[i] = list.id(i);
  for (int i = k; i < 16 * parts; ++i) id[i] = id[0];  // repeats change no minimum and no maximum
  Around around;
  F32x16 radius[kLaneRoom / 16], polar[kLaneRoom / 16];
  uint32_t rejected = 0;
  F32x16 steepest{};
  for (int part = 0; part < parts; ++part) {
    F32x16 at[4];
    gather_placed(cloud.placed(), id + 16 * part, at);
    F32x16 x, y, cosine;
    for (int half = 0; half < 16; half += 8) {
      F64x8 edge[3];
      for (int i = 0; i < 3; ++i) edge[i] = widen_half(at[i], half) - double(center.coordinate[i]);
      const auto along = [&](const double (&w)[3]) {
        return edge[0] * w[0] + edge[1] * w[1] + edge[2] * w[2];
      };
      const F64x8 right = along(u), up = along(v);
      store(around.x + 16 * part + half, right);
      store(around.y + 16 * part + half, up);
      narrow_half(right, half, x);
      narrow_half(up, half, y);
      narrow_half(reach + along(axis), half, cosine);
    }
    const F32x16 square = x * x + y * y;
    const F32x16 least = static_cast<float>(RriTolerance<float>::direction) * at[3];
    rejected |= lanes_at_most(square, least * least) |
                lanes_at_most(at[3], splat<F32x16>(cloud.nearest()));
    const F32x16 sine = square_root(square);
    steepest = maximum(steepest, at[3] / sine);
    polar[part] = angle_above(sine, cosine);
    const F32x16 length = at[3] * cloud.grow(0) * cloud.grow(1);
    radius[part] = minimum(length, splat<F32x16>(std::numeric_limits<float>::max()));
    store(around.azimuth + 16 * part, angle_around(y, x));
  }
  if (rejected) return false;

  // So that i + step needs no wrapping.
  std::memcpy(around.azimuth + k, around.azimuth, k * sizeof(float));
  const float* lowest = std::min_element(around.azimuth, around.azimuth + k);
  // Gaps that rounding may have made of none are looked at in double.
  const float close = static_cast<float>(RriTolerance<float>::azimuth) + kNoise * largest_lane(steepest);
  for (int part = 0; part < parts; ++part) {
    const auto lowest_column = static_cast<int32_t>(lowest - around.azimuth);
    const F32x16 rough = find_successors(around, part, k, lowest_column);
    const int used = std::min(16, k - 16 * part);
    const uint32_t lanes = (1u << used) - 1;
    if (lanes_at_most(rough, splat<F32x16>(close)) & lanes) return false;
    const F32x16 gap = turns_between(around, part);
    const F32x16 own_radius = splat<F32x16>(cloud.length(center.radius));
    float* to = features + 64 * part;
    if (used == 16) {
      store_interleaved(to, own_radius, radius[part], polar[part], gap);
    } else {
      alignas(64) float rows[64];
      store_interleaved(rows, own_radius, radius[part], polar[part], gap);
      std::memcpy(to, rows, 4 * used * sizeof(float));
    }
  }
  for (int i = 0; i < k; ++i) successors[i] = around.successor[i];
  return true;
}

}  // namespace pcclust::inline PCCLUST_ISA
