"""The part `operators`: right and wrong calls of all operators, native against torch."""

from tests.fuzz.children import make_trials, run_children
from tests.fuzz.figures import Figures

RIGHT_SHARE = 4  # every fourth call is a right one


def run(seed: int, amount: int) -> Figures:
    figures = run_children("tests.fuzz.operators", seed, seed + amount)
    figures.more = f"every {RIGHT_SHARE}th a right call"
    return figures


def trial(number: int) -> str | None:
    from tests.fuzz.calls import Draw, right_call, wrong_call
    from tests.fuzz.judge import judge, outcome

    right = number % RIGHT_SHARE == 0
    call = (right_call if right else wrong_call)(Draw(number))
    wrong = judge(call)
    if wrong is None and right and isinstance(outcome(*call), Exception):
        wrong = "a right call is refused"
    return wrong and f"{call[0]}: {wrong}"


if __name__ == "__main__":
    make_trials(trial)
