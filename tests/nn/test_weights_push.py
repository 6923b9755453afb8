"""Weights put on a Hub that is a server of our own on this machine, and loaded from it again."""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import torch

import pcclust
from pcclust.cli.main import main
from pcclust.nn import PointNet
from pcclust.nn.weights import save_weights
from pcclust.nn.weights_push import push_weights

constants = pytest.importorskip("huggingface_hub.constants", reason="pcclust[hub] is missing")

COMMIT = "c" * 40
URL = f"https://huggingface.co/me/shapes/commit/{COMMIT}"


class Hub(BaseHTTPRequestHandler):
    """Takes repositories, branches and commits, as the Hub does, of one who knows the token."""

    made: ClassVar[list[dict]] = []
    branches: ClassVar[list[str]] = []
    files: ClassVar[dict[str, bytes]] = {}
    commits: ClassVar[list[tuple[str, dict]]] = []

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        name = self.path.rpartition("/")[2]
        if name in self.files:
            return self.send({"ETag": '"x"', "X-Repo-Commit": COMMIT})
        return self.refuse(404, "EntryNotFound")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self.refuse(401, "")
        if self.path == "/api/repos/create":
            self.made.append(json.loads(body))
            return self.send({}, {"url": "https://huggingface.co/me/shapes"})
        if "/branch/" in self.path:
            self.branches.append(self.path.rpartition("/")[2])
            return self.send({}, {})
        if self.path == "/api/validate-yaml":
            return self.send({}, {"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            asked = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in asked]
            return self.send({}, {"files": modes})
        lines = [json.loads(line) for line in body.splitlines()]
        self.commits.append((self.path, lines[0]["value"]))
        for line in lines[1:]:
            self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return self.send({}, {"commitUrl": URL, "commitOid": COMMIT})

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, headers, content=None):
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(autouse=True)
def _hub(tmp_path, monkeypatch):
    for name, empty in (("made", []), ("branches", []), ("files", {}), ("commits", [])):
        monkeypatch.setattr(Hub, name, empty)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", at)
    files = f"{at}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "run"
    card = {"model": "pointnet", "model_kwargs": {}, "class_names": [], "num_points": 64}
    folder.mkdir()
    save_weights(folder, PointNet(), card)
    return folder


def push(*arguments):
    """Runs the command, whose Hub is the server."""
    with pytest.raises(SystemExit) as stop:
        main(["push", *map(str, arguments)])
    return int(stop.value.code or 0)


def test_weights_are_pushed_in_one_commit_and_load_again(weights, tmp_path, capsys):
    assert push(weights, "hf://me/shapes", "--private") == 0
    said = f"hf://me/shapes: weights.safetensors, weights.json, README.md; commit {COMMIT}"
    assert capsys.readouterr().out.splitlines()[0] == said
    assert [(repo["name"], repo["organization"]) for repo in Hub.made] == [("shapes", "me")]
    assert Hub.made[0].get("visibility") == "private" or Hub.made[0].get("private") is True
    ((path, told),) = Hub.commits
    assert path.startswith("/api/models/me/shapes/commit/main")
    assert told["summary"].startswith("Weights of pcclust")
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for name, content in Hub.files.items():
        (fetched / name).write_bytes(content)
    found, given = pcclust.load(fetched).state_dict(), pcclust.load(weights).state_dict()
    assert all(torch.equal(value, given[name]) for name, value in found.items())
    readme = (fetched / "README.md").read_text()
    assert readme.startswith("---\nlibrary_name: pcclust\n")
    assert 'pcclust.load("hf://me/shapes")' in readme


def test_a_branch_is_made_and_a_readme_of_others_is_kept(weights):
    Hub.files["README.md"] = b"mine"
    assert push(weights, "hf://me/shapes@v2", "--message", "better") == 0
    assert Hub.branches == ["v2"]
    ((path, told),) = Hub.commits
    assert "/commit/v2" in path
    assert told["summary"] == "better"
    assert Hub.files["README.md"] == b"mine"


@pytest.mark.parametrize("token", ["hf_wrong", ""])
def test_whoever_may_not_write_is_told_to_log_in(weights, monkeypatch, capsys, token):
    monkeypatch.setenv("HF_TOKEN", token)
    assert push(weights, "hf://me/shapes") == 1
    said = capsys.readouterr().err
    assert "hf://me/shapes: you may not write there (" in said
    assert "log in by: hf auth login" in said
    assert Hub.commits == []


def test_a_hub_that_is_not_there_is_said(weights, monkeypatch, capsys):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    assert push(weights, "hf://me/shapes") == 1
    assert "hf://me/shapes cannot be written (ConnectError: " in capsys.readouterr().err


def test_nothing_is_sent_of_what_is_not_whole(weights, capsys):
    whole = (weights / "weights.safetensors").read_bytes()
    (weights / "weights.safetensors").write_bytes(whole[:-1])
    assert push(weights, "hf://me/shapes") == 1
    assert Hub.made == []
    assert "is cut short" in capsys.readouterr().err


def test_wrong_calls(weights, monkeypatch):
    for address in ("me/shapes", "hf://shapes", "hf://a/b/c"):
        with pytest.raises(ValueError, match="names no repository: write hf://OWNER/REPOSITORY"):
            push_weights(weights, address)
    with pytest.raises(FileNotFoundError, match="there are no weights nowhere"):
        push_weights("nowhere", "hf://me/shapes")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pushing to the Hugging Face Hub .*'pcclust\[hub\]'"):
        push_weights(weights, "hf://me/shapes")
