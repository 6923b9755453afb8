// Below which differences RRI takes what rounding made for nothing, on every device.
#pragma once

namespace pcclust {

template <class T>
struct RriTolerance;  // as in pcclust/ops/_neighborhoods.py and _azimuth.py, where they are explained
template <>
struct RriTolerance<float> {
  static constexpr double direction = 1e-3, azimuth = 1e-5;
};
template <>
struct RriTolerance<double> {
  static constexpr double direction = 1e-7, azimuth = 1e-6;
};

}  // namespace pcclust
