"""Files that cannot be read as what they are called, and what to do about them."""

from pathlib import Path

# By the ending of the name: what turns a file that is not read into one that is.
_ADVICE = {
    ".gz .bz2 .xz .zst .zip .7z .tar .tgz .rar": "unpack it",
    ".e57 .ptx .ptg .rcp .rcs .fls .zfs": "convert it to PLY or LAS, for instance by CloudCompare",
    ".bin": "save its points as NPY, those of KITTI by numpy.save('a.npy', "
    "numpy.fromfile('a.bin', numpy.float32).reshape(-1, 4))",
    ".mat .pt .pth .pkl .pickle .parquet .feather .xls .xlsx .ods .json": "save its points (N, 3) "
    "as NPY or CSV",
    ".step .stp .iges .igs .sldprt .sldasm .3dm .blend .fbx .dae .3ds .max .skp .dxf .dwg .wrl "
    ".x3d .3mf .usd .usdz .vtk .vtp": "export it as PLY, STL or OBJ",
    ".tsv .dat .asc": "rename it to .txt if it is a table of points",
    "": "give its name the ending of its format",
}
ADVICE = {suffix: advice for suffixes, advice in _ADVICE.items() for suffix in suffixes.split(" ")}

STARTS = {
    b"version https://git-lfs": "it is a pointer of Git LFS and not the file: run git lfs pull",
    b"\x1f\x8b\x08": "it is compressed by gzip: unpack it",
    b"\xfd7zXZ\0": "it is compressed by xz: unpack it",
    b"<!doctype html": "it is a web page, as servers give for a file that is gone: fetch it again",
    b"<html": "it is a web page, as servers give for a file that is gone: fetch it again",
}


def advice_on_suffix(suffix: str) -> str:
    """Returns what to do with files of an ending that is not read, after a semicolon, or "".

    Example:
        >>> from pcclust.data.foreign import advice_on_suffix
        >>> advice_on_suffix(".gz")
        '; unpack it'
    """
    advice = ADVICE.get(suffix.lower())
    return f"; {advice}" if advice else ""


def foreign_content(path: Path) -> str | None:
    """Returns what a file is by its first bytes, where it is never what its name says."""
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    return next((told for mark, told in STARTS.items() if start.startswith(mark.lower())), None)
