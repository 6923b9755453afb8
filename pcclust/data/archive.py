"""Unpacking archives of unknown origin: nothing leaves the target, all of it arrives or nothing."""

import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from pcclust.data._parse_errors import ContentError
from pcclust.data._sizes import check_expansion, check_present

LONGEST_NAME = 255  # bytes that file systems give a name
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
)


class UnsafeArchiveError(ValueError):
    """An archive that would write outside its folder, or make anything but files and folders."""


class _Member(NamedTuple):
    """What an archive says of one of its members, before any is written."""

    name: str
    size: int
    plain: bool
    folder: bool


def unpack(archive: Path, target: Path, folder: str) -> Path:
    """Unpacks the top-level folder of a zip or tar archive into ``target``.

    Every member is looked at before the first is written; the folder appears under its name only
    when it is complete. Members outside ``folder`` (such as ``__MACOSX``) are left out.

    Args:
        archive: a zip file, or a tar file in any compression.
        target: where the folder will be; made if need be.
        folder: the top-level folder in the archive.

    Returns:
        ``target / folder``.

    Raises:
        UnsafeArchiveError: an absolute path, a ``..``, a link or a device in the archive; two
            members in one place (on a file system without case, too), or one below a file.
        FileExistsError: the folder is there already.
        ValueError: no zip or tar archive, a damaged or an encrypted one, one without that folder,
            or one that becomes more than 200 times as large (PCCLUST_MAX_EXPANSION raises that).
        OSError: it cannot be written, for instance because the disk is full.
    """
    result = target / folder
    if result.exists():
        raise FileExistsError(f"{result} is there already; remove it to unpack {archive} anew")
    target.mkdir(parents=True, exist_ok=True)
    staging = target / f".{folder}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, staging, folder)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, staging, folder)
        else:
            raise ValueError(f"{archive} is neither a zip nor a tar archive")
        if not (staging / folder).is_dir():
            raise ValueError(f"{archive} holds no folder {folder!r}")
        (staging / folder).replace(result)
    except DAMAGED as error:
        raise ValueError(f"{archive} is damaged: {error}") from error
    except RuntimeError as error:  # what zipfile does not implement
        raise ValueError(f"{archive} is damaged, or a zip of a kind not read: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Its offsets lie where no file has bytes.
        raise ValueError(f"{archive} is damaged: an offset is outside of it") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return result


def _unpack_zip(archive: Path, staging: Path, folder: str) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        if any(member.flag_bits & 1 for member in members):
            raise ValueError(f"{archive} is encrypted; unpack it by hand")
        told = [_of_zip(member) for member in members]
        _check_members(archive, staging, told, folder)
        packed = sum(member.compress_size for member in members)
        with _named(archive):  # members that share their bytes unpack to any size
            check_present(packed, archive.stat().st_size, "members")
        for member, what in zip(members, told, strict=True):
            if _inside(what.name, folder):
                file.extract(member, staging)


def _of_zip(member: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(member.external_attr >> 16)
    plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
    return _Member(member.filename, member.file_size, plain, member.is_dir())


def _unpack_tar(archive: Path, staging: Path, folder: str) -> None:
    with tarfile.open(archive) as file:
        members = []
        for member in file:  # one by one, so that a bomb is seen before it is unpacked to its end
            with _named(archive):
                check_expansion(member.offset_data + member.size, archive.stat().st_size, "members")
            members.append(member)
        told = [_Member(m.name, m.size, m.isfile() or m.isdir(), m.isdir()) for m in members]
        _check_members(archive, staging, told, folder)
        wanted = [m for m in members if _inside(m.name, folder)]
        file.extractall(staging, wanted, filter="data")
        # A damaged header looks like the end; only the rest of the stream tells of it.
        while file.fileobj and file.fileobj.read(2**20):
            pass


@contextmanager
def _named(archive: Path) -> Iterator[None]:
    try:
        yield
    except ContentError as error:
        raise ValueError(f"{archive}: {error}; nothing was unpacked") from error


def _check_members(archive: Path, staging: Path, members: list[_Member], folder: str) -> None:
    """Raises where anything is wrong with any member, before the first is written."""
    for member in members:
        _check_member(archive, member.name, member.plain)
    wanted = [member for member in members if _inside(member.name, folder)]
    _check_places(archive, wanted)
    size = sum(member.size for member in wanted)
    with _named(archive):
        check_expansion(size, archive.stat().st_size, "members")
    _check_room(archive, staging, size)


def _check_places(archive: Path, members: Iterable[_Member]) -> None:
    """Raises where two members have one place, or one lies below a file."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for member in members:
        path = PurePosixPath(member.name)
        above = [*path.parents][:-1]
        for place in [*above, path] if member.folder else above:
            name = folders.setdefault(_plain(place), str(place))
            if name != str(place):
                raise _clash(archive, name, str(place), "differ by case only")
        if member.folder:
            continue
        other = files.setdefault(_plain(path), member.name)
        if other is not member.name:
            raise _clash(archive, other, member.name, "have one place")
    both = next((key for key in files if key in folders), None)
    if both is not None:
        raise _clash(archive, files[both], folders[both], "are a file and a folder in one place")


def _clash(archive: Path, first: str, second: str, how: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(f"{archive}: {first!r} and {second!r} {how}; nothing was unpacked")


def _plain(path: PurePosixPath) -> str:
    """Returns a path as file systems see it that know no case and one form of each letter."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _check_member(archive: Path, name: str, plain: bool) -> None:
    if not plain:
        raise UnsafeArchiveError(f"{archive}: {name!r} is a link or a device; nothing was unpacked")
    windows = PureWindowsPath(name)
    absolute = name.startswith(("/", "\\")) or windows.drive or PurePosixPath(name).is_absolute()
    if absolute or ".." in windows.parts:
        raise UnsafeArchiveError(
            f"{archive}: {name!r} would be written outside the folder; nothing was unpacked"
        )
    parts = PurePosixPath(name).parts
    long = any(len(part.encode(errors="replace")) > LONGEST_NAME for part in parts)
    if "\\" in name or not name.isprintable() or not parts or long:
        raise UnsafeArchiveError(f"{archive}: {name!r} is no file name; nothing was unpacked")


def _inside(name: str, folder: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] == folder


def _check_room(archive: Path, staging: Path, needed: int) -> None:
    free = shutil.disk_usage(staging).free
    if needed > free:
        raise OSError(
            f"{archive} unpacks to {needed:,} bytes, {free:,} are free in {staging.parent}; "
            "make room and run the command again"
        )
