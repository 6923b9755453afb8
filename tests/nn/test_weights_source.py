"""Names, paths and repositories of weights; the Hub is a server of our own on this machine."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import pcclust
from pcclust.evaluate.model_source import find_model
from pcclust.nn import PointNet, weights_source
from pcclust.nn.weights import read_card, save_weights
from pcclust.nn.weights_source import is_path, locate, shipped_names

CARD = {"model": "pointnet", "model_kwargs": {}, "class_names": []}
COMMIT, OLDER = "a" * 40, "b" * 40


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Lets two weights come with pcclust."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    for seed, name in enumerate(("pointnet-contrastnet-cups", "pointnet-dec-bowls")):
        torch.manual_seed(seed)
        save_weights(folder / f"{name}.safetensors", PointNet(), CARD | {"seed": seed})
    monkeypatch.setattr(weights_source, "SHIPPED", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_weights_are_found_by_the_names_of_the_files_that_are_there(shipped):
    assert shipped_names() == ["pointnet-contrastnet-cups", "pointnet-dec-bowls"]
    model = pcclust.load("pointnet-dec-bowls")
    assert isinstance(model, PointNet)
    assert model.card["seed"] == 1
    assert read_card("pointnet-contrastnet-cups")["seed"] == 0
    assert locate("pointnet-dec-bowls") == shipped / "pointnet-dec-bowls.safetensors"


def test_a_name_comes_before_a_folder_of_that_name(shipped, tmp_path):
    save_weights(tmp_path, PointNet(), CARD | {"seed": 9})
    folder = tmp_path / "pointnet-dec-bowls"
    folder.mkdir()
    for name in ("weights.safetensors", "weights.json"):
        (tmp_path / name).rename(folder / name)
    assert pcclust.load("pointnet-dec-bowls").card["seed"] == 1
    for path in ("./pointnet-dec-bowls", folder, f"{folder}/weights.safetensors"):
        assert pcclust.load(path).card["seed"] == 9


@pytest.mark.usefixtures("shipped")
def test_a_wrong_name_gets_the_nearest_and_all_of_them():
    every = r"pointnet-contrastnet-cups, pointnet-dec-bowls"
    meant = rf"pointnet-dec-bowl; did you mean 'pointnet-dec-bowls'\?; give .*\({every}\)"
    with pytest.raises(FileNotFoundError, match=rf"there are no weights {meant}"):
        pcclust.load("pointnet-dec-bowl")
    with pytest.raises(FileNotFoundError, match=rf"there are no weights zzz; give .*\({every}\)"):
        read_card("zzz")
    with pytest.raises(FileNotFoundError, match=r"there is no model pointnet-dec-bowl; did you m"):
        find_model("pointnet-dec-bowl", features=True)


@pytest.mark.usefixtures("shipped")
def test_what_is_shipped_is_found_as_a_model_and_fills_one_of_the_users():
    found = find_model("pointnet-dec-bowls", features=True)
    assert (found.name, type(found.model)) == ("pointnet-dec-bowls", PointNet)
    theirs = find_model("pcclust.nn:PointNet", "pointnet-dec-bowls", features=True).model
    state = found.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in theirs.state_dict().items())


def test_a_path_that_looks_like_a_repository_stays_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # asking it would be another error
    with pytest.raises(FileNotFoundError, match=r"runs/mine; if it is on .*, write hf://runs/mine"):
        pcclust.load("runs/mine")
    with pytest.raises(FileNotFoundError, match=r"no weights runs/mine.safetensors; give the fold"):
        pcclust.load("runs/mine.safetensors")
    assert is_path("runs/mine")
    assert not is_path("hf://runs/mine")


def test_an_address_must_name_a_repository_and_the_extra_must_be_there(monkeypatch):
    for address in ("hf://", "hf://gpt", "hf://a/b/c", "hf://a/b@", "hf://a b/c"):
        with pytest.raises(ValueError, match=rf"'{address}' names no repository: write hf://OWNER"):
            pcclust.load(address)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", None)
    with pytest.raises(ImportError, match=r"needs huggingface_hub .*'pcclust\[hub\]'"):
        pcclust.load("hf://someone/shapes")


class Hub(BaseHTTPRequestHandler):
    """What the Hub answers about the repositories of ``contents``, and what it was asked for."""

    contents: ClassVar[dict[str, dict[str, dict[str, bytes]]]] = {}
    fetched: ClassVar[list[str]] = []

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        parts = self.path.split("?")[0].strip("/").split("/")
        owner, name, what, revision, *path = (
            parts[2:] if parts[0] == "api" else [*parts, "", "", ""]
        )
        revisions = self.contents.get(f"{owner}/{name}")
        commit = {"main": COMMIT, "v1": OLDER}.get(revision, revision)
        if revisions is None or commit not in revisions:
            return self.refuse("RepoNotFound" if revisions is None else "RevisionNotFound")
        files = revisions[commit]
        if what == "revision":
            return self.send({}, self.json({"id": f"{owner}/{name}", "sha": commit}), body)
        if what == "tree":
            listed = [
                {"type": "file", "path": n, "size": len(c), "oid": oid(c)} for n, c in files.items()
            ]
            return self.send({}, self.json(listed), body)
        content = files[path[0]]
        if body:
            self.fetched.append(path[0])
        return self.send({"ETag": f'"{oid(content)}"', "X-Repo-Commit": commit}, content, body)

    @staticmethod
    def json(value):
        return json.dumps(value).encode()

    def refuse(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, headers, content, body):
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


def oid(content):
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Starts a Hub with weights of two revisions, and repositories where they are not whole."""
    pytest.importorskip("huggingface_hub", reason="pcclust[hub] is not installed")

    def repository(seed):
        save_weights(tmp_path, PointNet(), CARD | {"seed": seed})
        names = ("weights.safetensors", "weights.json")
        return {name: (tmp_path / name).read_bytes() for name in names} | {"huge.bin": b"no"}

    whole = {COMMIT: repository(0), OLDER: repository(1)}
    damaged = {COMMIT: whole[COMMIT] | {"weights.safetensors": b"<html>"}}
    other = {COMMIT: {"weights.safetensors": b"of another library"}}
    contents = {"me/shapes": whole, "me/damaged": damaged, "me/other": other}
    monkeypatch.setattr(Hub, "contents", contents)
    monkeypatch.setattr(Hub, "fetched", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


TELL = """
import sys, pcclust
for address in sys.argv[1:]:
    try:
        print("seed", pcclust.load(address).card["seed"])
    except (OSError, ValueError) as error:
        print(type(error).__name__, error)
"""


def load_from(server, cache, *addresses, offline=False):
    """Loads weights in a process whose Hub is the server; returns what each gave."""
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(Path(pcclust.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", TELL, *addresses],
        env={name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_repositories_are_fetched_checked_and_kept(hub, tmp_path):
    cache = tmp_path / "cache"
    told = load_from(
        hub,
        cache,
        "hf://me/shapes",
        f"hf://me/shapes@{COMMIT}",
        "hf://me/shapes@v1",
        "hf://me/shapes@v2",
        "hf://me/nothing",
        "hf://me/damaged",
        "hf://me/other",
    )
    assert told[:3] == ["seed 0", "seed 0", "seed 1"]
    assert told[3:5] == [
        "FileNotFoundError hf://me/shapes@v2: the repository has no revision v2",
        "FileNotFoundError hf://me/nothing: there is no such repository, or it is not open to you: "
        "check its name, or log in by: hf auth login",
    ]
    assert "weights.safetensors is cut short: 6 bytes where weights.json says" in told[5]
    assert told[6:] == [
        "FileNotFoundError hf://me/other holds no weights of pcclust: it lacks weights.json"
    ]
    assert set(Hub.fetched) == {"weights.safetensors", "weights.json"}
    del Hub.contents["me/shapes"]
    offline = load_from(hub, cache, "hf://me/shapes@v1", "hf://me/new", offline=True)
    assert offline[0] == "seed 1"
    assert len(offline) == 2
    assert offline[1].startswith("OSError hf://me/new cannot be fetched (LocalEntryNotFoundError: ")
    assert "check the network, or copy weights.safetensors and weights.json" in offline[1]
