// Who follows whom around a point's axis, and by how much.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

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

}  // namespace pcclust::inline PCCLUST_ISA
