// The pybind11 face of the native library: facts about the build. Importing it registers the
// operators of csrc/ops.
#include <pybind11/pybind11.h>

#include "core/kernels.h"

namespace py = pybind11;

#define PCCLUST_STRING_(x) #x
#define PCCLUST_STRING(x) PCCLUST_STRING_(x)

PYBIND11_MODULE(_native, m) {
  m.doc() = "Native kernels of pcclust.";
  m.def("build_facts", [] {
    py::dict facts;
    facts["compiler"] = __VERSION__;
    facts["instruction_set"] = pcclust::kernels().name;
    facts["torch_target_version"] = PCCLUST_STRING(TORCH_TARGET_VERSION);
    return facts;
  });
}
