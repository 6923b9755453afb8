// The nearest center of every point: screened by codes (row_codes.h), decided by exact distances.
#pragma once

#include <cstdint>
#include <limits>

#include "core/buffer.h"
#include "core/kmeans_arguments.h"
#include "core/parallel.h"
#include "core/row_codes.h"
#include "core/row_distance.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

template <class T>
CenterCodes encode_centers(const KmeansAssignArguments<T>& to, const Threads& threads) {
  constexpr int64_t kRows = 64;
  CenterCodes codes(to.center_count, to.dims);
  for_each_task(threads, (to.center_count + kRows - 1) / kRows, [&](int64_t task) {
    Buffer<float> scratch(codes.dims);
    const int64_t end = std::min(to.center_count, (task + 1) * kRows);
    for (int64_t j = task * kRows; j < end; ++j) {
      codes.encode_row(j, to.centers + j * to.dims, to.shift, to.dims, scratch.data());
    }
  });
  return codes;
}

// Assigns the points of one tile, from `first` on.
template <class T>
void assign_tile(const KmeansAssignArguments<T>& to, const CenterCodes& centers, int64_t first,
                 float* scratch, uint8_t* codes) {
  const int64_t count = std::min<int64_t>(kTile, to.count - first);
  const T* points = to.points + first * to.dims;
  T* best = to.distances + first;
  int64_t* label = to.labels + first;
  TileTerms terms;
  encode_tile(points, count, to.shift, to.dims, scratch, codes, terms);
  alignas(64) float limit[kTile];
  for (int64_t i = 0; i < kTile; ++i) limit[i] = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < count; ++i) {
    label[i] = to.guess ? to.guess[first + i] : 0;
    best[i] = squared_distance(points + i * to.dims, to.centers + label[i] * to.dims, to.dims);
    limit[i] = static_cast<float>(best[i]);
  }
  NearPair found[kTile * kCenters];
  for (int64_t j = 0; j < to.center_count; j += kCenters) {
    const int64_t some = std::min<int64_t>(kCenters, to.center_count - j);
    const int candidates = screen(codes, terms, centers, j, some, limit, found);
    for (const NearPair* c = found; c != found + candidates; ++c) {
      const int32_t i = c->lane;
      if (i >= count || c->center == label[i] || c->bound > limit[i]) continue;
      const T d = squared_distance(points + i * to.dims, to.centers + c->center * to.dims, to.dims);
      if (d > best[i] || (d == best[i] && c->center > label[i])) continue;
      best[i] = d;
      label[i] = c->center;
      limit[i] = static_cast<float>(d);
    }
  }
}

template <class T>
void kmeans_assign(const KmeansAssignArguments<T>& to, const Threads& threads) {
  constexpr int64_t kPoints = 192;
  const CenterCodes centers = encode_centers(to, threads);
  for_each_task(threads, (to.count + kPoints - 1) / kPoints, [&](int64_t task) {
    Buffer<float> scratch(centers.dims);
    Buffer<uint8_t> codes(centers.dims * kTile);
    const int64_t end = std::min(to.count, (task + 1) * kPoints);
    for (int64_t first = task * kPoints; first < end; first += kTile) {
      assign_tile(to, centers, first, scratch.data(), codes.data());
    }
  });
}

}  // namespace pcclust::inline PCCLUST_ISA
