"""The build backend: that of setuptools, which asks for torch only where there is none yet."""

import os
import shutil
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 (the hooks that stay as they are)
from torch_place import OLDEST, find_torch

COMPILERS = ("c++", "g++", "clang++")


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:  # noqa: ANN401
    """Returns what setuptools needs, and torch's headers where they are of use and missing."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *missing_torch()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:  # noqa: ANN401
    """Returns the same for an installation that runs in place."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *missing_torch()]


def missing_torch() -> list[str]:
    """Returns the requirement of torch, unless there is one, or nothing to compile with."""
    compiles = os.environ.get("PCCLUST_BUILD") != "0" and find_compiler() is not None
    return [] if find_torch() or not compiles else [f"torch>={OLDEST[0]}.{OLDEST[1]}"]


def find_compiler() -> str | None:
    """Returns the C++ compiler: that of the variable CXX, or the first there is."""
    wish = os.environ.get("CXX")
    return wish or next((name for name in COMPILERS if shutil.which(name)), None)
