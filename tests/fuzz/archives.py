"""The part `archives`: changed and hostile archives unpack wholly, inside their folder, or not."""

import io
import random
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from pcclust.data.archive import unpack
from tests.fuzz.children import make_trials, run_children
from tests.fuzz.figures import Figures
from tests.fuzz.files import changed

CALLS_PER_ARCHIVE = 10
FOLDER = "shapes"
NAMES = (
    "../out",
    "/tmp/pcclust-fuzz-out",
    "shapes/../../out",
    "shapes/a.xyz",
    "shapes/A.xyz",
    "shapes/a.xyz/b",
    "shapes",
    "C:\\out",
    "shapes/\x1b[31m",
    "",
    "shapes/link/b",
    "shapes/" + "long" * 100,
)
KINDS = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)


def run(seed: int, amount: int) -> Figures:
    figures = run_children("tests.fuzz.archives", seed, seed + amount // CALLS_PER_ARCHIVE)
    figures.more = "zip, tar, tar.gz and tar.xz; every other one with a hostile member"
    return figures


@cache
def contents() -> dict[str, bytes]:
    draw = random.Random(0)
    names = ("a.xyz", "b.xyz", "chair/c.xyz", "chair/d.xyz")
    return {f"{FOLDER}/{name}": draw.randbytes(200) + bytes(300) for name in names}


def made(kind: str, draw: random.Random, hostile: bool) -> bytes:
    """Returns an archive of the contents, and perhaps of a member that should not be there."""
    if kind == "zip":
        return _zipped(draw, hostile)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind.partition('.')[2]}") as file:  # type: ignore[call-overload]
        for name, content in contents().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
        if hostile:
            member = tarfile.TarInfo(draw.choice(NAMES))
            member.type, member.linkname = draw.choice(KINDS), draw.choice(NAMES)
            file.addfile(member)
    return buffer.getvalue()


def _zipped(draw: random.Random, hostile: bool) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", draw.choice((0, zipfile.ZIP_DEFLATED))) as file:
        for name, content in contents().items():
            file.writestr(name, content)
        if hostile:
            member = zipfile.ZipInfo(draw.choice(NAMES) or "x")
            member.external_attr = draw.choice((0, 0o100644, 0o120777, 0o040755)) << 16
            file.writestr(member, draw.choice((b"", b"/tmp", b"x" * 40)))
    return buffer.getvalue()


def trial(number: int) -> str | None:
    draw, hostile = random.Random(number), number % 2 == 1
    kind = draw.choice(("zip", "tar", "tar.gz", "tar.xz"))
    content = made(kind, draw, hostile)
    damaged = not hostile or draw.random() < 0.3
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "place"
        place.mkdir()
        archive = place / f"archive.{kind}"
        archive.write_bytes(changed(content, draw) if damaged else content)
        wrong = _judged(archive, place / "target", checked=kind == "zip")
        outside = [*Path(name).iterdir()] != [place] or len([*place.iterdir()]) > 2
    if outside or Path(NAMES[1]).exists():
        wrong = "something is written outside"
    return wrong and f"{kind}: {wrong}"


def _judged(archive: Path, target: Path, *, checked: bool) -> str | None:
    try:
        result = unpack(archive, target, FOLDER)
    except (ValueError, OSError) as error:
        said = str(error)
        left = [*target.iterdir()] if target.exists() else []
        fits = str(archive) in said and said.isprintable() and not left
        return None if fits else f"{left} left, {type(error).__name__}: {said[:300]}"
    except Exception as error:  # whatever it is, it should not have come
        return f"{type(error).__name__}: {error}"
    files = [path for path in result.rglob("*") if not path.is_dir()]
    if any(path.is_symlink() or not path.is_file() for path in files):
        return "a link or a device is there"
    known = set(contents().values()) | {b"", b"/tmp", b"x" * 40}
    if checked and any(path.read_bytes() not in known for path in files):
        return "a file is not what was packed"
    return None


if __name__ == "__main__":
    make_trials(trial)
