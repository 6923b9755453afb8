"""The command ``pcclust`` and its subcommands."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pcclust import _signals
from pcclust._names import nearest
from pcclust._version import __version__
from pcclust.cli._help import parsed
from pcclust.cli._options import in_options, speak_of
from pcclust.cli.console import (
    ExitCode,
    UsageError,
    data_warnings_printed,
    errors,
    output,
    print_traceback,
)

# In the order in which a person needs them. Each is in the module pcclust.cli of that name: a
# function of that name, or a dataclass of that name with a method `run`; its docstring is its help,
# its arguments are the options, and it returns the exit code. Or the module has ACTIONS, each a
# name and an example, and `action` finds them. Here: what each is for, and an example.
COMMANDS = {
    "demo": ("Shows on bundled shapes that no rotation matters.", "pcclust demo"),
    "data": ("Fetches, checks, prepares and shows datasets.", ""),
    "rri": (
        "Computes rotation-invariant features of every point.",
        "pcclust rri data/meshes --out rri.h5",
    ),
    "view": (
        "Shows any shapes on one page, to be turned and coloured.",
        "pcclust view data/meshes --out meshes.html",
    ),
    "embed": (
        "Describes each shape by one vector.",
        "pcclust embed data/meshes --weights clusternet-contrastnet-modelnet40 --out features.npz",
    ),
    "cluster": (
        "Clusters shapes or features, and shows the clusters.",
        "pcclust cluster data/furniture.h5 --clusters 15",
    ),
    "pretrain": ("Trains an encoder, and clusters, of shapes without labels.", ""),
    "train": ("Trains a classifier of shapes.", "pcclust train modelnet40 --rotation so3"),
    "evaluate": ("Tests a model on rotated or corrupted shapes, or its features.", ""),
    "export": (
        "Writes weights as an ONNX file, for programs without torch.",
        "pcclust export runs/mine mine.onnx",
    ),
    "push": ("Puts weights on the Hugging Face Hub.", "pcclust push runs/mine hf://me/mine"),
    "info": ("Says which backend serves each operator, and why.", "pcclust info"),
}
ABOUT = "Cluster 3-D shapes from bare point clouds, in any orientation, without labels."
MORE = """\
pcclust COMMAND --help says more, with an example; pcclust --version says which
pcclust this is; --traceback after a command says where an error came from."""
HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs ``pcclust`` and exits: 0 done, 1 failed or refused, 2 wrong use, 130 interrupted.

    After SIGTERM it is 143, after SIGHUP 129. What goes wrong by the user's files, options or
    installation is one line on the standard error stream; with ``--traceback`` it comes with a
    traceback. Output that nobody reads any more, as in ``pcclust … | head``, ends it quietly with
    141.

    Args:
        arguments: of the command line; by default those of this process.
    """
    if arguments is None:  # of this process, whose bugs show their traceback
        sys.excepthook = print_traceback
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
        message = in_options(str(error)) or type(error).__name__
        if traced:
            print_traceback(type(error), error, error.__traceback__)
        errors.print(Text.assemble(("pcclust: error:", "bold red"), " ", message))
        code = ExitCode.WRONG_USE if isinstance(error, UsageError) else ExitCode.FAILED
    sys.exit(code)


def _run(given: list[str]) -> int:
    speak_of(None)
    if not given or given[0] not in COMMANDS:
        purposes = {name: purpose for name, (purpose, _) in COMMANDS.items()}
        return _list(Overview("pcclust", "command", ABOUT, purposes, MORE), given)
    name, *rest = given
    # One that is named is imported alone, since each brings libraries of its own.
    module: Any = import_module(f"pcclust.cli.{name}")
    prog, (about, example) = f"pcclust {name}", COMMANDS[name]
    if hasattr(module, "action"):
        if not rest or rest[0] not in module.ACTIONS:
            kind, purposes, more = module.KIND, module.purposes(), module.MORE
            return _list(Overview(prog, kind, about, purposes, more), rest)
        name, *rest = rest
        prog, example = f"{prog} {name}", module.ACTIONS[name]
        command, default = module.action(name, rest)
    else:
        command = getattr(module, name, None) or getattr(module, name.capitalize())
        default = module.default(rest) if hasattr(module, "default") else None
    run: Callable[[], int] = parsed(command, rest, prog=prog, example=example, default=default)
    speak_of(run)
    return run()


class Overview(NamedTuple):
    """Several commands that begin alike.

    Attributes:
        prog: how they begin.
        kind: what each is.
        about: what they are for, together.
        purposes: of each, by name.
        more: what else there is to say.
    """

    prog: str
    kind: str
    about: str
    purposes: Mapping[str, str]
    more: str = ""


def _list(overview: Overview, given: Sequence[str]) -> int:
    """Prints the commands where it is asked for or none is named.

    Raises:
        UsageError: it is another word.
    """
    asked = bool(given) and given[0] in HELP
    if given and not asked:
        what = "option" if given[0].startswith("-") else overview.kind
        known = HELP if what == "option" else overview.purposes
        raise UsageError(f"{overview.prog} has no {what} {given[0]!r}{nearest(given[0], known)}")
    console = output if asked else errors
    console.print(f"usage: {overview.prog} {overview.kind.upper()} …\n")
    console.print(f"{overview.about}\n", soft_wrap=False)
    names = Table.grid(padding=(0, 2, 0, 0))
    for name, purpose in overview.purposes.items():
        names.add_row(name, purpose)
    console.print(Padding(names, (0, 0, 0, 2)), soft_wrap=False)
    if overview.more:
        console.print(f"\n{overview.more}", soft_wrap=False)
    return ExitCode.DONE if asked else ExitCode.WRONG_USE


if __name__ == "__main__":
    main()
