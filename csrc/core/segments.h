// Segments of rows, cut for threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kPieceRows = 2048;  // of a segment that several threads may share
constexpr int64_t kTaskRows = 768;    // of many short ones that one thread takes

// A run of a segment's rows, and where its maxima and sums go.
struct Piece {
  int64_t segment, begin, end;
};

// Cuts segments into pieces, the same for any number of threads.
inline std::vector<Piece> cut_segments(const int64_t* starts, const int64_t* sizes, int64_t count) {
  std::vector<Piece> pieces;
  for (int64_t segment = 0; segment < count; ++segment) {
    const int64_t end = starts[segment] + sizes[segment];
    for (int64_t begin = starts[segment]; begin < end; begin += kPieceRows) {
      pieces.push_back({segment, begin, std::min(end, begin + kPieceRows)});
    }
  }
  return pieces;
}

// The first piece of each task: tasks have at least kTaskRows rows where there are as many.
inline std::vector<int64_t> cut_tasks(const std::vector<Piece>& pieces) {
  std::vector<int64_t> firsts{0};
  int64_t rows = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(pieces.size()); ++i) {
    rows += pieces[i].end - pieces[i].begin;
    if (rows >= kTaskRows || i + 1 == static_cast<int64_t>(pieces.size())) {
      firsts.push_back(i + 1);
      rows = 0;
    }
  }
  return firsts;
}

}  // namespace pcclust::inline PCCLUST_ISA
