// The pybind11 face of the native library: the neighbour index and facts about the build.
// Importing it registers the operators of csrc/ops.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "core/kernels.h"
#include "ops/tensors.h"

namespace py = pybind11;

#define PCCLUST_STRING_(x) #x
#define PCCLUST_STRING(x) PCCLUST_STRING_(x)

namespace pcclust {
namespace {

template <class T>
using Rows = py::array_t<T, py::array::c_style>;
using Table = py::array_t<int64_t, py::array::c_style>;

template <class T>
Clouds<T> clouds_of(const Rows<T>& rows, const Table& starts, const Table& sizes) {
  if (rows.ndim() != 2 || starts.ndim() != 1 || sizes.ndim() != 1 || starts.size() != sizes.size()) {
    throw std::invalid_argument("rows must be (R, D), starts and sizes (B,)");
  }
  const Clouds<T> clouds{rows.data(), rows.shape(1), starts.data(), sizes.data(), starts.size()};
  if (const int64_t cloud = first_outside(clouds, rows.shape(0)); cloud >= 0) {
    throw std::invalid_argument("cloud " + std::to_string(cloud) + " is outside the rows");
  }
  return clouds;
}

// The trees of many clouds of up to three dimensions.
template <class T>
class NeighborIndex {
 public:
  NeighborIndex(const Rows<T>& rows, const Table& starts, const Table& sizes)
      : rows_(rows), starts_(starts), sizes_(sizes) {
    const Clouds<T> clouds = clouds_of<T>(rows_, starts_, sizes_);
    if (clouds.dims > 3) throw std::invalid_argument("an index has at most 3 dimensions");
    py::gil_scoped_release release;
    kernels_of<T>().build_index(clouds, trees_, torch_threads());
  }

  py::tuple search(const std::optional<Rows<T>>& queries, const Table& starts, const Table& sizes,
                   bool packed, T radius, int64_t k, bool exclude_self) const {
    const Rows<T>& asked = queries ? *queries : rows_;
    Rows<T> distances({asked.shape(0), static_cast<py::ssize_t>(k)});
    Table indices({asked.shape(0), static_cast<py::ssize_t>(k)}), counts(asked.shape(0));
    const Clouds<T> points = clouds_of<T>(rows_, starts_, sizes_);
    const SearchArguments<T> a{
        .points = points,
        .queries = queries ? clouds_of<T>(asked, starts, sizes) : points,
        .self = !queries,
        .exclude_self = exclude_self && !queries,
        .packed = packed,
        .k = k,
        .limit = radius * radius,
        .distances = distances.mutable_data(),
        .indices = indices.mutable_data(),
        .counts = counts.mutable_data(),
    };
    if (k < 1 || a.queries.count != a.points.count || a.queries.dims != a.points.dims) {
      throw std::invalid_argument("queries do not fit the index");
    }
    py::gil_scoped_release release;
    if (covered_rows(a.queries) < counts.size()) {
      std::fill_n(a.distances, distances.size(), std::numeric_limits<T>::infinity());
      std::fill_n(a.indices, indices.size(), int64_t{-1});
      std::fill_n(a.counts, counts.size(), int64_t{0});
    }
    kernels_of<T>().search_index(a, trees_, torch_threads());
    py::gil_scoped_acquire acquire;
    return py::make_tuple(distances, indices, counts);
  }

 private:
  Rows<T> rows_;
  Table starts_, sizes_;
  std::vector<Tree<T>> trees_;
};

template <class T>
void bind_index(py::module_& m, const char* name) {
  py::class_<NeighborIndex<T>>(m, name)
      .def(py::init<const Rows<T>&, const Table&, const Table&>())
      .def("search", &NeighborIndex<T>::search);
}

}  // namespace
}  // namespace pcclust

PYBIND11_MODULE(_native, m) {
  m.doc() = "Native kernels of pcclust.";
  pcclust::bind_index<float>(m, "NeighborIndexF32");
  pcclust::bind_index<double>(m, "NeighborIndexF64");
  m.def("build_facts", [] {
    py::dict facts;
    facts["compiler"] = __VERSION__;
    facts["instruction_set"] = pcclust::kernels().name;
    facts["torch_target_version"] = PCCLUST_STRING(TORCH_TARGET_VERSION);
    return facts;
  });
}
