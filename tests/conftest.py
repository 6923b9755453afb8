"""What the tests share: the backends that are here, the data, and how Hypothesis searches."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from pcclust.ops._registry import use_backend, why_missing

# Programs of their own, which run outside of this environment.
collect_ignore = ["clean_environment", "mutants.py"]

# The same examples in every run; `pytest --hypothesis-profile=explore` looks for others.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    max_examples=40,
    # The backend is one for all examples of a test, so a fixture may set it.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile("repeatable")


@pytest.fixture(params=["torch", "cpu"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test on each backend; a native library that was built must load."""
    reason = why_missing(request.param)
    if reason is not None:
        expected = "was not built" in reason or reason == "PCCLUST_BACKEND=torch"
        if not expected or os.environ.get("PCCLUST_BUILD") == "1":
            pytest.fail(f"the {request.param!r} backend must be here: {reason}")
        pytest.skip(reason)
    with use_backend(request.param):
        yield request.param


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Returns the folder of shared data that the variable PCCLUST_DATA names."""
    folder = os.environ.get("PCCLUST_DATA")
    if not folder:
        pytest.skip("PCCLUST_DATA is not set")
    if not Path(folder).is_dir():
        pytest.fail(f"PCCLUST_DATA={folder} is no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def modelnet40(data_folder: Path) -> np.ndarray:
    """Returns ``(200, 1024, 3)`` float32, test shapes spread over the classes of ModelNet40."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(data_folder / "modelnet40" / "test.h5") as file:
        shapes = len(file["data"])
        return file["data"][np.linspace(0, shapes - 1, 200).astype(int)]
