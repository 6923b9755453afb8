// pcclust::index_build and index_search on the CPU; the schemas are in pcclust/ops/neighbor_index.py.
#include <cstddef>
#include <cstring>
#include <tuple>

#include "core/tree.h"
#include "ops/neighbors.h"

namespace pcclust {
namespace {

// What an index begins with, so that no other bytes are read as trees, nor those of other clouds.
// The points are not compared, which would take longer than a search: they are the caller's word.
struct Header {
  char mark[16];
  int64_t rows, dims, clouds, element;
  uint64_t starts, sizes;
};
static_assert(sizeof(Header) == 64);  // what follows is aligned, and nothing is left to chance

// Tells tables of clouds apart (FNV-1a, a number at a time).
uint64_t digest(const int64_t* table, int64_t count) {
  uint64_t digest = 14695981039346656037u;
  for (int64_t i = 0; i < count; ++i) {
    digest = (digest ^ static_cast<uint64_t>(table[i])) * 1099511628211u;
  }
  return digest;
}

template <class T>
Header header_of(const Clouds<T>& clouds, int64_t rows) {
  return {"pcclust trees 2",
          rows,
          clouds.dims,
          clouds.count,
          sizeof(T),
          digest(clouds.starts, clouds.count),
          digest(clouds.sizes, clouds.count)};
}

// Room for the trees of any clouds of so many points in all, so that the size of an index does not
// depend on its data: of n points there are less than n / 16 + 1 leaves and, as every level has a
// 16th of the groups of the one below, less than n / 120 + 1 groups of boxes.
template <class T>
int64_t room_for(int64_t rows, int64_t clouds) {
  return int64_t{sizeof(Header)} + (rows / 16 + clouds) * int64_t{sizeof(Leaf<T>)} +
         (rows / 120 + clouds) * int64_t{sizeof(Boxes<T>)};
}

template <class T>
Clouds<T> indexed_clouds(const Tensor& indexed, const Tensor& starts, const Tensor& sizes) {
  const Clouds<T> clouds = clouds_of<T>(indexed, starts, sizes);
  STD_TORCH_CHECK(clouds.dims >= 1 && clouds.dims <= 3, "an index has 1 to 3 dimensions, got ",
                  clouds.dims);
  return clouds;
}

Tensor index_build(Tensor indexed, Tensor starts, Tensor sizes) {
  Tensor index;
  with_floating(indexed, [&](auto zero) {
    using T = decltype(zero);
    const Clouds<T> clouds = indexed_clouds<T>(indexed, starts, sizes);
    check_points(clouds);
    const int64_t rows = indexed.size(0), room = room_for<T>(rows, clouds.count);
    index = torch::stable::new_empty(indexed, {room}, ScalarType::Byte);
    std::byte* memory = static_cast<std::byte*>(index.mutable_data_ptr());
    const Header header = header_of(clouds, rows);
    std::memcpy(memory, &header, sizeof(Header));
    std::byte* end = memory + sizeof(Header);
    for (int64_t cloud = 0; cloud < clouds.count; ++cloud) {
      end += Tree<T>::bytes(clouds.sizes[cloud]);
    }
    std::memset(end, 0, memory + room - end);
    kernels_of<T>().build_index(clouds, memory + sizeof(Header), torch_threads());
  });
  return index;
}

// The index where kernels can read it: views and tensors from elsewhere may lie anywhere.
Tensor aligned(const Tensor& index) {
  if (reinterpret_cast<uintptr_t>(index.const_data_ptr()) % 64 == 0) return index;
  Tensor copy = torch::stable::new_empty(index, {index.numel()});
  std::memcpy(copy.mutable_data_ptr(), index.const_data_ptr(), index.numel());
  return copy;
}

std::tuple<Tensor, Tensor, Tensor> index_search(
    Tensor indexed, Tensor starts, Tensor sizes, Tensor index, std::optional<Tensor> queries,
    std::optional<Tensor> query_starts, std::optional<Tensor> query_sizes, bool packed,
    double radius, int64_t max_neighbors, bool exclude_self) {
  STD_TORCH_CHECK(radius >= 0, "radius must be at least 0, got ", radius);
  STD_TORCH_CHECK(index.dim() == 1 && index.is_contiguous() && index.is_cpu() &&
                      index.scalar_type() == ScalarType::Byte,
                  "index must be contiguous uint8 on the CPU");
  const Tensor trees = aligned(index);
  const auto search = [&]<class T>(const SearchArguments<T>& a) {
    const Clouds<T> clouds = indexed_clouds<T>(indexed, starts, sizes);
    if (!a.self) check_points(a.queries);
    const Header header = header_of(clouds, indexed.size(0));
    const std::byte* memory = static_cast<const std::byte*>(trees.const_data_ptr());
    const bool fits = trees.numel() == room_for<T>(indexed.size(0), clouds.count) &&
                      std::memcmp(memory, &header, sizeof(Header)) == 0 &&
                      kernels_of<T>().search_index(a, memory + sizeof(Header), torch_threads());
    STD_TORCH_CHECK(fits, "index was not built from these points");
  };
  auto out = search_tensors(indexed, starts, sizes, queries, query_starts, query_sizes, packed,
                            radius, max_neighbors, exclude_self, true, search);
  return {out.distances, out.indices, out.counts};
}

}  // namespace
}  // namespace pcclust

STABLE_TORCH_LIBRARY_IMPL(pcclust, CPU, m) {
  m.impl("index_build", TORCH_BOX(&pcclust::index_build));
  m.impl("index_search", TORCH_BOX(&pcclust::index_search));
}
