// Greedy k-means++ seeding (Arthur and Vassilvitskii 2007, section 5): each center is the best of a
// few trials drawn with probability proportional to weight times squared distance.
//
// A trial can only help the points that are nearer to it than to their center. The codes of
// row_codes.h rule out nearly all others, so that a step reads a byte a coordinate.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/buffer.h"
#include "core/kmeans_arguments.h"
#include "core/kmeans_assign.h"
#include "core/parallel.h"
#include "core/row_codes.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

// Points are handled, and the terms of every sum are added, in blocks of this many.
constexpr int64_t kSeedBlock = 480;
static_assert(kSeedBlock % kTile == 0);

template <class T>
class Seeder {
 public:
  Seeder(const SeedArguments<T>& to, const Threads& threads)
      : to_(to), threads_(threads), blocks_((to.count + kSeedBlock - 1) / kSeedBlock),
        tiles_((to.count + kTile - 1) / kTile), width_(padded(to.dims)),
        codes_(tiles_ * kTile * width_), terms_(tiles_), potential_(blocks_),
        gain_(blocks_ * to.trials), improved_(to.count), touched_(blocks_), trial_codes_(to.trials, to.dims),
        trials_(to.trials), scratch_(width_) {
    for_each_task(threads_, blocks_, [&](int64_t block) {
      Buffer<float> scratch(width_);
      each_tile(block, [&](int64_t tile, int64_t first, int64_t count) {
        encode_tile(to_.points + first * to_.dims, count, to_.shift, to_.dims, scratch.data(),
                    codes_.data() + tile * kTile * width_, terms_[tile]);
      });
      potential_[block] = block_potential(block);
    });
  }

  void run() {
    for (int64_t step = 0; step < to_.steps; ++step) {
      draw_trials(to_.uniforms + step * to_.trials);
      for_each_task(threads_, blocks_, [&](int64_t block) { try_on(block); });
      const int64_t best = best_trial();
      to_.chosen[step] = trials_[best];
      for_each_task(threads_, blocks_, [&](int64_t block) {
        if (touched_[block] >> best & 1) accept(block, best, to_.first_center + step);
      });
    }
  }

 private:
  template <class Visit>
  void each_tile(int64_t block, Visit visit) const {
    const int64_t end = std::min(to_.count, (block + 1) * kSeedBlock);
    for (int64_t first = block * kSeedBlock; first < end; first += kTile) {
      visit(first / kTile, first, std::min<int64_t>(kTile, end - first));
    }
  }

  const T* point(int64_t i) const { return to_.points + i * to_.dims; }

  double weight(int64_t i) const { return to_.weights ? static_cast<double>(to_.weights[i]) : 1; }

  double block_potential(int64_t block) const {
    const int64_t begin = block * kSeedBlock, end = std::min(to_.count, begin + kSeedBlock);
    double part[8] = {};  // independent sums, added in one fixed order
    for (int64_t i = begin; i < end; ++i) part[i & 7] += weight(i) * static_cast<double>(to_.distances[i]);
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
  }

  void draw_trials(const double* uniforms) {
    double total = 0;
    for (int64_t block = 0; block < blocks_; ++block) total += potential_[block];
    for (int64_t trial = 0; trial < to_.trials; ++trial) {
      // Where every point coincides with a center, no choice is better than another.
      const int64_t i = total > 0 ? point_at(uniforms[trial] * total)
                                  : static_cast<int64_t>(uniforms[trial] * static_cast<double>(to_.count));
      trials_[trial] = std::clamp<int64_t>(i, 0, to_.count - 1);
      trial_codes_.encode_row(trial, point(trials_[trial]), to_.shift, to_.dims, scratch_.data());
    }
  }

  // The first point at which the running sum of weight · distance exceeds `mass`.
  int64_t point_at(double mass) const {
    int64_t block = -1;
    for (int64_t b = 0; b < blocks_; ++b) {
      if (potential_[b] <= 0) continue;
      if (block >= 0) mass -= potential_[block];
      block = b;
      if (mass < potential_[b]) break;
    }
    int64_t last = block * kSeedBlock;
    const int64_t end = std::min(to_.count, last + kSeedBlock);
    for (int64_t i = last; i < end; ++i) {
      const double share = weight(i) * static_cast<double>(to_.distances[i]);
      if (share <= 0) continue;
      last = i;
      if (mass < share) break;
      mass -= share;
    }
    return last;
  }

  // Finds which points of a block each trial improves, and by how much in total.
  void try_on(int64_t block) {
    double* gain = gain_.data() + block * to_.trials;
    std::fill_n(gain, to_.trials, 0.0);
    touched_[block] = 0;
    each_tile(block, [&](int64_t tile, int64_t first, int64_t count) {
      alignas(64) float limit[kTile];
      for (int64_t i = 0; i < kTile; ++i) {
        limit[i] = i < count ? static_cast<float>(to_.distances[first + i])
                             : -std::numeric_limits<float>::infinity();
      }
      std::fill_n(improved_.data() + first, count, 0u);
      NearPair found[kTile * kCenters];
      for (int64_t trial = 0; trial < to_.trials; trial += kCenters) {
        const int64_t some = std::min<int64_t>(kCenters, to_.trials - trial);
        const int candidates = screen(codes_.data() + tile * kTile * width_, terms_[tile],
                                      trial_codes_, trial, some, limit, found);
        for (const NearPair* c = found; c != found + candidates; ++c) {
          if (c->lane >= count) continue;
          const int64_t i = first + c->lane;
          const T d = squared_distance(point(i), point(trials_[c->center]), to_.dims);
          if (!(d < to_.distances[i])) continue;
          gain[c->center] += weight(i) * (static_cast<double>(to_.distances[i]) - static_cast<double>(d));
          improved_[i] |= 1u << c->center;
          touched_[block] |= 1u << c->center;
        }
      }
    });
  }

  int64_t best_trial() const {
    int64_t best = 0;
    double most = -1;
    for (int64_t trial = 0; trial < to_.trials; ++trial) {
      double gain = 0;
      for (int64_t block = 0; block < blocks_; ++block) gain += gain_[block * to_.trials + trial];
      if (gain > most) {
        most = gain;
        best = trial;
      }
    }
    return best;
  }

  void accept(int64_t block, int64_t trial, int64_t center) {
    const int64_t end = std::min(to_.count, (block + 1) * kSeedBlock);
    for (int64_t i = block * kSeedBlock; i < end; ++i) {
      if (!(improved_[i] >> trial & 1)) continue;
      to_.distances[i] = squared_distance(point(i), point(trials_[trial]), to_.dims);
      to_.labels[i] = center;
    }
    potential_[block] = block_potential(block);
  }

  const SeedArguments<T>& to_;
  const Threads& threads_;
  const int64_t blocks_, tiles_, width_;
  Buffer<uint8_t> codes_;      // (tiles, width / 4, kTile, 4)
  Buffer<TileTerms> terms_;    // (tiles,)
  Buffer<double> potential_;   // (blocks,) Σ weight · distance
  Buffer<double> gain_;        // (blocks, trials)
  Buffer<uint32_t> improved_;  // (count,) one bit for each trial
  Buffer<uint32_t> touched_;   // (blocks,) the same of all points of a block
  CenterCodes trial_codes_;
  Buffer<int64_t> trials_;     // points
  Buffer<float> scratch_;
};

template <class T>
void greedy_seeds(const SeedArguments<T>& to, const Threads& threads) {
  Seeder<T>(to, threads).run();
}

}  // namespace pcclust::inline PCCLUST_ISA
