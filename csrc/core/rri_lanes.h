// RRI features of floats whose neighbours all have an azimuth, and these well apart: sixteen
// neighbours at a time, in float.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/angle.h"
#include "core/rri_cloud.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Two unit vectors that complete `n` to a right-handed frame (Duff et al., "Building an Orthonormal
// Basis, Revisited", JCGT 2017).
template <class T>
PCCLUST_INLINE void complete_frame(const T (&n)[3], T (&u)[3], T (&v)[3]) {
  const T sign = std::copysign(T(1), n[2]), a = -1 / (sign + n[2]), b = n[0] * n[1] * a;
  u[0] = 1 + sign * n[0] * n[0] * a;
  u[1] = sign * b;
  u[2] = -sign * n[0];
  v[0] = b;
  v[1] = sign + n[1] * n[1] * a;
  v[2] = -n[1];
}

// How far float rounding moves an azimuth, in units of radius / distance from the axis.
constexpr float kNoise = 5e-7f;

constexpr int kLaneRoom = 64;

// The gaps from sixteen azimuths to the next of all k, which are there twice.
PCCLUST_INLINE F32x16 gaps_to_next(const float* azimuth, int k, float lowest) {
  using V = Vector<float>::Type;
  using Signed = Vector<float>::Mask;
  using Unsigned = Vector<uint32_t>::Type;
  alignas(64) float gaps[16];
  for (int lane = 0; lane < 16; lane += Vector<float>::lanes) {
    // As unsigned integers, negative differences are larger than positive ones: the minimum is the
    // gap to the next azimuth, or negative for the last one, whose next is the lowest.
    const V own = load<V>(azimuth + lane);
    Unsigned least = splat<Unsigned>(0xffffffffu);
    for (int step = 1; step < k; ++step) {
      const V difference = load<V>(azimuth + lane + step) - own;
      least = minimum((Unsigned)difference, least);
    }
    const V around = (lowest - own) + 6.28318531f;
    store(gaps + lane, where(less((Signed)least, Signed{}), around, (V)least));
  }
  return load<F32x16>(gaps);
}

// Writes the features of one point of up to 64 neighbours; returns false, having written nothing that
// matters, where some have no azimuth or two nearly the same.
template <class List>
bool rri_by_lanes(const RriCloud<float>& cloud, int64_t point, const List& list, int k,
                  float* features) {
  const Placed<float>& center = cloud.placed()[point];
  if (k > kLaneRoom || !cloud.has_direction(center.radius)) return false;
  float axis[3], u[3], v[3];
  cloud.direction(center, axis);
  complete_frame(axis, u, v);

  const int parts = (k + 15) / 16;
  alignas(64) int32_t id[kLaneRoom];
  for (int i = 0; i < k; ++i) id[i] = list.id(i);
  for (int i = k; i < 16 * parts; ++i) id[i] = id[0];  // repeats change no minimum and no maximum
  alignas(64) float azimuth[2 * kLaneRoom + 16];
  F32x16 radius[kLaneRoom / 16], polar[kLaneRoom / 16];
  uint32_t rejected = 0;
  F32x16 steepest{}, first = splat<F32x16>(6.28318531f);
  for (int part = 0; part < parts; ++part) {
    F32x16 at[4];
    gather_placed(cloud.placed(), id + 16 * part, at);
    for (int i = 0; i < 3; ++i) at[i] = at[i] - center.coordinate[i];
    const auto along = [&](const float (&w)[3]) { return at[0] * w[0] + at[1] * w[1] + at[2] * w[2]; };
    const F32x16 x = along(u), y = along(v), square = x * x + y * y;
    const F32x16 least = static_cast<float>(RriTolerance<float>::direction) * at[3];
    rejected |= lanes_at_most(square, least * least) |
                lanes_at_most(at[3], splat<F32x16>(cloud.nearest()));
    const F32x16 sine = square_root(square);
    steepest = maximum(steepest, at[3] / sine);
    polar[part] = angle_above(sine, center.radius + along(axis));
    const F32x16 length = at[3] * cloud.grow(0) * cloud.grow(1);
    radius[part] = minimum(length, splat<F32x16>(std::numeric_limits<float>::max()));
    const F32x16 around = angle_around(y, x);
    first = minimum(first, around);
    store(azimuth + 16 * part, around);
  }
  if (rejected) return false;

  std::memcpy(azimuth + k, azimuth, k * sizeof(float));  // so that i + step needs no wrapping
  const float lowest = -largest_lane(-first);
  // Gaps that rounding may have made of none are looked at in double.
  const float close = static_cast<float>(RriTolerance<float>::azimuth) + kNoise * largest_lane(steepest);
  for (int part = 0; part < parts; ++part) {
    const F32x16 gap = gaps_to_next(azimuth + 16 * part, k, lowest);
    const int used = std::min(16, k - 16 * part);
    const uint32_t lanes = (1u << used) - 1;
    if (lanes_at_most(gap, splat<F32x16>(close)) & lanes) return false;
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
  return true;
}

}  // namespace pcclust::inline PCCLUST_ISA
