// Chooses the kernels once, by what the processor has.
#include <cstdlib>
#include <cstring>

#include "core/kernels.h"

namespace pcclust {

extern const Kernels baseline_kernels;
#if defined(__x86_64__)
extern const Kernels avx2_kernels, avx512_kernels, avx512vnni_kernels, avx512bf16_kernels;
#endif

namespace {

const Kernels& choose() {
#if defined(__x86_64__)
  const char* wish = std::getenv("PCCLUST_ISA");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  const bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
  const auto wished = [&](const char* name) { return !wish || std::strcmp(wish, name) == 0; };
  if (wish && wished("baseline")) return baseline_kernels;
  if (bf16 && wished("avx512bf16")) return avx512bf16_kernels;
  if (vnni && (wished("avx512vnni") || wished("avx512bf16"))) return avx512vnni_kernels;
  if (avx512 && !(wish && wished("avx2"))) return avx512_kernels;
  if (avx2) return avx2_kernels;
#endif
  return baseline_kernels;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace pcclust
