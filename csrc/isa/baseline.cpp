// The kernels for any processor of the architecture (SSE2 on x86-64, NEON on arm64).
#include "isa/standard.h"

#define PCCLUST_ISA baseline
#include "isa/kernels.inc"
