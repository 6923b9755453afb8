// A neighbourhood as its point sees it: each neighbour's features but the gap, and its azimuth.
#pragma once

#include <cmath>
#include <limits>

#include "cuda/azimuth_order.cuh"
#include "cuda/platform.cuh"
#include "cuda/rri_cloud.cuh"

namespace pcclust::cuda {
namespace rri_features {

template <class T>
constexpr T kLargest = std::numeric_limits<T>::max();

// A point, and the frame in which it sees its neighbours.
template <class T>
struct Viewpoint {
  Placed<T> own;
  const Placed<T>* cloud;
  PowerOfTwo<T> unit;
  double radius, axis[3], u[3], v[3];

  // In the unit of the points; the diagonal of the widest cloud would overflow.
  __device__ T length(T radius) const {
    const T length = unit.times(radius);
    return length < kLargest<T> ? length : kLargest<T>;
  }
};

__device__ __forceinline__ double dot(const double (&a)[3], const double (&b)[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// Sets two unit vectors that complete the axis to a right-handed frame (Duff et al., "Building an
// Orthonormal Basis, Revisited", JCGT 2017).
template <class T>
__device__ void complete_frame(Viewpoint<T>& view) {
  const double(&n)[3] = view.axis;
  const double sign = std::copysign(1.0, n[2]), a = -1 / (sign + n[2]), b = n[0] * n[1] * a;
  view.u[0] = 1 + sign * n[0] * n[0] * a;
  view.u[1] = sign * b;
  view.u[2] = -sign * n[0];
  view.v[0] = b;
  view.v[1] = sign + n[1] * n[1] * a;
  view.v[2] = -n[1];
}

// How `own` sees the points of its cloud, of which `cloud` is the first.
template <class T>
__device__ Viewpoint<T> view_from(const Placed<T>& own, const Placed<T>* cloud,
                                  const CloudFrame<T>& frame) {
  Viewpoint<T> view{own, cloud, frame.unit, 0, {}, {}, {}};
  for (int i = 0; i < 3; ++i) {
    view.axis[i] = static_cast<double>(own.coordinate[i]) - frame.middle[i];
  }
  view.radius = std::sqrt(dot(view.axis, view.axis));
  const double factor = own.has_direction() ? 1 / view.radius : 0;
  for (double& coordinate : view.axis) coordinate *= factor;
  complete_frame(view);
  return view;
}

// Writes the features of one neighbour, all but the gap, and returns its azimuth, if it has one.
template <class Angle, class T>
__device__ AzimuthEntry<Angle> measure(const Viewpoint<T>& view, int64_t neighbor, int column,
                                       T* row) {
  AzimuthEntry<Angle> entry = no_azimuth<Angle>(column);
  for (int i = 0; i < 4; ++i) row[i] = 0;
  if (neighbor < 0) return entry;
  const Placed<T> point = view.cloud[neighbor];
  row[0] = view.length(view.own.radius());
  row[1] = view.length(point.radius());
  if (!view.own.has_direction() || !point.has_direction()) return entry;
  double edge[3];
  for (int i = 0; i < 3; ++i) {
    edge[i] = static_cast<double>(point.coordinate[i]) - view.own.coordinate[i];
  }
  const double x = dot(view.u, edge), y = dot(view.v, edge);
  const T sine = std::sqrt(static_cast<T>(x * x + y * y));
  row[2] = std::atan2(sine, static_cast<T>(view.radius + dot(view.axis, edge)));
  if (sine > RriTolerance<T>::direction * point.radius()) {
    const Angle azimuth = std::atan2(static_cast<Angle>(y), static_cast<Angle>(x));
    entry.azimuth = azimuth < 0 ? azimuth + static_cast<Angle>(kTurn) : azimuth;
  }
  return entry;
}

}  // namespace rri_features
}  // namespace pcclust::cuda
