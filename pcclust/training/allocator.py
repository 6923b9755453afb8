"""What steps of training leave in memory: freed blocks, to be kept, and kernels, not too many."""

import ctypes
import os
import platform

# Names and numbers of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
# Several times what a step of one size needs.
KERNELS = 256


def keep_freed_memory() -> bool:
    """Makes the C library of Linux (glibc) reuse the memory of large tensors instead of freeing it.

    A training step allocates and frees gigabytes. By default each large block goes back to the
    system, and the next one comes page by page, every page cleared: for ClusterNet a third of the
    time of a step. It holds for the process, and changes no result.

    Returns:
        Whether it could be done; other C libraries are left as they are.

    Source: mallopt(3) of the Linux manual pages.

    Example:
        >>> from pcclust.training.allocator import keep_freed_memory
        >>> keep_freed_memory() in (True, False)
        True
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def limit_kernel_caches() -> None:
    """Lets PyTorch keep the kernels of 256 sizes of tensors on a CPU, and forget those before.

    oneDNN makes a kernel for every size that it meets, and keeps 1,024 of them, twice: in its own
    cache and in that of ideep, which binds it to PyTorch. Where no two batches have as many points,
    as in ContrastNet's parts, that is gigabytes of kernels that no step needs again. Environment
    variables that are set already stay; none has an effect after the first kernel.

    Source: the developer guide of oneDNN, "Primitive Cache", for the one variable; ideep's
    ``lru_cache.hpp`` for the other.

    Example:
        >>> from pcclust.training.allocator import limit_kernel_caches
        >>> limit_kernel_caches()
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(KERNELS))
