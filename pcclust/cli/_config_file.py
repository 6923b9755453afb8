"""Defaults of a command from a config file, which the command line then overrides."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import tyro

from pcclust.training import TrainingConfig, read_config
from pcclust.training.run_folder import CONFIG


def defaults_from_file(
    function: Callable[..., int], kind: type[TrainingConfig], arguments: Sequence[str]
) -> Callable[..., int]:
    """Returns a command with the defaults of its config file, if its arguments name one.

    That is the file after ``--config``; or with ``--resume`` that of the run in the folder after
    ``--out``, so that going on with a run needs no other option.

    Args:
        function: the command; its parameter ``run`` is a ``kind``.
        kind: the dataclass of the settings.
        arguments: of the command.

    Raises:
        FileNotFoundError: no such config file.
        ValueError: it is wrong; see `read_config`.
    """
    path = config_file(arguments)
    if path is None:
        return function
    # What the file leaves out and has no default must be on the command line.
    values = {"dataset": tyro.MISSING} | read_config(path, kind)
    return partial(function, run=kind(**values))


def config_file(arguments: Sequence[str]) -> Path | None:
    """Returns the config file that a command's arguments name, see `defaults_from_file`."""
    given, out = option(arguments, "--config"), option(arguments, "--out")
    if "--resume" in arguments and out is not None and (Path(out) / CONFIG).is_file():
        return Path(out) / CONFIG
    return None if given is None else Path(given)


def option(arguments: Sequence[str], name: str) -> str | None:
    """Returns the value of an option, given as ``--name value`` or ``--name=value``."""
    for at, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if key == name and equals:
            return value
        if argument == name and at + 1 < len(arguments):
            return arguments[at + 1]
    return None
