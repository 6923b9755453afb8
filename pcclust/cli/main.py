"""The command ``pcclust`` and its subcommands."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module

import tyro
from rich.text import Text

from pcclust import _signals
from pcclust._version import __version__
from pcclust.cli._help import registry, without_none
from pcclust.cli.console import ExitCode, data_warnings_printed, errors, output

# Each is the function of that name in the module pcclust.cli of that name; its docstring is its
# help, its arguments are the options, and it returns the exit code. Here: what it is for, and an
# example.
COMMANDS = {
    "cluster": (
        "Clusters shapes or features, and shows the clusters.",
        "pcclust cluster modelnet10",
    ),
    "data": ("Fetches, checks, prepares and shows datasets.", "pcclust data list"),
    "demo": ("Shows on bundled shapes that no rotation matters.", "pcclust demo"),
    "embed": (
        "Describes each shape by one vector.",
        "pcclust embed scans/ --weights clusternet-contrastnet-modelnet40 --out features.npz",
    ),
    "evaluate": (
        "Tests a model on rotated or corrupted shapes, or its features.",
        "pcclust evaluate rotation runs/mine --report out/mine",
    ),
    "info": ("Says which backend serves each operator, and why.", "pcclust info"),
    "pretrain": (
        "Trains an encoder of shapes without labels.",
        "pcclust pretrain contrastnet modelnet40",
    ),
    "rri": (
        "Computes rotation-invariant features of every point.",
        "pcclust rri scans/ --out rri.h5",
    ),
    "train": ("Trains a classifier of shapes.", "pcclust train modelnet40 --rotation so3"),
    "view": (
        "Shows any shapes on one page, to be turned and coloured.",
        "pcclust view scans/ --out scans.html",
    ),
}
DESCRIPTION = "Cluster 3-D shapes from bare point clouds, in any orientation, without labels."


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs ``pcclust`` and exits: 0 done, 1 done with failures, 2 wrong use, 130 interrupted.

    What goes wrong by the user's files, options or installation is one line on the standard error
    stream; with ``--traceback`` it comes with a traceback. Output that nobody reads any more, as in
    ``pcclust … | head``, ends it quietly with 141.

    Args:
        arguments: of the command line; by default those of this process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    traced = "--traceback" in given
    given = [argument for argument in given if argument != "--traceback"]
    if given == ["--version"]:
        output.print(f"pcclust {__version__}")
        sys.exit(ExitCode.DONE)
    try:
        with _signals.interrupting(), data_warnings_printed():
            code = _run(given)
        if code == ExitCode.INTERRUPTED:
            code = _signals.exit_code()
    except KeyboardInterrupt:
        errors.print("Interrupted; nothing half-written is left. The same command begins anew.")
        code = _signals.exit_code()
    except BrokenPipeError:  # whoever read, e.g. head, has seen enough
        # Python would complain once more as it flushes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.PIPE_CLOSED
    except (ValueError, OSError, ImportError, MemoryError, RuntimeError) as error:
        message = str(error) or type(error).__name__
        if traced:
            traceback.print_exc()
        errors.print(Text.assemble(("pcclust: error:", "bold red"), " ", message))
        code = ExitCode.WRONG_USE
    sys.exit(code)


def _run(given: list[str]) -> int:
    flags = (tyro.conf.FlagCreatePairsOff,)
    code: int
    # One that is named is imported alone, since each brings libraries of its own.
    if given and given[0] in COMMANDS:
        command = without_none(_command(given[0], given))
        code = tyro.cli(
            command,
            prog=f"pcclust {given[0]}",
            args=given[1:],
            config=flags,
            registry=registry(),
        )
    else:
        about = (
            f"{DESCRIPTION} pcclust COMMAND --help says more; pcclust --version says which pcclust "
            "this is; --traceback after a command says where an error came from."
        )
        code = tyro.extras.subcommand_cli_from_dict(
            {name: _overview(name) for name in COMMANDS},
            prog="pcclust",
            description=about,
            args=given,
            config=flags,
        )
    return code


def _overview(name: str) -> Callable[[], int]:
    """Returns what stands for a command in the list of all of them."""
    told, example = COMMANDS[name]

    def listed() -> int:
        return ExitCode.WRONG_USE  # a command that is named is run elsewhere

    listed.__doc__ = f"{told} {example}"
    return listed


def _command(name: str, arguments: list[str]) -> Callable[..., int]:
    module = import_module(f"pcclust.cli.{name}")
    function: Callable[..., int] = getattr(module, name)
    if arguments[:1] == [name] and hasattr(module, "with_defaults"):
        # Its defaults may come from a file that the arguments name.
        function = module.with_defaults(arguments[1:])
    return function


if __name__ == "__main__":
    main()
