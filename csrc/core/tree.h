// A kd-tree without pointers: leaves of 16 points, every node above with 16 children.
//
// Points are split at the median of their widest axis until 16 are left, so that leaf l holds the
// points 16·l … 16·l + 15 of that order, and the children of node n are the nodes 16·n … 16·n + 15
// one level below. Coordinates and bounding boxes lie lane by lane: one instruction compares a
// query with a whole leaf, or with all children of a node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/buffer.h"

namespace pcclust {

constexpr int kFan = 16;                // points of a leaf, children of a node
constexpr int64_t kMaxPoints = INT32_MAX;  // of one cloud; indices inside a tree are 32 bits

template <class T>
struct alignas(64) Leaf {
  T coordinate[3][kFan];  // NaN in unused lanes: no comparison ever accepts them
  int32_t id[kFan];       // the point's position in its cloud
};

// The bounding boxes of 16 siblings.
template <class T>
struct alignas(64) Boxes {
  T low[3][kFan];
  T high[3][kFan];
  int32_t first[kFan];  // the lowest id inside, which decides ties between boxes
};

// An unused lane is infinitely far, and its id loses every tie.
template <class T>
inline void clear_lane(Boxes<T>& boxes, int lane) {
  for (int axis = 0; axis < 3; ++axis) {
    boxes.low[axis][lane] = std::numeric_limits<T>::infinity();
    boxes.high[axis][lane] = std::numeric_limits<T>::infinity();
  }
  boxes.first[lane] = INT32_MAX;
}

constexpr int kMaxLevels = 7;  // 16⁷ leaves hold more points than a cloud can have

inline int64_t groups_of(int64_t nodes) { return (nodes + kFan - 1) / kFan; }

// Leaves and boxes in one piece of memory, which belongs to somebody else.
template <class T>
struct Tree {
  int64_t count = 0;   // points
  int64_t leaves = 0;  // ceil(count / 16)
  Leaf<T>* leaf = nullptr;
  // level[0] bounds the leaves, level[1] the nodes of 16 leaves, …; the last has one group.
  Boxes<T>* level[kMaxLevels] = {};
  int levels = 0;

  // How much memory the tree of so many points takes.
  static int64_t bytes(int64_t points) {
    int64_t nodes = groups_of(points), total = nodes * int64_t{sizeof(Leaf<T>)};
    do {
      nodes = groups_of(nodes);
      total += nodes * int64_t{sizeof(Boxes<T>)};
    } while (nodes > 1);
    return total;
  }

  // Lays the tree of so many points out from `memory` on, which is aligned to 64 bytes.
  void lay_out(int64_t points, std::byte* memory) {
    count = points;
    leaves = groups_of(points);
    leaf = reinterpret_cast<Leaf<T>*>(memory);
    Boxes<T>* boxes = reinterpret_cast<Boxes<T>*>(leaf + leaves);
    levels = 0;
    for (int64_t nodes = leaves; levels == 0 || nodes > 1; ++levels) {
      level[levels] = boxes;
      nodes = groups_of(nodes);
      boxes += nodes;
    }
  }
};

// A tree with memory of its own, kept from cloud to cloud.
template <class T>
struct OwnTree : Tree<T> {
  Buffer<std::byte> memory;

  void resize(int64_t points) {
    memory.resize(Tree<T>::bytes(points));
    this->lay_out(points, memory.data());
  }
};

}  // namespace pcclust
