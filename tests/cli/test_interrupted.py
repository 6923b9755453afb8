"""Commands that are asked to end, killed, or meet another one at their output."""

import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

import pcclust
from pcclust._lock import locked_file, locked_folder
from pcclust.cli.main import main

# The command stands still after its first shape is read; readers are processes.
RUN = """
import sys, time
from pcclust.cli import rri
from pcclust.cli.main import main

def slow(*_):
    print("reading", flush=True)
    time.sleep(20)

if __name__ == "__main__":
    rri.POINTS_PER_BATCH = 25  # each shape by itself, so that readers wait for the next
    rri.describe_readable = slow
    main(sys.argv[1:])
"""


@pytest.fixture
def shapes(tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    for number in range(8):
        np.savetxt(folder / f"{number}.xyz", np.random.default_rng(number).normal(size=(30, 3)))
    return folder


def begun(tmp_path, shapes):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    command = [sys.executable, script, "rri", shapes, "--out", tmp_path / "f.npz", "--workers", 2]
    process = subprocess.Popen(
        [*map(str, command), "--k", "5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "reading\n", process.communicate()[1]
    return process


def members(session):
    """Returns the processes of a session that are not gone."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = entry.read_text().rpartition(") ")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(entry.parent.name))
    return found


def gone(session, seconds):
    """Returns whether a session ends in time."""
    end = time.monotonic() + seconds
    while members(session) and time.monotonic() < end:
        time.sleep(0.05)
    return not members(session)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_command_and_its_readers(tmp_path, shapes, number):
    start = time.monotonic()
    with begun(tmp_path, shapes) as process:
        running = len(members(process.pid))
        sent = time.monotonic()
        process.send_signal(number)
        complaints = process.communicate()[1]
        ended = time.monotonic()
    assert running >= 4  # two readers and the tracker of semaphores
    assert process.returncode == 128 + number
    assert complaints == "Interrupted; no shape was complete, so nothing is kept.\n"
    assert gone(process.pid, 20)
    # Sooner than it began, plus a second, however busy the machine; nobody waits for the readers.
    assert ended - sent < sent - start + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.py", "shapes"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
def test_readers_do_not_outlive_a_killed_parent(tmp_path, shapes):
    with begun(tmp_path, shapes) as process:
        running = len(members(process.pid))
        process.kill()
    assert running >= 4
    assert gone(process.pid, 20)


def test_what_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def info() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    monkeypatch.setattr("pcclust.cli.info.info", info)
    try:
        with pytest.raises(SystemExit) as stopped:
            main(["info"])
    finally:
        signal.signal(signal.SIGHUP, before)
    assert stopped.value.code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_command_ends_alike(monkeypatch, capsys, number):
    def info() -> int:
        os.kill(os.getpid(), number)
        time.sleep(5)
        return 0

    monkeypatch.setattr("pcclust.cli.info.info", info)
    default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, default)  # nohup ignores SIGHUP, and so would all below it
    try:
        with pytest.raises(SystemExit) as stopped:
            main(["info"])
        assert signal.getsignal(number) is default
    finally:
        signal.signal(number, before)
    assert stopped.value.code == 128 + number
    assert capsys.readouterr().err.startswith("Interrupted; ")


class Closing:
    """Gets a signal while Python closes it, when no exception can get through."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        sum(range(10))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("callback", [False, True])
def test_a_signal_is_not_lost_where_nothing_can_be_raised(monkeypatch, capsys, number, callback):
    def info() -> int:
        if callback:
            held = type("Held", (), {})()
            _ = weakref.ref(held, lambda _: Closing(number).__del__())
            del held
        else:
            Closing(number)
        time.sleep(5)
        return 0

    monkeypatch.setattr("pcclust.cli.info.info", info)
    before, hook = signal.getsignal(signal.SIGALRM), sys.unraisablehook
    with pytest.raises(SystemExit) as stopped:
        main(["info"])
    assert stopped.value.code == 128 + number
    assert capsys.readouterr().err.startswith("Interrupted; ")
    assert signal.getsignal(signal.SIGALRM) is before
    assert sys.unraisablehook is hook


def loading(folder, *arguments):
    """Starts Python with a torch that says whether Ctrl-C is Python's, and takes its time."""
    (folder / "torch.py").write_text(
        "import signal, time\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)\n"
        "time.sleep(20)\n"
    )
    root = str(Path(pcclust.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), root])},
    )


def test_ctrl_c_ends_a_command_silently_while_it_loads(tmp_path):
    script = tmp_path / "pcclust"
    script.write_text("from pcclust.cli.main import main\nmain()\n")
    for command in (["-m", "pcclust"], [str(script)]):
        with loading(tmp_path, *command, "info") as process:
            assert process.stdout.readline() == "False\n"
            process.send_signal(signal.SIGINT)
            complaints = process.communicate()[1]
        assert process.returncode == -signal.SIGINT  # 130 to a shell
        assert complaints == ""


def test_whoever_imports_the_package_keeps_their_handlers(tmp_path):
    with loading(tmp_path, "-c", "import pcclust", "-m", "pcclust") as process:
        assert process.stdout.readline() == "True\n"
        process.kill()


@pytest.mark.parametrize(
    ("lock", "arguments"),
    [
        (locked_file, ["rri", "shapes", "--k", "5", "--out", "out.npz"]),
        (locked_file, ["data", "prepare", "shapes", "--out", "out.h5"]),
        (locked_folder, ["cluster", "shapes", "--out", "out"]),
        (
            locked_folder,
            ["evaluate", "corruption", "m.py:f", "--data", "shapes", "--report", "out"],
        ),
    ],
)
def test_two_never_write_one_output(tmp_path, shapes, monkeypatch, capsys, lock, arguments):
    monkeypatch.chdir(tmp_path)
    out = Path(arguments[-1])
    with lock(out):
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 1
        told = f"{out} is being written by process {os.getpid()} on "
        assert told in capsys.readouterr().err
        assert sorted(path.name for path in tmp_path.iterdir()) == before
