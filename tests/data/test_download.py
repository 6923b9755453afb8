import hashlib
import socket
import ssl
import subprocess
import threading

import numpy as np
import pytest

from pcclust.data import download as module
from pcclust.data.download import DownloadError, download
from tests.data.loopback import Behaviour, server

CONTENT = np.random.default_rng(0).bytes(3_000_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def get(path, *urls, **known):
    return download(urls, path / "file.zip", pause=0, **known)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whole_file(tmp_path):
    seen = []
    with server(file=Behaviour(CONTENT)) as address:
        got = get(tmp_path, f"{address}/file", progress=lambda *now: seen.append(now))
    assert got.path.read_bytes() == CONTENT
    assert (got.size, got.sha256, got.url) == (len(CONTENT), HASH, f"{address}/file")
    assert files(tmp_path) == ["file.zip"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


@pytest.mark.parametrize("known", [{}, {"sha256": HASH, "size": len(CONTENT)}])
def test_cut_connections_are_continued(tmp_path, known):
    behaviour = Behaviour(CONTENT, cuts=[900_000] * 3)
    with server(file=behaviour) as address:
        got = get(tmp_path, f"{address}/file", **known)
    assert got.sha256 == HASH
    starts = [request.get("Range") for request in behaviour.requests]
    assert starts[0] is None
    assert all(start and start != "bytes=0-" for start in starts[1:])
    assert len(starts) == 4
    assert behaviour.requests[1]["If-Range"]


def test_many_cuts_are_no_reason_to_give_up(tmp_path):
    with server(file=Behaviour(CONTENT, cuts=[200_000] * 30)) as address:
        assert get(tmp_path, f"{address}/file").sha256 == HASH


def test_server_without_ranges_begins_anew(tmp_path):
    behaviour = Behaviour(CONTENT, ranges=False, cuts=[900_000] * 2)
    with server(file=behaviour) as address:
        assert get(tmp_path, f"{address}/file").sha256 == HASH


def test_a_later_run_goes_on(tmp_path):
    behaviour = Behaviour(CONTENT, cuts=[500_000] + [0] * 5)
    with server(file=behaviour) as address:
        with pytest.raises(DownloadError, match=r"file.zip could not be downloaded:\n.*/file: "):
            get(tmp_path, f"{address}/file")
        kept = (tmp_path / "file.zip.part").stat().st_size
        assert 500_000 - module.CHUNK < kept <= 500_000
        before = len(behaviour.requests)
        assert get(tmp_path, f"{address}/file").sha256 == HASH
    assert behaviour.requests[before]["Range"] == f"bytes={kept}-"


def test_a_file_that_changed_meanwhile_is_begun_anew(tmp_path):
    behaviour = Behaviour(CONTENT, cuts=[500_000] + [0] * 5)
    with server(file=behaviour) as address:
        with pytest.raises(DownloadError):
            get(tmp_path, f"{address}/file")
        behaviour.content = CONTENT[::-1]
        assert get(tmp_path, f"{address}/file").path.read_bytes() == CONTENT[::-1]


def test_without_a_hash_another_mirror_begins_anew(tmp_path):
    first, second = Behaviour(CONTENT, cuts=[500_000] + [0] * 5), Behaviour(CONTENT[::-1])
    with server(a=first, b=second) as address:
        got = get(tmp_path, f"{address}/a", f"{address}/b")
    assert got.path.read_bytes() == CONTENT[::-1]
    assert "Range" not in second.requests[0]


def test_with_a_hash_another_mirror_goes_on(tmp_path):
    first, second = Behaviour(CONTENT, cuts=[500_000] + [0] * 5), Behaviour(CONTENT)
    with server(a=first, b=second) as address:
        got = get(tmp_path, f"{address}/a", f"{address}/b", sha256=HASH)
    assert (got.sha256, got.url) == (HASH, f"{address}/b")
    begun = int(second.requests[0]["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 500_000 - module.CHUNK < begun <= 500_000


def test_corrupt_file_is_refused_and_the_next_mirror_tried(tmp_path):
    bad = bytearray(CONTENT)
    bad[1234] ^= 1
    with server(bad=Behaviour(bytes(bad)), good=Behaviour(CONTENT)) as address:
        with pytest.raises(DownloadError, match=f"SHA-256 {hashlib.sha256(bad).hexdigest()}, not"):
            get(tmp_path, f"{address}/bad", sha256=HASH)
        assert files(tmp_path) == []
        got = get(tmp_path, f"{address}/bad", f"{address}/good", sha256=HASH)
    assert got.url.endswith("/good")


def test_a_bad_beginning_is_thrown_away_and_fetched_again(tmp_path):
    (tmp_path / "file.zip.part").write_bytes(b"not the beginning")
    with server(file=Behaviour(CONTENT)) as address:
        assert get(tmp_path, f"{address}/file", sha256=HASH).path.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path):
    (tmp_path / "file.zip.part").write_bytes(CONTENT + b"more")
    with server(file=Behaviour(CONTENT)) as address:
        assert get(tmp_path, f"{address}/file", sha256=HASH).size == len(CONTENT)


def test_wrong_size_is_seen_before_the_body(tmp_path):
    with (
        server(file=Behaviour(CONTENT[:1000])) as address,
        pytest.raises(DownloadError, match=r"offers 1,000 bytes, the file has 3,000,000"),
    ):
        get(tmp_path, f"{address}/file", size=len(CONTENT))
    assert files(tmp_path) == []


def test_server_that_claims_more_than_it_sends(tmp_path):
    with (
        server(file=Behaviour(CONTENT, length=len(CONTENT) + 10)) as address,
        pytest.raises(DownloadError, match=r"connection failed|stopped after"),
    ):
        get(tmp_path, f"{address}/file")
    assert "file.zip" not in files(tmp_path)


def test_server_that_sends_more_than_the_file_has(tmp_path):
    with (
        server(file=Behaviour(CONTENT, length=-1)) as address,
        pytest.raises(DownloadError, match="sends more than the 1,000,000 bytes"),
    ):
        get(tmp_path, f"{address}/file", size=1_000_000)
    assert files(tmp_path) == []


def test_server_without_a_length(tmp_path):
    with server(file=Behaviour(CONTENT, length=-1)) as address:
        assert get(tmp_path, f"{address}/file").sha256 == HASH


def test_server_that_continues_elsewhere(tmp_path):
    behaviour = Behaviour(CONTENT, cuts=[900_000] * 20, content_range="bytes 7-2999999/3000000")
    with (
        server(file=behaviour) as address,
        pytest.raises(DownloadError, match=r"goes on at 'bytes 7-2999999'|connection failed"),
    ):
        get(tmp_path, f"{address}/file")
    assert "file.zip" not in files(tmp_path)


def test_errors_of_the_server(tmp_path):
    busy = Behaviour(CONTENT, statuses=[503, 500])
    gone = Behaviour(statuses=[404] * 9)
    with server(busy=busy, gone=gone) as address:
        with pytest.raises(DownloadError, match="answers 404 Not Found"):
            get(tmp_path, f"{address}/gone")
        assert len(gone.requests) == 1, "404 is final"
        assert get(tmp_path, f"{address}/gone", f"{address}/busy").sha256 == HASH
    assert len(busy.requests) == 3


def test_nobody_there(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match=f"127.0.0.1:{port}.*connection failed"):
        get(tmp_path, f"http://127.0.0.1:{port}/file")


def test_redirect_from_https_to_http_is_refused(tmp_path, monkeypatch):
    transfer = module._Transfer(None, "https://example.org/a", tmp_path / "a", None, None, None)
    answer = type("Answer", (), {"status_code": 200, "url": "http://example.org/a", "reason": ""})
    with pytest.raises(module._BadContentError, match="which is not encrypted"):
        transfer._check_answer(answer)


def test_untrusted_certificate_is_refused(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        try:
            context.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, OSError):
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    out = tmp_path / "out"
    with pytest.raises(DownloadError, match="certificate cannot be trusted"):
        get(out, f"https://127.0.0.1:{listener.getsockname()[1]}/file")
    thread.join()
    listener.close()
    assert files(out) == []


def test_too_little_room_is_seen_beforehand(tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with (
        server(file=Behaviour(CONTENT)) as address,
        pytest.raises(OSError, match=r"needs 3,000,000 more bytes in .*, where 1,000 are free"),
    ):
        get(tmp_path, f"{address}/file")
    assert "file.zip" not in files(tmp_path)
