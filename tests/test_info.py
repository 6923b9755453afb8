import sys

import pytest
import torch

import pcclust
from pcclust.ops import _registry


def test_every_operator_is_there_with_the_backend_that_serves_it():
    operators = {operator.name: operator for operator in pcclust.info().operators}
    assert {"knn", "ball_query", "farthest_point_sample", "rri"} <= set(operators)
    assert not any(name.endswith(_registry.TWIN) for name in operators)
    for operator in operators.values():
        if operator.name in _registry.taken_to_cpu:
            assert operator.cuda == operator.cpu
            continue
        if _registry.cuda is None:
            assert operator.cuda == "torch"
            assert _registry.why_missing("cuda") in operator.reasons
        assert operator.cpu == "cpu" or len(operator.reasons) == 2
    assert operators["knn"].cpu == ("torch" if _registry.native is None else "cpu")


def test_a_demanded_backend_is_told():
    with pcclust.use_backend("torch"):
        operator = pcclust.info().operators[0]
    assert operator.cpu == "torch"
    assert "demanded" in operator.reasons[0]


def test_versions():
    facts = pcclust.info()
    assert facts.versions["pcclust"] == pcclust.__version__
    assert facts.versions["torch"] == torch.__version__
    assert facts.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts.threads == torch.get_num_threads()


def test_native_facts_are_those_of_the_library():
    facts = pcclust.info()
    if _registry.native is None:
        assert facts.native is None
        assert facts.native_reason
    else:
        assert facts.native["instruction_set"] in (
            "baseline",
            "avx2",
            "avx512",
            "avx512vnni",
            "avx512bf16",
        )
        assert int(facts.native["torch_target_version"], 16) >= 0x020B << 48
        assert facts.native["compiler"]


def test_cuda_facts_are_those_of_the_library():
    facts = pcclust.info()
    assert facts.cuda_reason == (_registry.why_missing("cuda") or "built and loaded")
    if _registry.cuda is None:
        assert facts.cuda is None
    else:
        assert facts.cuda["compiler"].startswith("nvcc ")
        assert facts.cuda["targets"].split()


def test_built_cuda_kernels_are_told_from_devices(monkeypatch):
    """What `info` says where the library is loaded and no device is there."""
    monkeypatch.setattr(_registry, "cuda", "_cuda.so")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    reason = "the CUDA kernels are built, but no CUDA device is visible"
    assert _registry.why_missing("cuda") == reason
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert _registry.why_missing("cuda") is None


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [("laspy", "laspy", "pcclust[las]")],
)
def test_a_missing_reader_is_told(monkeypatch, module, library, extra):
    monkeypatch.setitem(sys.modules, module, None)
    readers = {reader.library: reader for reader in pcclust.info().readers}
    assert extra in readers[library].reason
    assert readers["numpy"].reason is None
