"""What a part of the fuzzer found."""

from dataclasses import dataclass, field


@dataclass
class Figures:
    """What a part tried and what came of it.

    Attributes:
        tried: how many calls, files or kills.
        wrong: one line for each wrong answer, crash or hang, with what repeats it.
        crashes: how many of them ended the process or did not end at all.
        more: further figures, in words.
        table: lines of a table of further figures, or none.
    """

    tried: int = 0
    wrong: list[str] = field(default_factory=list)
    crashes: int = 0
    more: str = ""
    table: list[str] = field(default_factory=list)
