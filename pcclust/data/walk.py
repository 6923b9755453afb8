"""Looking for shapes in folders: links are followed, loops cut, and what is passed over is said."""

import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

from pcclust.data.measured import DataWarning

# What archives of datasets, operating systems and modelling programs leave beside shapes.
BY_PRODUCT_FOLDERS = frozenset({"__macosx", "__pycache__", "$recycle.bin", "@eadir"})
_ENDINGS = (
    ".mtl .png .jpg .jpeg .gif .bmp .tga .tif .tiff .dds .hdr .exr .webp .svg",
    ".json .jsonl .yaml .yml .xml .toml .cfg .ini .db .md .rst .pdf .html .htm .doc .docx .tex",
    ".bib .log .py .ipynb .sh .bat .md5 .sha256 .partial .part .tmp .lnk",
)
BY_PRODUCTS = frozenset(" ".join(_ENDINGS).split())
NOTES = ("readme", "license", "licence", "copying", "notice", "changelog", "citation", "notes")


def find_shapes(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Returns all files of shapes under a folder, sorted; a `DataWarning` counts possible others.

    Args:
        folder: searched at all levels, through links, too; hidden files and folders and those that
            archives leave behind (``__MACOSX``) are passed over.
        suffixes: the endings of the files that are shapes. Links to nowhere count: that they
            cannot be read is then said.
    """
    known = frozenset(suffixes)
    found: list[Path] = []
    others: list[Path] = []
    for path in _files(folder, frozenset(), others):
        if path.suffix.lower() in known:
            found.append(path)
        elif not _is_by_product(path):
            others.append(path)
    if any(path.suffix.lower() == ".gltf" for path in found):  # which keeps its numbers in these
        others = [path for path in others if path.suffix.lower() != ".bin"]
    if others:
        first = sorted(others)[0]
        warnings.warn(
            f"{folder}: {len(others):,} files or folders were passed over, which are no shapes by "
            f"their names or cannot be read, first {first.relative_to(folder)}; name them alone if "
            "they are",
            DataWarning,
            stacklevel=2,
        )
    return sorted(found)


def visible_folders(folder: Path) -> list[Path]:
    """Returns the folders in a folder, links to such, too, but those of no dataset."""
    return sorted(entry for entry in folder.iterdir() if _is_searched(entry) and entry.is_dir())


def unwrapped(folder: Path, suffixes: Collection[str]) -> Path:
    """Returns the folder that holds the classes, where others are only wrapped about it.

    Archives often unpack to a folder in a folder of one name. A folder is a wrapping where all it
    has is one folder, of two or more folders and no shapes; a `DataWarning` says so.
    """
    inner = folder
    while True:
        inside = visible_folders(inner)
        if len(inside) != 1 or _holds_files(inner, suffixes):
            break
        if len(visible_folders(inside[0])) < 2 or _holds_files(inside[0], suffixes):
            break
        inner = inside[0]
    if inner != folder:
        warnings.warn(
            f"{folder}: its only folder {inner.relative_to(folder)} is read as the dataset",
            DataWarning,
            stacklevel=2,
        )
    return inner


def _holds_files(folder: Path, suffixes: Collection[str]) -> bool:
    return any(
        entry.suffix.lower() in suffixes and not entry.name.startswith(".") and entry.is_file()
        for entry in folder.iterdir()
    )


def _files(folder: Path, above: frozenset[tuple[int, int]], others: list[Path]) -> Iterator[Path]:
    """Yields the files under a folder that none of the folders above leads back to."""
    try:
        state = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError:
        others.append(folder)
        return
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    for entry in entries:
        if not _is_searched(entry):
            continue
        if entry.is_dir():
            yield from _files(entry, above | {here}, others)
        else:
            yield entry


def _is_searched(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.name.lower() not in BY_PRODUCT_FOLDERS


def _is_by_product(path: Path) -> bool:
    note = path.name.lower().partition(".")[0] in NOTES
    return note or not path.suffix or path.suffix.lower() in BY_PRODUCTS
