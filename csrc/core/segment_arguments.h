// What the kernels that pool rows over segments take.
#pragma once

#include <cstdint>

namespace pcclust {

// y = leaky_relu(z · scale + shift) of rows z, pooled over segments.
template <class T>
struct SegmentPoolArguments {
  const T* values;         // (rows, channels)
  int64_t channels;
  const T* scale;          // (channels,)
  const T* shift;          // (channels,)
  T slope;                 // not negative
  const int64_t* members;  // as for LinearPoolArguments
  const int64_t* starts;
  const int64_t* sizes;
  int64_t segments;
  T* maxima;               // (segments, channels)
  int32_t* argmax;         // (segments, channels) the first place in the segment that has it, or -1
  T* means;                // (segments, channels)
  T* slopes;               // (segments, channels) the sum of dy / dx, x = z · scale + shift
  T* products;             // (segments, channels) and of z dy / dx
};

// What maxima alone give to scale and shift.
template <class T>
struct SegmentSumsArguments {
  const T* values;
  int64_t channels;
  const T* scale;
  const T* shift;
  T slope;
  const int64_t* members;
  const int64_t* starts;
  const int64_t* sizes;
  int64_t segments;
  const int32_t* argmax;  // (segments, channels), all of them valid
  const T* to_maxima;     // (segments, channels)
  double* sums;           // (2, channels) the gradients of scale and shift
};

template <class T>
struct SegmentPullArguments {
  const T* values;
  int64_t channels;
  const T* scale;
  const T* shift;
  T slope;
  const int64_t* members;  // each row once
  const int64_t* starts;
  const int64_t* sizes;
  int64_t segments;
  const int32_t* argmax;   // (segments, channels), all of them valid
  const T* to_maxima;      // (segments, channels)
  const T* to_rows;        // (segments, channels) the gradient of each y but for the maxima's
  const T* linear;         // (channels,) gradient of z added: linear · z + constant
  const T* constant;       // (channels,)
  T* gradient;             // (rows, channels), of rows in segments
};

}  // namespace pcclust
