"""What the tests of emulated kernels share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from torch import Tensor

from tests.cuda.emulation import FLAVOURS, build, emulate


@pytest.fixture(scope="session")
def built() -> None:
    """Compiles the emulator's program."""
    build()


@pytest.fixture(params=FLAVOURS, name="emulate")
def _emulate(
    request: pytest.FixtureRequest, tmp_path: Path, built: None
) -> Callable[..., dict[str, Tensor]]:
    """Returns `emulation.emulate`, once for each flavour."""
    return partial(emulate, tmp_path, request.param)
