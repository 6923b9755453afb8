// Every standard header that kernels use. Included before an instruction set is chosen, so that no
// shared inline function of the standard library is compiled for a processor that others lack.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/arguments.h"
#include "core/buffer.h"
#include "core/dendrogram.h"
#include "core/interrupt.h"
#include "core/kernels.h"
#include "core/kmeans_arguments.h"
#include "core/parallel.h"
#include "core/rri_tolerance.h"
#include "core/tree.h"
