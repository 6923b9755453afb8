"""Stores that are far away: what they fail to do is tried again, then said."""

import uuid

import pytest

from pcclust.distributed import store as module
from pcclust.distributed.store import Store, StoreError, read_whole
from tests.distributed.faulty import FaultyStore


@pytest.mark.parametrize("url", ["{tmp}/new/folder", "memory://{id}/folder"])
def test_a_store_keeps_whole_files(tmp_path, url):
    store = Store(url.format(tmp=tmp_path, id=uuid.uuid4().hex))
    assert store.names() == []
    assert not store.has("b")
    store.publish("b", b"1")
    store.publish("a", b"2" * 1000)
    store.publish("b", b"3")
    assert store.names() == ["a", "b"]
    assert store.has("b")
    assert store.read("b") == b"3"
    with store.open("a") as file:
        assert file.read() == b"2" * 1000
    store.remove("a")
    store.remove("a")
    assert store.names() == ["b"]
    with pytest.raises(FileNotFoundError):
        store.read("a")


@pytest.mark.parametrize("fault", ["refuses", "keeps half"])
def test_what_fails_for_a_while_is_written(faulty, fault):
    store = faulty(fault, 3)
    store.publish("a", b"1234")
    assert store.read("a") == b"1234"
    assert [name for name in store.names() if not name.startswith(".")] == ["a"]


@pytest.mark.parametrize(
    ("fault", "reason"), [("refuses", "503 SlowDown"), ("keeps half", "it keeps 2 of 4 bytes")]
)
def test_what_keeps_failing_is_said_and_nothing_half_is_there(faulty, fault, reason):
    store = faulty(fault, 100)
    with pytest.raises(StoreError) as refused:
        store.publish("a", b"1234")
    assert str(refused.value) == (
        f"{store.url}/a cannot be written ({reason}; tried 4 times): see to the store and your "
        "rights there; the same command then goes on"
    )
    assert not faulty(None, 0).has("a")


def test_half_a_file_is_asked_for_again_and_refused_in_the_end(faulty):
    faulty(None, 0).publish("a", b"1234")
    assert faulty("half", 3).read("a") == b"1234"
    with pytest.raises(StoreError, match=r"/a cannot be read \(2 of its 4 bytes came; tried 4"):
        faulty("half", 4).read("a")


def test_a_store_that_hangs_is_not_waited_for(faulty, monkeypatch):
    faulty(None, 0).publish("a", b"1234")
    monkeypatch.setattr(module, "PATIENCE", 0.02)
    with pytest.raises(StoreError, match=r"/a cannot be read \(no answer in 0 seconds; tried 4"):
        faulty("slow", 4).read("a")
    monkeypatch.setattr(module, "PATIENCE", 60)
    assert faulty("slow", 1).read("a") == b"1234"


def test_what_no_waiting_changes_is_said_at_once(faulty, monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 1000)
    with pytest.raises(PermissionError, match="403 Forbidden"):
        faulty("forbids", 1).publish("a", b"1234")
    with pytest.raises(FileNotFoundError):
        read_whole(FaultyStore(), "/nowhere/a", "a")


def test_a_kind_of_store_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match=r"^nosuch://bucket/a: fsspec cannot open it"):
        Store("nosuch://bucket/a")
