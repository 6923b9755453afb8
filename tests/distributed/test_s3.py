"""A real protocol of an object store, S3, spoken with a server on this machine."""

import os
import random
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

from pcclust.distributed.manifest import MANIFEST
from tests.distributed.jobs import clouds, contents, rows_of, run, write_weights

pytestmark = pytest.mark.slow
KILLS = 3


@pytest.fixture
def bucket(monkeypatch):
    """Returns a bucket of a server, which is the only one that anybody here sees."""
    server = pytest.importorskip("moto.server", reason="the server is moto[server]")
    s3fs = pytest.importorskip("s3fs", reason="S3 needs s3fs")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("bucket")
    yield store
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"")
    running.stop()


@pytest.fixture
def shapes(bucket, tmp_path, monkeypatch):
    """Returns the weights, where 24 shapes are in the bucket and here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").mkdir()
    for at, cloud in enumerate(clouds(24)):
        np.save(tmp_path / "shapes" / f"{at:02d}.npy", cloud)
    (tmp_path / "shapes" / "30.off").write_text("OFF\n1 2\n")
    bucket.put(str(tmp_path / "shapes"), "bucket/shapes", recursive=True)
    return write_weights(tmp_path)


def given(weights, out):
    options = ["--weights", weights, "--batch-size", 2, "--shards", 13, "--out", out]
    return list(map(str, options))


def test_shards_and_clusters_are_those_of_a_disk(shapes, bucket, tmp_path, capsys):
    assert run("embed", "s3://bucket/shapes/*", *given(shapes, "s3://bucket/features")) == 1
    assert "s3://bucket/shapes/30.off" in capsys.readouterr().err
    assert run("embed", "shapes/*", *given(shapes, "features")) == 1
    names, features = rows_of("s3://bucket/features")
    here, same = rows_of("features")
    assert names == [f"s3://bucket/{name}" for name in here]
    assert features.tobytes() == same.tobytes()
    left = [name.rpartition("/")[2] for name in bucket.ls("bucket/features", refresh=True)]
    assert sorted(left) == sorted([MANIFEST, *contents(tmp_path / "features")])
    assert run("cluster", "s3://bucket/features", "--clusters", 3, "--out", "far") == 0
    assert run("cluster", "features", "--clusters", 3, "--out", "near") == 0
    assert np.load("far/centers.npy").tobytes() == np.load("near/centers.npy").tobytes()


def test_a_bucket_that_is_not_there_is_not_made(shapes, bucket, capsys):
    assert run("embed", "shapes/*", *given(shapes, "s3://typo/features")) == 1
    error = capsys.readouterr().err
    assert "s3://typo/features/_manifest.parquet.claim cannot be written (" in error
    assert "make the bucket first, or name one that is there" in error
    assert not bucket.exists("typo")


def test_workers_of_a_bucket_that_are_killed_cost_no_byte(shapes, bucket):
    """They are killed as they start, or after some shards; claims in a store end with time."""
    assert run("embed", "s3://bucket/shapes/*", *given(shapes, "s3://bucket/one")) == 1
    command = [sys.executable, "-c", SHORT, "embed", "s3://bucket/shapes/*"]
    command += given(shapes, "s3://bucket/killed")
    draw, killed = random.Random(0), 0

    def there():
        return list(bucket.glob("bucket/killed/shard-*", refresh=True))

    while killed < KILLS:
        wanted = len(there()) + draw.randrange(3)
        with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as worker:
            while len(there()) < wanted and worker.poll() is None:
                time.sleep(0.05)
            time.sleep(draw.uniform(0, 0.3))
            worker.kill()
        killed += worker.returncode == -signal.SIGKILL
    subprocess.run(command, check=False)
    for name in there():
        assert bucket.cat(name) == bucket.cat(name.replace("/killed/", "/one/"))
    assert len(there()) == 13


SHORT = """
from pcclust.cli.main import main
from pcclust.distributed import claims
claims.EXPIRES = 2.0
main()
"""
