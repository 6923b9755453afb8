"""Optional reading libraries, imported where they are used."""

from types import ModuleType


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
