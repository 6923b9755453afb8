"""Fetching a registered dataset, and telling later whether it is still whole."""

import json
import os
import tarfile
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from pcclust._files import write_whole
from pcclust.data.archive import unpack
from pcclust.data.download import Download, Progress, download, sha256_of
from pcclust.data.registry import Source

MANIFESTS = ".pcclust"


class Fetched(NamedTuple):
    """What `fetch` did.

    Attributes:
        path: the folder or file.
        sha256: of what was downloaded.
        known: whether that SHA-256 was known before, so that the download could be checked by it.
        url: the mirror, or None if the data was there already.
    """

    path: Path
    sha256: str
    known: bool
    url: str | None


def fetch(
    source: Source, root: Path, *, offline: bool = False, progress: Progress | None = None
) -> Fetched:
    """Downloads, checks and unpacks a dataset, unless it is there already.

    The SHA-256 is checked where the registry knows it. Where it does not, that of the first
    download is recorded in ``.pcclust/NAME.json`` under ``root``, beside size and SHA-256 of every
    file that was unpacked, and later downloads are checked by it.

    Args:
        source: see `pcclust.data.registry`.
        root: the folder of all datasets.
        offline: whether to refuse any connection; also set by PCCLUST_OFFLINE=1.
        progress: told how far the download is.

    Raises:
        PermissionError: the dataset is gated, its terms must be accepted elsewhere first.
        ConnectionError: the data is not there, and this is offline.
        OSError: no mirror gave the file, or it cannot be written.
        UnsafeArchiveError: the archive would write outside its folder.
    """
    result, manifest = root / source.result, read_manifest(source, root)
    known = source.sha256 or (manifest.get("sha256") if manifest else None)
    if result.exists():
        return Fetched(result, str(known or ""), known is not None, None)
    if source.gate:
        raise PermissionError(f"{source.name} is not fetched: {source.gate}")
    if offline or is_offline():
        raise ConnectionError(
            f"{source.name} is not in {root}, and this is offline; fetch it with a connection, or "
            f"put {source.result} there by hand"
        )
    file = root / MANIFESTS / Path(source.mirrors[0]).name
    got = download(
        source.mirrors,
        file,
        size=source.size or (manifest.get("size") if manifest else None),
        sha256=known,
        progress=progress,
    )
    if zipfile.is_zipfile(file) or tarfile.is_tarfile(file):
        unpack(file, root, source.result)
        file.unlink()
    else:
        file.replace(result)
    _write_manifest(source, root, got, known is not None)
    return Fetched(result, got.sha256, known is not None, got.url)


def verify(source: Source, root: Path) -> list[str]:
    """Returns what is wrong with a fetched dataset, file by file; nothing if it is whole.

    Raises:
        FileNotFoundError: it is not there, or was put there by hand and has no record.
    """
    manifest, result = read_manifest(source, root), root / source.result
    if not result.exists():
        raise FileNotFoundError(f"{source.name} is not in {root}: no {source.result}")
    if manifest is None:
        raise FileNotFoundError(
            f"{source.name}: {result} was not fetched by pcclust, so there is no record to verify "
            "it by"
        )
    expected, found = manifest["files"], _file_list(result)
    missing = [f"{name}: missing" for name in expected if name not in found]
    changed = [
        f"{name}: {found[name]['size']:,} bytes, SHA-256 {found[name]['sha256'][:12]}…, "
        f"recorded {entry['size']:,} bytes, {entry['sha256'][:12]}…"
        for name, entry in expected.items()
        if name in found and found[name] != entry
    ]
    return missing + changed


def is_offline() -> bool:
    """Tells whether PCCLUST_OFFLINE forbids connections."""
    return os.environ.get("PCCLUST_OFFLINE", "") not in ("", "0")


def read_manifest(source: Source, root: Path) -> dict[str, Any] | None:
    """Returns what was recorded when the dataset was fetched."""
    path = root / MANIFESTS / f"{source.name}.json"
    if not path.is_file():
        return None
    manifest: dict[str, Any] = json.loads(path.read_text())
    return manifest


def _write_manifest(source: Source, root: Path, got: Download, known: bool) -> None:
    manifest = {
        "source": source.name,
        "url": got.url,
        "size": got.size,
        "sha256": got.sha256,
        "sha256_known_before": known,
        "fetched": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "files": _file_list(root / source.result),
    }
    path = root / MANIFESTS / f"{source.name}.json"
    write_whole(path, json.dumps(manifest, indent=1).encode())


def _file_list(result: Path) -> dict[str, dict[str, Any]]:
    files = [result] if result.is_file() else sorted(p for p in result.rglob("*") if p.is_file())
    return {
        path.relative_to(result.parent).as_posix(): {
            "size": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in files
    }
