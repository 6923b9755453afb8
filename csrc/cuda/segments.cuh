// Segments of rows, listed or as they lie, and the pieces in which warps take them.
//
// How long segments are is known on the device only, so pieces are numbered as those of clouds
// (search.cuh), and each warp finds its own. What a piece of a long segment gives waits in a slot
// until all are there; a segment of one piece needs none.
#pragma once

#include "cuda/refusal.cuh"
#include "cuda/search.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

struct SegmentRefusal {
  unsigned long long segment;  // one that lies outside of the rows, or before the end of another
  unsigned long long member;   // a place in members that holds no row
  unsigned long long twice;    // a row that is listed twice
  unsigned long long argmax;   // a segment of which an argmax is no place
};

// Rows that are pooled together.
struct Segments {
  Clouds<int64_t> runs;     // of members, or of rows where `rows` of it is null
  int64_t rows;
  SegmentRefusal* refusal;  // device memory, set by the launcher
};

constexpr int kPieceRows = 128;  // so few that some clouds of 1024 rows keep the device busy
constexpr int kPieceWarps = 8;   // of a block
constexpr int kPieceThreads = kPieceWarps * kWarp;

__device__ __forceinline__ bool is_size(int64_t size) { return size >= 0 && size < INT32_MAX; }

// Whether a segment lies inside the rows, behind the one before it.
__device__ __forceinline__ bool lies_right(const Segments& s, int64_t segment) {
  const int64_t start = __ldg(s.runs.starts + segment), size = __ldg(s.runs.sizes + segment);
  if (start < 0 || !is_size(size) || start > s.runs.row_count - size) return false;
  if (segment == 0) return true;
  const int64_t before = __ldg(s.runs.sizes + segment - 1);
  return is_size(before) && __ldg(s.runs.starts + segment - 1) <= start - before;
}

// The row that is listed at a place, or -1 where that is none.
__device__ __forceinline__ int64_t row_at(const Segments& s, int64_t place) {
  if (!s.runs.rows) return place;
  const int64_t row = __ldg(s.runs.rows + place);
  return row >= 0 && row < s.rows ? row : -1;
}

// Every thread of a grid looks at some segments and members, so that none goes unnoticed.
__device__ __forceinline__ void check_segments(const Segments& s) {
  const int64_t me = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t threads = int64_t{gridDim.x} * blockDim.x;
  for (int64_t segment = me; segment < s.runs.count; segment += threads) {
    if (!lies_right(s, segment)) refuse(&s.refusal->segment, segment);
  }
  if (!s.runs.rows) return;
  for (int64_t place = me; place < s.runs.row_count; place += threads) {
    if (row_at(s, place) < 0) refuse(&s.refusal->member, place);
  }
}

// Rows of one segment and 32 channels, which a warp takes.
struct Share {
  int64_t segment = -1, first = 0, end = 0;  // places in the segment
  int64_t start = 0, size = 0;               // of the segment
  int64_t channel = 0;                       // of the calling lane
  bool works = false;                        // whether the lane has one
};

inline int64_t channel_chunks(int64_t channels) {
  return channels <= kWarp ? 1 : ceil_divide<int64_t>(channels, kWarp);
}

// At least one, so that members are looked at where there are no segments.
inline dim3 share_blocks(const Segments& s, int64_t channels) {
  const int64_t pieces = 1 + piece_count(s.runs.row_count, s.runs.count, kPieceRows);
  return blocks_for(pieces * channel_chunks(channels), kPieceWarps);
}

// The share of the calling warp: one without rows of an empty segment, or none.
__device__ __forceinline__ Share find_share(const Segments& s, int64_t channels, int64_t chunks) {
  const int64_t number = int64_t{blockIdx.x} * kPieceWarps + threadIdx.x / kWarp;
  const Piece piece = find_piece(s.runs, number / chunks, kPieceRows);
  Share share;
  if (piece.cloud < 0 || !lies_right(s, piece.cloud)) return share;
  const Extent extent = extent_of(s.runs, piece.cloud);
  if (piece.first > 0 && piece.first >= extent.size) return share;
  share.segment = piece.cloud;
  share.first = piece.first;
  share.start = extent.start;
  share.size = extent.size;
  share.end = piece.first + kPieceRows < share.size ? piece.first + kPieceRows : share.size;
  share.channel = number % chunks * kWarp + lane_index();
  share.works = share.channel < channels;
  return share;
}

// Calls use(place in the segment, row) for the rows [begin, begin + 32) of a share, with all lanes.
// The lanes read their numbers at once and hand them round.
template <class Use>
__device__ __forceinline__ void for_each_row(const Segments& s, const Share& share, int64_t begin,
                                             const Use& use) {
  const int64_t own = begin + lane_index();
  const int64_t mine = own < share.end ? row_at(s, share.start + own) : -1;
  const int count = static_cast<int>(share.end - begin < kWarp ? share.end - begin : kWarp);
#pragma unroll 4
  for (int j = 0; j < count; ++j) {
    const long long row = __shfl_sync(kAllLanes, static_cast<long long>(mine), j);
    if (row >= 0) use(begin + j, static_cast<int64_t>(row));
  }
}

// Long segments have slots one behind the other: those that begin within `kPieceRows` rows share
// none, since each is longer.
inline int64_t slot_count(int64_t rows) { return 2 * (rows / kPieceRows + 1); }
__device__ __forceinline__ int64_t first_slot(int64_t start) { return 2 * (start / kPieceRows); }

}  // namespace pcclust::cuda
