// Who follows whom around a point's axis, and by how much: one warp orders one neighbourhood, by
// the rules of pcclust/ops/_azimuth.py.
#pragma once

#include "cuda/platform.cuh"
#include "cuda/search.cuh"
#include "cuda/warp.cuh"

namespace pcclust::cuda {

constexpr double kTurn = 2 * 3.14159265358979323846;

// A neighbour's azimuth in [0, 2π], or infinity where it has none, and the number of its group of
// equal azimuths, of which those without azimuth have the last.
template <class Angle>
struct alignas(sizeof(Angle) == 8 ? 16 : 4) AzimuthEntry {
  Angle azimuth;
  int column;
  int group;
};

template <class Angle>
__device__ __forceinline__ AzimuthEntry<Angle> no_azimuth(int column) {
  return {infinity<Angle>(), column, INT32_MAX};
}

namespace azimuth_order {

struct ByAzimuth {
  template <class Entry>
  __device__ bool operator()(const Entry& a, const Entry& b) const {
    return a.azimuth < b.azimuth || (a.azimuth == b.azimuth && a.column < b.column);
  }
};

struct ByGroup {
  template <class Entry>
  __device__ bool operator()(const Entry& a, const Entry& b) const {
    return a.group < b.group || (a.group == b.group && a.column < b.column);
  }
};

// Sorts up to 32 · kHeld entries: every lane counts what comes before its own, all lanes reading
// the same entry at the same time. For k = 20 these are half the instructions of a bitonic sort
// over lanes.
template <int kHeld, class Entry, class Before>
__device__ void sort_by_counting(Entry* entries, int count, const Before& before) {
  Entry own[kHeld]{};
  int place[kHeld]{};
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int at = lane_index() + i * kWarp;
    if (at < count) own[i] = entries[at];
  }
  for (int other = 0; other < count; ++other) {
    const Entry entry = entries[other];
#pragma unroll
    for (int i = 0; i < kHeld; ++i) place[i] += before(entry, own[i]);
  }
  __syncwarp(kAllLanes);
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    if (lane_index() + i * kWarp < count) entries[place[i]] = own[i];
  }
  __syncwarp(kAllLanes);
}

// Sorts a power of two of entries by a bitonic network.
template <class Entry, class Before>
__device__ void sort_bitonic(Entry* entries, int count, const Before& before) {
  for (int run = 2; run <= count; run *= 2) {
    for (int step = run / 2; step > 0; step /= 2) {
      for (int pair = lane_index(); pair < count / 2; pair += kWarp) {
        const int low = 2 * pair - (pair & (step - 1)), high = low + step;
        const bool ascends = (low & run) == 0;
        const Entry a = entries[low], b = entries[high];
        if (before(b, a) == ascends) {
          entries[low] = b;
          entries[high] = a;
        }
      }
      __syncwarp(kAllLanes);
    }
  }
}

template <int kHeld, class Entry, class Before>
__device__ void sort(Entry* entries, int count, const Before& before) {
  if constexpr (kHeld > 0) {
    sort_by_counting<kHeld>(entries, count, before);
  } else {
    sort_bitonic(entries, count, before);
  }
}

__device__ __forceinline__ unsigned lanes_below() { return (1u << lane_index()) - 1; }

// Numbers the groups of `present` sorted azimuths counter-clockwise; returns how many there are, 0
// where no gap ends the only one.
template <class Angle>
__device__ int number_groups(AzimuthEntry<Angle>* entries, int present, Angle tolerance) {
  int groups = 0;
  for (int base = 0; base < present; base += kWarp) {
    const int place = base + lane_index();
    bool ends = false;
    if (place < present) {
      const Angle around = entries[0].azimuth + static_cast<Angle>(kTurn);
      const Angle after = place + 1 < present ? entries[place + 1].azimuth : around;
      ends = after - entries[place].azimuth > tolerance;
    }
    const unsigned ending = __ballot_sync(kAllLanes, ends);
    if (place < present) entries[place].group = groups + __popc(ending & lanes_below());
    groups += __popc(ending);
  }
  // What comes after the last end belongs to the group that begins the row: a circle has no seam.
  for (int place = lane_index(); place < present; place += kWarp) {
    if (groups > 0 && entries[place].group == groups) entries[place].group = 0;
  }
  __syncwarp(kAllLanes);
  return groups;
}

// Calls use(column, gap, successor) for all `present` entries, which are in order of group.
template <class Angle, class Use>
__device__ void each_gap(const AzimuthEntry<Angle>* entries, int present, const Use& use) {
  int first = 0;  // of the group that the place before belongs to
  for (int base = 0; base < present; base += kWarp) {
    const int place = base + lane_index();
    const bool inside = place < present;
    const bool opens =
        inside && (place == 0 || entries[place].group != entries[place - 1].group);
    const unsigned opening = __ballot_sync(kAllLanes, opens);
    const unsigned before = opening & (lanes_below() << 1 | 1u);
    if (inside) {
      const int own_first = before ? base + 31 - __clz(before) : first;
      const int next = place + 1 < present ? place + 1 : 0;
      const bool closes = next == 0 || entries[next].group != entries[place].group;
      Angle gap = entries[next].azimuth - entries[own_first].azimuth;
      if (!(gap > 0)) gap += static_cast<Angle>(kTurn);
      use(entries[place].column, closes ? gap : Angle(0), entries[next].column);
    }
    if (opening) first = base + 31 - __clz(opening);
  }
}

}  // namespace azimuth_order

// Calls use(column, gap, successor) for each of the `present` columns that have an azimuth; or does
// not, and returns false, where `single` groups are all that is wanted and some azimuths are equal.
// `entries` holds one entry of each of `count` columns, in memory of the warp; where kHeld is 0,
// `count` is a power of two, otherwise at most 32 · kHeld.
template <int kHeld, class Angle, class Use>
__device__ bool order_azimuths(AzimuthEntry<Angle>* entries, int count, int present,
                               Angle tolerance, bool single, const Use& use) {
  using namespace azimuth_order;
  sort<kHeld>(entries, count, ByAzimuth());
  const bool separate = number_groups(entries, present, tolerance) == present;
  if (!separate) {
    if (single) return false;
    sort<kHeld>(entries, count, ByGroup());
  }
  each_gap(entries, present, use);
  return true;
}

}  // namespace pcclust::cuda
