import errno
import io
import re
import stat
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from pcclust.data import archive as archives
from pcclust.data.archive import UnsafeArchiveError, unpack


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def make_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as file:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content.encode()
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_unpacks_the_folder_and_nothing_else(tmp_path, make):
    members = {"set/a.txt": "A", "set/sub/b.txt": "B", "__MACOSX/set/._a": "x", "readme": "r"}
    archive = make(tmp_path / "a.zip", members)
    target = tmp_path / "new" / "target"
    assert unpack(archive, target, "set") == target / "set"
    assert everything(target) == ["set", "set/a.txt", "set/sub", "set/sub/b.txt"]
    assert (target / "set" / "sub" / "b.txt").read_text() == "B"


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "set/../../evil.txt",
        "/tmp/pcclust-evil.txt",
        "set\\..\\..\\evil.txt",
        "C:\\evil.txt",
        "C:/evil.txt",
    ],
)
def test_nothing_leaves_the_target(tmp_path, make, name):
    archive = make(tmp_path / "a.zip", {"set/good.txt": "g", name: "evil"})
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(UnsafeArchiveError, match="outside the folder; nothing was unpacked"):
        unpack(archive, target, "set")
    assert everything(target) == []
    assert everything(tmp_path) == ["a.zip", "target"]
    assert not Path("/tmp/pcclust-evil.txt").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar(tmp_path, kind):
    info = tarfile.TarInfo("set/link")
    info.type, info.linkname = kind, "/etc/passwd"
    archive = make_tar(tmp_path / "a.tgz", {"set/a.txt": "A", "set/link": info})
    with pytest.raises(UnsafeArchiveError, match="'set/link' is a link or a device"):
        unpack(archive, tmp_path / "target", "set")
    assert everything(tmp_path / "target") == []


def test_links_in_a_zip(tmp_path):
    link = zipfile.ZipInfo("set/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("set/a.txt", "A")
        file.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match="'set/link' is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "target", "set")
    assert everything(tmp_path / "target") == []


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_damaged_archives(tmp_path, make):
    members = {f"set/{i}.txt": str(i) * 5000 for i in range(20)}
    whole = make(tmp_path / "a.zip", members).read_bytes()
    damaged = bytearray(whole)
    for at in range(len(whole) // 3, len(whole) // 3 + 60):
        damaged[at] ^= 0xFF
    for content in (whole[: len(whole) // 2], bytes(damaged)):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(ValueError, match=r"is damaged|neither a zip nor a tar"):
            unpack(tmp_path / "a.zip", tmp_path / "target", "set")
        assert everything(tmp_path / "target") == []


def test_no_archive_and_another_folder(tmp_path):
    (tmp_path / "a.zip").write_text("<html>404</html>")
    with pytest.raises(ValueError, match="neither a zip nor a tar archive"):
        unpack(tmp_path / "a.zip", tmp_path, "set")
    make_zip(tmp_path / "a.zip", {"other/a.txt": "A"})
    with pytest.raises(ValueError, match="holds no folder 'set'"):
        unpack(tmp_path / "a.zip", tmp_path, "set")


def test_what_is_there_stays(tmp_path):
    make_zip(tmp_path / "a.zip", {"set/a.txt": "new"})
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.txt").write_text("old")
    with pytest.raises(FileExistsError, match="is there already; remove it"):
        unpack(tmp_path / "a.zip", tmp_path, "set")
    assert (tmp_path / "set" / "a.txt").read_text() == "old"


def test_too_little_room_is_seen_beforehand(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", {"set/a.txt": "A" * 1000})
    usage = type("usage", (), {"free": 999})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="unpacks to 1,000 bytes, 999 are free"):
        unpack(archive, tmp_path / "target", "set")
    assert everything(tmp_path / "target") == []


def test_disk_full_while_unpacking_leaves_nothing(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", {f"set/{i}.txt": "A" for i in range(5)})
    extract, done = zipfile.ZipFile.extract, []

    def full(self, member, path):
        if len(done) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(member)
        return extract(self, member, path)

    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, tmp_path / "target", "set")
    assert everything(tmp_path / "target") == []


def make_zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for name, content in members:
            file.writestr(name, content)
    return path


def make_tar_of(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, content in members:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = len(content)
            file.addfile(info, io.BytesIO(content.encode()))
    return path


@pytest.mark.parametrize("make", [make_zip_of, make_tar_of])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["set/a", "set/a/b"], "'set/a' and 'set/a' are a file and a folder in one place"),
        (["set/a/b", "set/a"], "are a file and a folder"),
        (["set/a", "set/a/"], "are a file and a folder"),
        (["set/A", "set/a/b"], "are a file and a folder"),
        (["set/a", "set/a"], "'set/a' and 'set/a' have one place"),
        (["set/a", "set/./a"], "have one place"),
        (["set/a.off", "set/A.OFF"], "'set/a.off' and 'set/A.OFF' have one place"),
        (["set/\u00e9", "set/e\u0301"], "have one place"),
        (["set/chair/a", "set/Chair/b"], "'set/chair' and 'set/Chair' differ by case only"),
        (["set/a\nb"], "is no file name"),
        (["set/" + "long" * 64], "is no file name"),
        (["set/a\x1b[31m"], "is no file name"),
        (["set\\\\a"], "is no file name"),
        (["set", "set/a"], "are a file and a folder"),
    ],
)
def test_members_that_are_in_the_way_of_each_other(tmp_path, make, names, message):
    members = [("set/good.txt", "g"), *((name, "" if name[-1] == "/" else "x") for name in names)]
    with pytest.raises(UnsafeArchiveError, match=re.escape(message)):
        unpack(make(tmp_path / "a.zip", members), tmp_path / "target", "set")
    assert everything(tmp_path / "target") == []


@pytest.mark.parametrize("make", [make_zip_of, make_tar_of])
def test_folders_may_be_named_more_than_once(tmp_path, make):
    members = [("set/", ""), ("set/a/", ""), ("set/a/", ""), ("set/a/b", "B")]
    unpack(make(tmp_path / "a.zip", members), tmp_path / "target", "set")
    assert everything(tmp_path / "target") == ["set", "set/a", "set/a/b"]


@pytest.mark.parametrize("make", [make_zip_of, make_tar_of])
def test_bombs_are_not_unpacked_unless_that_is_meant(tmp_path, monkeypatch, make):
    archive = make(tmp_path / "a.zip", [("set/zeros", "\0" * 2**20)])
    assert archive.stat().st_size < 2**20 / 200
    monkeypatch.setattr("pcclust.data._sizes.HARMLESS", 2**10)
    with pytest.raises(ValueError, match=r"more than 200 times .* set PCCLUST_MAX_EXPANSION"):
        unpack(archive, tmp_path / "target", "set")
    assert everything(tmp_path / "target") == []
    monkeypatch.setenv("PCCLUST_MAX_EXPANSION", "2000")
    unpack(archive, tmp_path / "target", "set")
    assert (tmp_path / "target" / "set" / "zeros").stat().st_size == 2**20


def test_encrypted_archives(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"set/a": "A"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="is encrypted; unpack it by hand"):
        unpack(archive, tmp_path / "target", "set")


def test_members_that_share_their_bytes(tmp_path):
    """Every entry of the directory points to one member, as in the bombs of Fifield (2019)."""
    archive = make_zip(tmp_path / "a.zip", {"set/a": "A" * 3000})
    content = archive.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[start:end]
    entries = [entry.replace(b"set/a", b"set/" + bytes([65 + i])) for i in range(9)]
    tail = bytearray(content[end:])
    tail[8:12] = struct.pack("<HH", 9, 9)
    tail[12:16] = struct.pack("<I", 9 * len(entry))
    archive.write_bytes(content[:start] + b"".join(entries) + tail)
    with pytest.raises(ValueError, match=r"is damaged|members need 27,000 bytes"):
        unpack(archive, tmp_path / "target", "set")
    assert everything(tmp_path / "target") == []


@pytest.mark.parametrize(
    ("at", "value", "why"), [(6, 110, "zip file version 11.0"), (10, 77, "compression method")]
)
def test_a_zip_of_a_kind_that_is_not_read(tmp_path, at, value, why):
    content = bytearray(make_zip(tmp_path / "a.zip", {"set/a.txt": "a"}).read_bytes())
    content[content.index(b"PK\1\2") + at] = value  # of the member, in the directory
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=f"of a kind not read: .*{why}"):
        unpack(tmp_path / "a.zip", tmp_path / "target", "set")
    assert everything(tmp_path) in (["a.zip"], ["a.zip", "target"])
