"""``pcclust info``: what serves each operator and why, and which formats can be read."""

from rich.table import Table

import pcclust
from pcclust.cli.console import ExitCode, output
from pcclust.info import Info


def info() -> int:
    """Says which backend serves each operator and why, and which formats can be read.

    The backends are cuda (NVIDIA kernels), cpu (native kernels) and torch (plain PyTorch, which
    works everywhere). Put what this prints into a bug report.
    """
    facts = pcclust.info()
    for part in (_versions(facts), "", _operators(facts), *_reasons(facts), "", _readers(facts)):
        output.print(part)
    return ExitCode.DONE


def _versions(facts: Info) -> Table:
    table = Table("", "", show_header=False, box=None)
    rows = {
        **facts.versions,
        "threads": str(facts.threads),
        "native kernels": _kernels(facts.native_reason, facts.native),
        "CUDA kernels": _kernels(facts.cuda_reason, facts.cuda),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _kernels(reason: str, facts: dict[str, str] | None) -> str:
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in (facts or {}).items())
    return f"{reason} ({told})" if told else reason


def _operators(facts: Info) -> Table:
    table = Table("operator", "CPU tensors", "CUDA tensors", box=None)
    for operator in facts.operators:
        table.add_row(operator.name, operator.cpu, operator.cuda)
    return table


def _reasons(facts: Info) -> list[str]:
    """Says each reason once, since it usually holds for most operators."""
    return [
        f" • {reason}" for reason in dict.fromkeys(r for o in facts.operators for r in o.reasons)
    ]


def _readers(facts: Info) -> Table:
    table = Table("formats", "read by", "usable", box=None)
    for reader in facts.readers:
        library = f"{reader.library} {reader.version or '(not installed)'}"
        table.add_row(reader.formats, library, reader.reason or "yes")
    return table
