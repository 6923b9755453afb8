"""Which way is up in files that do not say it."""

import warnings
from collections.abc import Iterable
from pathlib import Path

from pcclust.data.dataset import UpAxis
from pcclust.data.measured import DataWarning

# The glTF 2.0 specification (section 3.4) says +y; OBJ says nothing, and most programs write +y.
SAID = frozenset({".glb", ".gltf"})
USUAL = frozenset({".obj"})


def assumed_up(folder: Path, paths: Iterable[Path]) -> UpAxis | None:
    """Returns y for shapes of OBJ and glTF alone, None for others.

    Where there are OBJ files, a `DataWarning` says what is assumed.

    Args:
        folder: of these shapes, for the warning.
        paths: their files.

    Example:
        >>> from pathlib import Path
        >>> from pcclust.data.assumed_up import assumed_up
        >>> assumed_up(Path("a"), [Path("a/b.glb")]), assumed_up(Path("a"), [Path("a/b.stl")])
        ('y', None)
    """
    suffixes = {path.suffix.lower() for path in paths}
    if not suffixes or not suffixes <= SAID | USUAL:
        return None
    if suffixes & USUAL:
        warnings.warn(
            f"{folder}: OBJ files do not say which axis is up; y is assumed, as most programs have "
            "it, unless up_axis is given",
            DataWarning,
            stacklevel=2,
        )
    return "y"
