"""Workers beside each other, and stores that fail them."""

import json
import time
from pathlib import Path

import pytest

from pcclust.distributed import claims, store
from pcclust.distributed.claims import claimed
from pcclust.distributed.manifest import MANIFEST
from pcclust.distributed.shard_maker import ShardMaker
from pcclust.distributed.shards import list_shards, shard_name
from pcclust.distributed.store import Store
from tests.distributed.faulty import FaultyStore
from tests.distributed.jobs import contents, rows_of


def test_a_claim_on_a_disk_dies_with_its_holder(tmp_path):
    here = Store(tmp_path)
    with claimed(here, "a") as mine, claimed(here, "a") as theirs, claimed(here, "b") as other:
        assert mine is not None
        assert theirs is None
        assert other is not None
    with claimed(here, "a") as mine:
        assert mine is not None
    assert not list(tmp_path.iterdir())


def test_a_claim_on_a_store_holds_as_long_as_it_is_renewed(faulty, monkeypatch):
    far = faulty(None, 0)
    now = [1000.0]
    monkeypatch.setattr(claims.time, "time", lambda: now[0])
    with claimed(far, "a") as mine:
        for _ in range(5):
            now[0] += claims.EXPIRES * 0.75
            mine()
        with claimed(far, "a") as theirs:
            assert theirs is None
        now[0] += claims.EXPIRES + 1  # as if its holder had been killed
        with claimed(far, "a") as theirs:
            assert theirs is not None
        assert far.names() == []
    with claimed(far, "a") as mine:
        now[0] += claims.EXPIRES + 1
        with claimed(far, "a"):
            pass
    assert far.names() == []


def test_a_claim_that_cannot_be_read_is_none(faulty):
    far = faulty(None, 0)
    far.publish("a.claim", b"{")
    with claimed(far, "a") as mine:
        assert mine is not None
        assert json.loads(far.read("a.claim"))["until"] > time.time()


def test_what_others_are_at_is_left_to_them(tmp_path, embed, capsys):
    assert embed("shapes/*", out="s", shards=4) == 1
    whole = contents(tmp_path / "s")
    for shard in (0, 2):
        (tmp_path / "s" / shard_name(shard, 4)).unlink()
    with claimed(Store("s"), shard_name(0, 4)):
        assert embed("shapes/*", out="s", shards=4) == 1
        said = capsys.readouterr().out.splitlines()
        assert "in 3 shards of 4; " in said[-2]
        assert said[-1] == "1 shard more: other processes are at it"
    assert embed("shapes/*", out="s", shards=4) == 1
    assert contents(tmp_path / "s") == whole


def test_a_shard_that_another_publishes_meanwhile_is_not_made_again(tmp_path, embed, monkeypatch):
    """Two workers wander through the shards; one finds what the other has made since it began."""
    assert embed("shapes/*", out="s", shards=5) == 1
    whole = contents(tmp_path / "s")
    for name in whole:
        (tmp_path / "s" / name).unlink()
    make, made = ShardMaker.make, []

    def beside(maker, shard, advance):
        made.append(shard)
        for name in list(whole)[:3]:
            if name != maker.name(shard):
                (tmp_path / "s" / name).write_bytes(whole[name])
        return make(maker, shard, advance)

    monkeypatch.setattr(ShardMaker, "make", beside)
    assert embed("shapes/*", out="s", shards=5) == 1
    assert contents(tmp_path / "s") == whole
    assert len(made) <= 3


def test_whoever_comes_second_waits_for_the_plan(tmp_path, embed, monkeypatch):
    assert embed("shapes/*", out="s", shards=3) == 1
    whole, plan = contents(tmp_path / "s"), (tmp_path / "s" / MANIFEST).read_bytes()
    for path in (tmp_path / "s").iterdir():
        path.unlink()
    waited = []

    def published_meanwhile(seconds):
        waited.append(seconds)
        (tmp_path / "s" / MANIFEST).write_bytes(plan)

    monkeypatch.setattr("pcclust.distributed.job.time.sleep", published_meanwhile)
    with claimed(Store("s"), MANIFEST):
        assert embed("shapes/*", out="s", shards=3) == 1
    assert len(waited) == 1
    assert contents(tmp_path / "s") == whole


@pytest.fixture
def far_shapes(tmp_path, embed, faulty):
    """Returns the URLs of shapes in a faulty store, and of a folder there."""
    here, far = tmp_path / "shapes", faulty(None, 0)
    for file in here.iterdir():
        far.publish(file.name, file.read_bytes())
    return far.url, f"{far.url}-out"


@pytest.mark.parametrize(("fault", "times"), [("half", 3), ("refuses", 3), ("keeps half", 2)])
def test_a_store_that_fails_for_a_while_costs_nothing(embed, faulty, far_shapes, fault, times):
    shapes, out = far_shapes
    faulty(fault, times)
    assert embed(f"{shapes}/*", out=out, shards=3) == 1
    assert FaultyStore.times == 0
    assert embed("shapes/*", out="s", shards=3) == 1
    assert rows_of(out)[1].tobytes() == rows_of("s")[1].tobytes()


def test_a_store_that_returns_half_a_file_costs_its_shard(embed, faulty, far_shapes, capsys):
    shapes, _ = far_shapes
    assert embed(f"{shapes}/a*", out="t", shards=2) == 1
    (Path("t") / shard_name(0, 2)).unlink()
    (Path("t") / shard_name(1, 2)).unlink()
    capsys.readouterr()
    faulty("half", 4)
    assert embed(f"{shapes}/a*", out="t", shards=2) == 1
    error = capsys.readouterr().err
    assert "1 shard could not be written:" in error
    assert "bytes came; tried 4 times): see to the store and your rights there" in error
    faulty(None, 0)
    assert embed(f"{shapes}/a*", out="t", shards=2) == 1  # of a2x.off alone
    assert "could not be written" not in capsys.readouterr().err


def test_a_store_that_keeps_refusing_ends_the_work(embed, faulty, far_shapes, monkeypatch, capsys):
    shapes, out = far_shapes
    monkeypatch.setattr(store, "TRIES", 1)
    faulty(None, 0)
    assert embed(f"{shapes}/*", out=out, shards=5) == 1
    for name in list_shards(Store(out)):
        Store(out).remove(name)
    capsys.readouterr()
    faulty("shards refused", 10**6)
    assert embed(f"{shapes}/*", out=out, shards=5) == 1
    error = capsys.readouterr().err
    assert "3 shards could not be written:" in error
    assert "(503 SlowDown; tried 1 times)" in error
