"""Unpacking archives of unknown origin: nothing leaves the target, all of it arrives or nothing."""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

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
        UnsafeArchiveError: an absolute path, a ``..``, a link or a device in the archive.
        FileExistsError: the folder is there already.
        ValueError: no zip or tar archive, a damaged one, or one without that folder.
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
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return result


def _unpack_zip(archive: Path, staging: Path, folder: str) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for member in members:
            mode = member.external_attr >> 16
            plain = stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR)
            _check_member(archive, member.filename, plain)
        wanted = [m for m in members if _inside(m.filename, folder)]
        _check_room(archive, staging, sum(m.file_size for m in wanted))
        for member in wanted:
            file.extract(member, staging)


def _unpack_tar(archive: Path, staging: Path, folder: str) -> None:
    with tarfile.open(archive) as file:
        members = file.getmembers()
        for member in members:
            _check_member(archive, member.name, member.isfile() or member.isdir())
        wanted = [m for m in members if _inside(m.name, folder)]
        _check_room(archive, staging, sum(m.size for m in wanted))
        file.extractall(staging, wanted, filter="data")
        # A damaged header looks like the end; only the rest of the stream tells of it.
        while file.fileobj and file.fileobj.read(2**20):
            pass


def _check_member(archive: Path, name: str, plain: bool) -> None:
    if not plain:
        raise UnsafeArchiveError(f"{archive}: {name!r} is a link or a device; nothing was unpacked")
    windows = PureWindowsPath(name)
    absolute = name.startswith(("/", "\\")) or windows.drive or PurePosixPath(name).is_absolute()
    if absolute or ".." in windows.parts:
        raise UnsafeArchiveError(
            f"{archive}: {name!r} would be written outside the folder; nothing was unpacked"
        )


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
