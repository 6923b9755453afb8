"""Labels of shapes as files hold them: whole numbers, names or one-hot rows, under usual names."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError

NAMES = ("label", "labels", "y", "target", "targets", "class", "category", "cls", "class_id")


class Labels(NamedTuple):
    """The classes of shapes.

    Attributes:
        values: ``(N,)`` int64, or None where they are not known.
        class_names: of the labels; empty where they are not known.
    """

    values: NDArray[np.int64] | None
    class_names: tuple[str, ...]


def find_labels(
    names: Iterable[str],
    read: Callable[[str], NDArray[Any]],
    count: int,
    class_names: Sequence[str] = (),
) -> Labels:
    """Finds the labels among the arrays of a file.

    Args:
        names: of its arrays.
        read: returns one.
        count: of the shapes.
        class_names: of the labels, if the file says them.

    Raises:
        ContentError: values that are no labels of so many shapes, or two arrays of different ones.

    Example:
        >>> import numpy as np
        >>> from pcclust.data.labels import find_labels
        >>> arrays = {"data": np.zeros((3, 9, 3)), "Y": np.array(["lamp", "cup", "lamp"])}
        >>> labels, classes = find_labels(arrays, arrays.__getitem__, 3)
        >>> labels.tolist(), classes
        ([1, 0, 1], ('cup', 'lamp'))
    """
    found = {name: as_labels(read(name), count, name, class_names) for name in _usual(names)}
    if not found:
        return Labels(None, tuple(class_names))
    first, *others = found
    for other in others:
        if not _same(found[first].values, found[other].values):
            raise ContentError(
                f"its {first!r} and {other!r} are different labels; remove what is none"
            )
    return found[first]


def _usual(names: Iterable[str]) -> list[str]:
    """Returns which arrays of the top level have a usual name, in the order of these."""
    by_name = {name.lower(): name for name in names}
    return [by_name[name] for name in NAMES if name in by_name]


def _same(first: NDArray[np.int64] | None, second: NDArray[np.int64] | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


def as_labels(
    values: NDArray[Any], count: int, name: str, class_names: Sequence[str] = ()
) -> Labels:
    """Returns the labels that an array of any usual form means.

    Args:
        values: ``(N,)``, ``(N, 1)`` or one-hot ``(N, C)``; whole numbers of any type, or names.
        count: N.
        name: of the array, for messages.
        class_names: of the labels, if known.

    Raises:
        ContentError: values that are none of these.
    """
    if values.ndim == 0 or len(values) != count:
        given = len(values) if values.ndim else 1
        raise ContentError(f"{count} shapes, but {given} values of {name!r}: give one for each")
    if values.dtype.kind in "SUO":
        return _from_names(_column(values, name), name, class_names)
    if values.dtype.kind not in "biuf":
        raise ContentError(f"its {name!r} of {values.dtype} are no labels: no numbers, no names")
    hot = values.reshape(count, -1) if count else values
    if values.ndim == 2 and values.shape[1] > 1 and _is_one_hot(hot):
        return Labels(hot.argmax(axis=1).astype(np.int64), tuple(class_names))
    numbers = _whole(_column(values, name), name)
    missing = int((numbers < 0).sum())
    if missing and missing == count:
        return Labels(None, tuple(class_names))  # how datasets say that there are none
    if missing:
        raise ContentError(
            f"{missing:,} of {count:,} labels are negative in {name!r}, which means none: "
            "leave these shapes out, or all labels"
        )
    return Labels(numbers, tuple(class_names))


def _column(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.size != len(values):
        raise ContentError(
            f"its {name!r} has the shape {values.shape}: neither one label a shape, nor one-hot"
        )
    return values.reshape(-1)


def _is_one_hot(rows: NDArray[Any]) -> bool:
    ones = rows == 1
    return bool((ones.sum(axis=1) == 1).all() and (ones | (rows == 0)).all())


def _whole(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            wrong = ~(values == np.round(values)) | ~np.isfinite(values) | (abs(values) >= 2**53)
    else:
        wrong = values > np.iinfo(np.int64).max
    if wrong.any():
        row = int(wrong.argmax())
        raise ContentError(f"its {name!r} of shape {row} is {values[row]}, no whole number")
    return values.astype(np.int64)


def _from_names(values: NDArray[Any], name: str, class_names: Sequence[str]) -> Labels:
    texts = texts_of(values)
    empty = next((row for row, text in enumerate(texts) if not text.strip()), None)
    if empty is not None:
        raise ContentError(f"its {name!r} of shape {empty} is an empty name")
    known = list(class_names) or sorted(set(texts))
    strange = next((row for row, text in enumerate(texts) if text not in known), None)
    if strange is not None:
        raise ContentError(
            f"its {name!r} of shape {strange} is {texts[strange]!r}, which is none of its "
            f"class_names {', '.join(known)[:80]}"
        )
    place = {text: label for label, text in enumerate(known)}
    return Labels(np.array([place[text] for text in texts], dtype=np.int64), tuple(known))


def texts_of(values: NDArray[Any]) -> list[str]:
    """Returns texts that HDF5 and NumPy may give as bytes."""
    flat = values.reshape(-1).tolist()
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in flat]
