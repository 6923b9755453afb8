// Rotation-invariant features of every neighbourhood, computed while its neighbours are at hand.
//
// pcclust/ops/rri.py defines them and its torch twin is the reference. Two paths: one for floats
// whose neighbours all have an azimuth, and these well apart, sixteen neighbours at a time; and one
// for everything else, which also tells who follows whom.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "core/angle.h"
#include "core/arguments.h"
#include "core/buffer.h"
#include "core/neighbor_search.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
struct RriTolerance;  // as in pcclust/ops/_neighborhoods.py and _azimuth.py, where they are explained
template <>
struct RriTolerance<float> {
  static constexpr float direction = 1e-3f, azimuth = 1e-5f;
};
template <>
struct RriTolerance<double> {
  static constexpr double direction = 1e-7, azimuth = 1e-6;
};

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
    nearest_ = RriTolerance<T>::direction * largest;
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

constexpr double kTurn = 2 * 3.14159265358979323846;

// The gaps between azimuths, and the successors, by the rules of pcclust/ops/_azimuth.py.
class AzimuthOrder {
 public:
  void start(double tolerance) {
    tolerance_ = tolerance;
    entries_.clear();
  }
  void add(double azimuth, int64_t column) { entries_.push_back({azimuth, column, 0}); }

  // Calls use(column, gap, successor) for every entry.
  template <class Use>
  void each_gap(const Use& use) {
    number_groups();
    const int64_t count = static_cast<int64_t>(entries_.size());
    for (int64_t at = 0, first = 0; at < count; ++at) {
      if (at > 0 && entries_[at].group != entries_[at - 1].group) first = at;
      const int64_t next = at + 1 < count ? at + 1 : 0;
      const bool closes = next == 0 || entries_[next].group != entries_[at].group;
      double gap = entries_[next].azimuth - entries_[first].azimuth;
      if (!(gap > 0)) gap += kTurn;
      use(entries_[at].column, closes ? gap : 0.0, entries_[next].column);
    }
  }

 private:
  struct Entry {
    double azimuth;
    int64_t column;
    int64_t group;
  };

  void number_groups() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return a.azimuth < b.azimuth || (a.azimuth == b.azimuth && a.column < b.column);
    });
    const int64_t count = static_cast<int64_t>(entries_.size());
    int64_t group = 0;
    for (int64_t at = 0; at < count; ++at) {
      const double after = at + 1 < count ? entries_[at + 1].azimuth : entries_[0].azimuth + kTurn;
      entries_[at].group = group;
      group += after - entries_[at].azimuth > tolerance_;
    }
    // What comes after the last end belongs to the group that begins the row.
    for (Entry& entry : entries_) entry.group %= std::max<int64_t>(group, 1);
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return a.group < b.group || (a.group == b.group && a.column < b.column);
    });
  }

  double tolerance_ = 0;
  std::vector<Entry> entries_;
};

// Writes the features of one point, and its successors where asked for, whatever its neighbourhood.
// In double, so that rounding does not part azimuths that are equal.
template <class T, class List>
void rri_by_sorting(const RriCloud<T>& cloud, int64_t point, const List& list, int64_t k,
                    T* features, int64_t* successors) {
  static thread_local AzimuthOrder order;
  order.start(RriTolerance<T>::azimuth);
  const Placed<T>& center = cloud.placed()[point];
  const bool placed = cloud.has_direction(center.radius);
  double axis[3], u[3], v[3];
  const double radius = cloud.direction(center, axis);
  complete_frame(axis, u, v);
  for (int64_t column = 0; column < k; ++column) {
    const Placed<T>& neighbor = cloud.placed()[list.id(column)];
    double edge[3];
    for (int i = 0; i < 3; ++i) {
      edge[i] = static_cast<double>(neighbor.coordinate[i]) - center.coordinate[i];
    }
    const bool seen = placed && cloud.has_direction(neighbor.radius);
    const double x = dot(u, edge), y = dot(v, edge), sine = std::sqrt(x * x + y * y);
    T* row = features + 4 * column;
    row[0] = cloud.length(center.radius);
    row[1] = cloud.length(neighbor.radius);
    row[2] = seen ? static_cast<T>(std::atan2(sine, radius + dot(axis, edge))) : 0;
    row[3] = 0;
    if (successors) successors[column] = -1;
    if (!seen || !(sine > RriTolerance<T>::direction * neighbor.radius)) continue;
    const double azimuth = std::atan2(y, x);
    order.add(azimuth < 0 ? azimuth + kTurn : azimuth, column);
  }
  order.each_gap([&](int64_t column, double gap, int64_t successor) {
    features[4 * column + 3] = static_cast<T>(gap);
    if (successors) successors[column] = successor;
  });
}

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
  float lanes[4][16];
  for (int lane = 0; lane < 16; ++lane) {
    for (int i = 0; i < 3; ++i) lanes[i][lane] = placed[id[lane]].coordinate[i];
    lanes[3][lane] = placed[id[lane]].radius;
  }
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
  for (int lane = 0; lane < 16; ++lane) {
    const float row[4] = {a[lane], b[lane], c[lane], d[lane]};
    std::memcpy(to + 4 * lane, row, sizeof(row));
  }
#endif
}

// How far float rounding moves an azimuth, in units of radius / distance from the axis.
constexpr float kNoise = 5e-7f;

// The same for up to 64 neighbours, sixteen at a time; returns false, having written nothing that
// matters, where some have no azimuth or two nearly the same.
template <class List>
bool rri_by_lanes(const RriCloud<float>& cloud, int64_t point, const List& list, int k,
                  float* features) {
  constexpr int kRoom = 64;
  typedef uint32_t U32x16 __attribute__((vector_size(64)));
  const Placed<float>& center = cloud.placed()[point];
  if (k > kRoom || !cloud.has_direction(center.radius)) return false;
  float axis[3], u[3], v[3];
  cloud.direction(center, axis);
  complete_frame(axis, u, v);

  const int parts = (k + 15) / 16;
  alignas(64) int32_t id[kRoom];
  for (int i = 0; i < k; ++i) id[i] = list.id(i);
  for (int i = k; i < 16 * parts; ++i) id[i] = id[0];  // repeats change no minimum and no maximum
  alignas(64) float azimuth[2 * kRoom + 16];
  F32x16 radius[kRoom / 16], polar[kRoom / 16];
  uint32_t rejected = 0;
  F32x16 steepest{}, first = splat<F32x16>(6.28318531f);
  for (int part = 0; part < parts; ++part) {
    F32x16 at[4];
    gather_placed(cloud.placed(), id + 16 * part, at);
    for (int i = 0; i < 3; ++i) at[i] = at[i] - center.coordinate[i];
    const auto along = [&](const float (&w)[3]) { return at[0] * w[0] + at[1] * w[1] + at[2] * w[2]; };
    const F32x16 x = along(u), y = along(v), square = x * x + y * y;
    const F32x16 least = RriTolerance<float>::direction * at[3];
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
  const float close = RriTolerance<float>::azimuth + kNoise * largest_lane(steepest);
  for (int part = 0; part < parts; ++part) {
    // As unsigned integers, negative differences are larger than positive ones: the minimum is the
    // gap to the next azimuth, or negative for the last one, whose next is the lowest.
    const F32x16 own = load<F32x16>(azimuth + 16 * part);
    U32x16 least = splat<U32x16>(0xffffffffu);
    for (int step = 1; step < k; ++step) {
      const F32x16 difference = load<F32x16>(azimuth + 16 * part + step) - own;
      least = minimum((U32x16)difference, least);
    }
    const F32x16 around = (lowest - own) + 6.28318531f;
    const F32x16 gap = (I32x16)least < 0 ? around : (F32x16)least;
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

// Turns a query's neighbours into its features.
template <class T>
class RriWriter {
 public:
  RriWriter(const RriArguments<T>& a, int64_t cloud)
      : a_(a),
        first_row_(a.clouds.starts[cloud]),
        cloud_(a.clouds.rows + 3 * a.clouds.starts[cloud], a.clouds.sizes[cloud],
               a.centers ? a.centers + 3 * cloud : nullptr) {}

  void expect(int64_t query) const {
    const T* features = a_.features + 4 * a_.k * (first_row_ + query);
    for (int64_t i = 0; i < 4 * a_.k; i += 64 / sizeof(T)) __builtin_prefetch(features + i, 1);
  }

  template <class List>
  void operator()(int64_t query, const List& list) const {
    const int64_t row = first_row_ + query, k = a_.k;
    T* features = a_.features + 4 * k * row;
    if (!a_.neighbors) {
      if constexpr (std::is_same_v<T, float>) {
        if (rri_by_lanes(cloud_, query, list, static_cast<int>(std::min<int64_t>(k, 65)), features))
          return;
      }
      return rri_by_sorting(cloud_, query, list, k, features, static_cast<int64_t*>(nullptr));
    }
    for (int64_t i = 0; i < k; ++i) a_.neighbors[row * k + i] = list.id(i);
    rri_by_sorting(cloud_, query, list, k, features, a_.successors + row * k);
  }

 private:
  const RriArguments<T>& a_;
  int64_t first_row_;
  RriCloud<T> cloud_;
};

template <class T>
void compute_rri(const RriArguments<T>& a, const Threads& threads) {
  const SearchArguments<T> search{.points = a.clouds,
                                  .queries = a.clouds,
                                  .self = true,
                                  .exclude_self = true,
                                  .packed = false,
                                  .k = a.k,
                                  .limit = std::numeric_limits<T>::infinity(),
                                  .distances = nullptr,
                                  .indices = nullptr,
                                  .counts = nullptr};
  search_clouds(search, threads, [&](int64_t cloud) { return RriWriter<T>(a, cloud); });
}

}  // namespace pcclust::inline PCCLUST_ISA
