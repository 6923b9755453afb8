"""How ptxas' report is read."""

import pytest

from csrc.cuda.ptxas_report import main, read_log, shorten

LOG = """
ptxas info    : 28 bytes gmem
ptxas info    : Compiling entry function '_ZN7pcclust4cuda4scanIfLi4EEEvPKT_' for 'sm_75'
ptxas info    : Function properties for _ZN7pcclust4cuda4scanIfLi4EEEvPKT_
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 4096 bytes smem, 372 bytes cmem[0]
ptxas info    : Compile time = 14.095 ms
ptxas info    : Compiling entry function '_ZN7pcclust4cuda4scanIfLi4EEEvPKT_' for 'sm_90'
ptxas info    : Function properties for _ZN7pcclust4cuda4scanIfLi4EEEvPKT_
    8 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads
ptxas info    : Used 39 registers, used 0 barriers
"""


def test_registers_shared_memory_and_spills_are_read():
    name = "_ZN7pcclust4cuda4scanIfLi4EEEvPKT_"
    assert [*read_log("scan", LOG)] == [
        ("scan", name, "sm_75", 40, 4096, 0),
        ("scan", name, "sm_90", 39, 0, 40),
    ]


def test_a_spill_is_refused_and_named(tmp_path, capsys):
    (tmp_path / "scan.log").write_text(LOG)
    assert main(tmp_path, tmp_path / "page.md") == 1
    assert capsys.readouterr().out == "scan<float, 4> spills 40 bytes on sm_90\n"
    assert not (tmp_path / "page.md").exists()


def test_the_page_has_a_row_for_each_kernel(tmp_path):
    (tmp_path / "scan.log").write_text(
        LOG.replace("16 bytes spill", "0 bytes spill").replace("24 bytes spill", "0 bytes spill")
    )
    assert main(tmp_path, tmp_path / "page.md") == 0
    assert "| scan | `scan<float, 4>` | 40 + 4096 | 39 |" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("void pcclust::cuda::scan<float, 4>(float const*)", "scan<float, 4>"),
        ("void pcclust::cuda::(anonymous namespace)::f<(int)4, (bool)1>(int)", "f<4, 1>"),
        ("pcclust::cuda::sort_lists_kernel(long, pcclust::cuda::SourceLists)", "sort_lists_kernel"),
    ],
)
def test_names_are_short(full, short):
    assert shorten(full) == short
