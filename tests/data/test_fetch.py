import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pytest

from pcclust.data.archive import UnsafeArchiveError
from pcclust.data.download import DownloadError
from pcclust.data.fetch import MANIFESTS, fetch, read_manifest, verify
from pcclust.data.registry import SOURCES, Source, find_source
from tests.data.loopback import Behaviour, server


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


ARCHIVE = zipped({"set/a.txt": "A", "set/sub/b.txt": "B" * 1000})
HASH = hashlib.sha256(ARCHIVE).hexdigest()


def source(url, **known):
    return Source("toy", "a toy", "free", (url,), "set", **known)


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("PCCLUST_OFFLINE", raising=False)


def test_fetch_unpacks_and_keeps_a_manifest(tmp_path):
    with server(file=Behaviour(ARCHIVE)) as address:
        toy = source(f"{address}/file", sha256=HASH, size=len(ARCHIVE))
        got = fetch(toy, tmp_path)
    assert (got.path, got.sha256, got.known, got.url) == (
        tmp_path / "set",
        HASH,
        True,
        f"{address}/file",
    )
    assert (tmp_path / "set" / "sub" / "b.txt").read_text() == "B" * 1000
    manifest = read_manifest(toy, tmp_path)
    assert (manifest["sha256"], manifest["sha256_known_before"]) == (HASH, True)
    assert set(manifest["files"]) == {"set/a.txt", "set/sub/b.txt"}
    assert sorted(p.name for p in (tmp_path / MANIFESTS).iterdir()) == ["toy.json"]
    # Now nobody serves it any more, and nobody is asked.
    again = fetch(toy, tmp_path)
    assert (again.path, again.url) == (tmp_path / "set", None)


def test_unknown_hash_is_recorded_and_then_demanded(tmp_path):
    behaviour = Behaviour(ARCHIVE)
    with server(file=behaviour) as address:
        toy = source(f"{address}/file")
        got = fetch(toy, tmp_path)
        assert (got.sha256, got.known) == (HASH, False)
        (tmp_path / "set").rename(tmp_path / "kept")
        behaviour.content = zipped({"set/a.txt": "changed"})
        with pytest.raises(DownloadError, match=rf"offers .* bytes, the file has {len(ARCHIVE):,}"):
            fetch(toy, tmp_path)
        behaviour.content = ARCHIVE
        assert fetch(toy, tmp_path).known


def test_a_single_file_is_put_in_place(tmp_path):
    with server(file=Behaviour(b"id,split\n")) as address:
        table = replace(source(f"{address}/file"), result="all.csv")
        assert fetch(table, tmp_path).path.read_text() == "id,split\n"
    assert verify(table, tmp_path) == []


def test_verify_names_what_changed(tmp_path):
    with server(file=Behaviour(ARCHIVE)) as address:
        toy = source(f"{address}/file")
        with pytest.raises(FileNotFoundError, match=r"toy is not in .*: no set"):
            verify(toy, tmp_path)
        fetch(toy, tmp_path)
    assert verify(toy, tmp_path) == []
    (tmp_path / "set" / "a.txt").write_text("X")
    (tmp_path / "set" / "sub" / "b.txt").unlink()
    missing, changed = verify(toy, tmp_path)
    assert missing == "set/sub/b.txt: missing"
    assert changed.startswith("set/a.txt: 1 bytes, SHA-256 ")


def test_what_was_put_there_by_hand_has_no_record(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(FileNotFoundError, match="was not fetched by pcclust"):
        verify(source("http://127.0.0.1:9/x"), tmp_path)


@pytest.mark.parametrize("variable", [True, False])
def test_offline_opens_no_connection(tmp_path, monkeypatch, variable):
    behaviour = Behaviour(ARCHIVE)
    if variable:
        monkeypatch.setenv("PCCLUST_OFFLINE", "1")
    with (
        server(file=behaviour) as address,
        pytest.raises(ConnectionError, match=r"toy is not in .*, and this is offline"),
    ):
        fetch(source(f"{address}/file"), tmp_path, offline=not variable)
    assert behaviour.requests == []


def test_gated_sources_say_where_to_ask(tmp_path):
    for name in ("scanobjectnn", "shapenetcore"):
        with pytest.raises(PermissionError, match=f"{name} is not fetched: .*accept the terms"):
            fetch(SOURCES[name], tmp_path)


def test_unsafe_archive_touches_nothing(tmp_path):
    root = tmp_path / "root"
    with server(file=Behaviour(zipped({"set/a.txt": "A", "../evil": "E"}))) as address:
        toy = source(f"{address}/file")
        with pytest.raises(UnsafeArchiveError, match="outside the folder"):
            fetch(toy, root)
    assert not (root / "set").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert read_manifest(toy, root) is None


def test_manifest_is_plain_json(tmp_path):
    with server(file=Behaviour(ARCHIVE)) as address:
        fetch(source(f"{address}/file"), tmp_path)
    assert json.loads((tmp_path / MANIFESTS / "toy.json").read_text())["source"] == "toy"


def test_registry_is_sound():
    assert len({source.result for source in SOURCES.values()}) == len(SOURCES)
    for name, entry in SOURCES.items():
        assert entry.name == name
        assert entry.terms
        assert bool(entry.mirrors) != bool(entry.gate)
        assert all(url.startswith(("https://", "http://")) for url in entry.mirrors)
        # What travels unencrypted is checked by its hash, known or recorded.
        assert entry.sha256 is None or len(entry.sha256) == 64
    with pytest.raises(ValueError, match="no dataset 'mnist'; there are modelnet40-hdf5"):
        find_source("mnist")
