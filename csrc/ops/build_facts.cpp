// How the library was built, for `pcclust info`.
#include "core/kernels.h"

#define STRING_(text) #text
#define STRING(text) STRING_(text)
#define FACT extern "C" __attribute__((visibility("default"))) const char*

FACT pcclust_native_compiler() { return __VERSION__; }
FACT pcclust_native_instruction_set() { return pcclust::kernels().name; }
FACT pcclust_native_torch_target_version() { return STRING(TORCH_TARGET_VERSION); }
