"""Optional reading libraries, imported where they are used."""

from types import ModuleType


def import_open3d() -> ModuleType:
    """Imports open3d.

    Raises:
        ImportError: it is not installed, or lacks a system library; the message says what to do.
    """
    try:
        import open3d
    except ModuleNotFoundError as error:
        raise ImportError(
            f"PCD files need open3d (no module {error.name!r}): pip install 'pcclust[open3d]'"
        ) from error
    except (ImportError, OSError) as error:
        raise ImportError(
            f"open3d is installed but does not load ({error}); it needs the system libraries "
            "libusb-1.0-0 and libgl1 (on Debian and Ubuntu: apt-get install libusb-1.0-0 libgl1)"
        ) from error
    module: ModuleType = open3d
    return module


def import_laspy(compressed: bool = False) -> ModuleType:
    """Imports laspy.

    Args:
        compressed: whether LAZ is to be read, which needs a decompressor as well.

    Raises:
        ImportError: laspy or the decompressor is not installed; the message says what to do.
    """
    try:
        import laspy
    except ImportError as error:
        raise ImportError(
            f"LAS and LAZ files need laspy ({error}): pip install 'pcclust[las]'"
        ) from error
    if compressed and not laspy.LazBackend.detect_available():
        raise ImportError("LAZ files need laspy with lazrs: pip install 'pcclust[las]'")
    module: ModuleType = laspy
    return module
