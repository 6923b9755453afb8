// What the kernels take: plain pointers and sizes, the same for every instruction set.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/segment_arguments.h"

namespace pcclust {

// Rows of coordinates that belong to one or many clouds.
template <class T>
struct Clouds {
  const T* rows;          // (rows, dims)
  int64_t dims;
  const int64_t* starts;  // (count,) first row of each cloud
  const int64_t* sizes;   // (count,) points of each cloud
  int64_t count;
};

// The first cloud that does not lie inside `rows` rows and behind the cloud before it, or whose
// points 32 bits cannot count; -1 where all do.
template <class T>
int64_t first_misplaced(const Clouds<T>& clouds, int64_t rows) {
  int64_t end = 0;
  for (int64_t cloud = 0; cloud < clouds.count; ++cloud) {
    const int64_t start = clouds.starts[cloud], size = clouds.sizes[cloud];
    if (start < end || size < 0 || start > rows - size || size >= INT32_MAX) return cloud;
    end = start + size;
  }
  return -1;
}

// Rows that belong to some cloud; the others are padding.
template <class T>
int64_t covered_rows(const Clouds<T>& clouds) {
  int64_t rows = 0;
  for (int64_t cloud = 0; cloud < clouds.count; ++cloud) rows += clouds.sizes[cloud];
  return rows;
}

template <class T>
bool has_empty_cloud(const Clouds<T>& clouds) {
  return std::find(clouds.sizes, clouds.sizes + clouds.count, 0) != clouds.sizes + clouds.count;
}

// Up to k nearest points of each query within a squared distance.
template <class T>
struct SearchArguments {
  Clouds<T> points;
  Clouds<T> queries;  // the same rows as points where `self`
  bool self;
  bool exclude_self;
  bool packed;  // indices count rows of all clouds instead of points of one
  int64_t k;             // of a cloud with fewer points there are fewer
  T limit;             // squared distance up to which points count; inf for kNN
  // What queries of a cloud without points get is left as it is.
  T* distances;        // (queries, k)
  int64_t* indices;    // (queries, k)
  int64_t* counts;     // (queries,) or null
};

// The points of each cloud that lie farthest from those chosen before.
template <class T>
struct FarthestPointArguments {
  Clouds<T> points;
  const int64_t* first;  // (clouds,) where each cloud begins
  bool packed;           // indices count rows of all clouds instead of points of one
  int64_t num_samples;   // at most the points of any cloud that has some
  int64_t* indices;      // (clouds, num_samples), those of an empty cloud left as they are
};

// The merges of each cloud's points, in SciPy's linkage format. No cloud is empty, and of cloud c
// the rows begin at its first point less c.
template <class T>
struct WardArguments {
  Clouds<T> points;
  double* linkage;  // (points - clouds, 4)
};

// The edges of kNN graphs: row i of a cloud leads to its neighbours, and the edge to neighbour j
// carries u_i + v_j in each channel.
template <class T>
struct EdgeArguments {
  const T* projected;        // (rows, 2, channels): u, then v
  const int64_t* neighbors;  // (rows, k) positions in the cloud, all of them valid
  const int64_t* starts;     // (clouds,)
  const int64_t* sizes;      // (clouds,)
  int64_t clouds;
  int64_t k;
  int64_t channels;
};

template <class T>
struct EdgeReduceArguments {
  EdgeArguments<T> edges;
  const T* sign;     // (channels,) 1: the largest edge counts, -1: the smallest, 0: the first
  T* maxima;         // (rows, channels) that edge's value
  int32_t* argmax;   // (rows, channels) and the position of its neighbour
  double* moments;   // (2, channels) sums over all edges of values and squares, or null
};

template <class T>
struct EdgeReduceBackwardArguments {
  EdgeArguments<T> edges;
  const int32_t* argmax;
  const T* max_gradient;          // (rows, channels)
  const double* moment_gradient;  // (2, channels), or null where it is zero
  T* gradient;                    // (rows, 2, channels)
};

// The first layer of a perceptron on the members of groups, all groups of the same size.
template <class T>
struct GroupLayer {
  const T* features;  // (groups, k, inputs)
  int64_t groups, k, inputs;
  const T* weight;    // (hidden, inputs)
  const T* bias;      // (hidden,)
  int64_t hidden;
  T slope;            // of the LeakyReLU that follows, not negative
};

// Where the gradients of that layer go.
template <class T>
struct GroupGradient {
  T* features;  // (groups, k, inputs), or null
  T* weight;    // (hidden, inputs)
  T* bias;      // (hidden,)
};

template <class T>
struct GroupMomentsArguments {
  GroupLayer<T> layer;
  double* total;     // (hidden,) sums over all members of what the layer makes of them
  double* products;  // (hidden, hidden) and of the products of each pair of channels
};

template <class T>
struct GroupMomentsBackwardArguments {
  GroupLayer<T> layer;
  const double* total_gradient;
  const double* products_gradient;
  GroupGradient<T> gradient;
};

template <class T>
struct GroupMaxArguments {
  GroupLayer<T> layer;
  const T* out_weight;  // (channels, hidden) of the second layer
  int64_t channels;
  T* maxima;            // (groups, channels) the largest of each group
  int32_t* argmax;      // (groups, channels) and the first member that has it
};

template <class T>
struct GroupMaxBackwardArguments {
  GroupLayer<T> layer;
  const T* out_weight;
  int64_t channels;
  const int32_t* argmax;   // all of them valid
  const T* max_gradient;   // (groups, channels)
  GroupGradient<T> gradient;
  T* out_weight_gradient;  // (channels, hidden)
};

// Rows that lie in several matrices side by side.
template <class T>
struct RowParts {
  const T* const* data;   // each (rows, widths[part])
  const int64_t* widths;
  int64_t count;
};

// A layer on such rows.
template <class T>
struct RowLayer {
  const T* weight;  // (outputs, inputs)
  const T* bias;    // (outputs,)
  int64_t inputs, outputs;
  T slope;          // of the LeakyReLU that follows, not negative
  bool half;        // whether products are those of bfloat16
};

template <class T>
struct RowLayerArguments {
  RowParts<T> rows;
  int64_t count;
  RowLayer<T> layer;
  T* out;  // (count, outputs)
};

// Such a layer, and its maxima and means over segments of rows.
template <class T>
struct LinearPoolArguments {
  RowParts<T> rows;
  RowLayer<T> layer;
  const int64_t* members;  // the rows of one segment after the other, or null: they lie so
  const int64_t* starts;   // (segments,) where each begins, in `members` or in the rows
  const int64_t* sizes;    // (segments,)
  int64_t segments;
  T* maxima;               // (segments, outputs)
  T* means;                // (segments, outputs)
};

// An EdgeConv with its BatchNorm folded: the layer gives u and then v, 2 · channels outputs, and a
// row's output is the LeakyReLU of u and the largest v of its neighbours.
template <class T>
struct EdgeLayerArguments {
  RowParts<T> rows;
  RowLayer<T> layer;         // bias (channels,)
  int64_t channels;
  const int64_t* neighbors;  // (rows, k) positions in the cloud, all of them valid
  int64_t k;
  const int64_t* starts;     // (clouds,)
  const int64_t* sizes;      // (clouds,)
  int64_t clouds;
  T* out;                    // (rows, channels)
};

template <class T>
struct RowMomentsArguments {
  const T* values;  // (rows, channels)
  int64_t rows, channels;
  double* moments;  // (2, channels) sums of rows and of their squares
};

// y = leaky_relu(z · scale + offset) of rows z.
template <class T>
struct ScaledLeakyArguments {
  const T* values;  // (rows, channels)
  int64_t rows, channels;
  const T* scale;   // (channels,)
  const T* offset;  // (channels,)
  T slope;          // not negative
  T* out;           // (rows, channels)
};

template <class T>
struct ScaledLeakyBackwardArguments {
  const T* values;
  int64_t rows, channels;
  const T* scale;
  const T* offset;
  T slope;
  const T* to_out;  // (rows, channels)
  T* gradient;      // (rows, channels), or `values` itself
  double* sums;     // (2, channels) the gradients of scale and offset
};

// RRI features of every point, and the links of the lossless code where asked for.
template <class T>
struct RriArguments {
  Clouds<T> clouds;
  const T* centers;     // (clouds, 3), or null for the centroids
  int64_t k;            // at most the points less one of any cloud that has some
  T* features;          // (rows, k, 4)
  int64_t* neighbors;   // (rows, k) points of the cloud, or null
  int64_t* successors;  // (rows, k) columns, or null
};

}  // namespace pcclust
