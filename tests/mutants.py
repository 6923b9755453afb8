"""Breaks lines of the package, one at a time, and tells which of them no test notices.

`make mutants` runs it with cosmic-ray, which finds and makes the mutations; this draws some of them
from each folder, always the same for a seed, and runs the tests of the file that was broken, in a
copy of the tree. `tests/mutants_left.json` says of survivors why they were left. The page goes to
standard output.
"""

import argparse
import ast
import functools
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
FOLDERS = ["ops", "cluster", "training", "methods", "evaluate"]
# Changes that raise a TypeError at once, or that change nothing, tell little about the tests.
MEANT = re.compile(
    r"core/(NumberReplacer|AddNot|Replace(AndWithOr|OrWithAnd|TrueWithFalse|FalseWithTrue)"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Pow_Mul|Mod_Mul"
    r"|BitAnd_BitOr|BitOr_BitAnd)"
    r"|ReplaceComparisonOperator_(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_Gt|Gt_Lt|Eq_NotEq|NotEq_Eq"
    r"|Is_IsNot|IsNot_Is)|ReplaceUnaryOperator_Delete_(USub|Not|Invert)|ReplaceBreakWithContinue)"
)
ENDS = ("caught", "out of time", "undecided", "survived")
LEFT_OUT = (".git", ".venv", "build", "out", "dist", "data", "__pycache__", ".*_cache")


@dataclass(frozen=True)
class Mutant:
    """A file with one line broken."""

    file: str
    line: int
    before: str
    after: str
    source: str


def bare(source: str) -> str:
    """Returns what a module does: without annotations, and defaults, which are taste."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
            if isinstance(getattr(node, "value", None), ast.Constant):
                node.value = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


@functools.cache
def mutations(path: Path) -> dict[tuple[int, int], list[tuple[Operator, int]]]:
    """Returns the mutations of a file by the place that they break."""
    places: dict[tuple[int, int], list[tuple[Operator, int]]] = {}
    nodes = list(ast_nodes(get_ast(path.read_text())))
    for name in filter(MEANT.fullmatch, operator_names()):
        operator, occurrence = get_operator(name)(), 0
        for node in nodes:
            for start, _ in operator.mutation_positions(node):
                places.setdefault(start, []).append((operator, occurrence))
                occurrence += 1
    return places


def mutant(path: Path, operator: Operator, occurrence: int) -> Mutant | None:
    """Returns a file broken so, or None where that changes nothing or is no Python."""
    source = path.read_text()
    broken = mutate_code(source, operator, occurrence)
    try:
        if broken is None or bare(broken) == bare(source):
            return None
    except SyntaxError:
        return None
    pairs = zip(source.splitlines(), broken.splitlines(), strict=False)
    line, (before, after) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
    return Mutant(str(path.relative_to(ROOT)), line, before.strip(), after.strip(), broken)


def draw(folder: str, count: int, seed: int) -> Iterator[Mutant]:
    """Yields mutants of a folder, from each file by its length."""
    generator = random.Random(f"{seed} {folder}")
    files = sorted((ROOT / "pcclust" / folder).glob("*.py"))
    lengths = [file.stat().st_size for file in files]
    drawn: set[tuple[Path, tuple[int, int]]] = set()
    while len(drawn) < count:
        file = generator.choices(files, lengths)[0]
        if not mutations(file):
            continue
        place, made = generator.choice(sorted(mutations(file).items(), key=lambda item: item[0]))
        found = mutant(file, *generator.choice(made))
        if found and (file, place) not in drawn:
            drawn.add((file, place))
            yield found


def mirrored(module: Path, seen: frozenset[str] = frozenset()) -> list[str]:
    """Returns the test files of a module: of its name, that name what it has, or of its users."""
    folder, stem = module.parent, module.stem.lstrip("_")
    tests = sorted((ROOT / "tests" / folder.name).glob("test_*.py"))
    named = [t for t in tests if re.match(rf"test_{stem}(_|$)", t.stem)]
    defined = [n.name for n in ast.parse(module.read_text()).body if hasattr(n, "name")]
    words = re.compile(rf"\b({'|'.join(map(re.escape, defined or [module.stem]))})\b")
    found = named or [t for t in tests if words.search(t.read_text())]
    if found:
        return [str(t.relative_to(ROOT)) for t in found]
    imports = re.compile(rf"pcclust\.{folder.name}(\.| import ){module.stem}\b")
    users = [u for u in folder.glob("*.py") if imports.search(u.read_text()) and u.name not in seen]
    return sorted({t for user in users for t in mirrored(user, seen | {module.name})})


def run(python: str, tree: Path, tests: list[str], limit: float) -> tuple[str, str]:
    """Returns how tests end in a tree, and the first that failed."""
    command = [python, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=tree, timeout=limit, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return "out of time", ""
    if done.returncode in (0, 5):  # 5: there is no test
        return "survived", ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return "caught", failed[1] if failed else done.stdout[-2000:]


def judge(drawn: list[Mutant], python: str, limit: float) -> Iterator[tuple[Mutant, str, str]]:
    """Yields each mutant, how its tests ended, and the first that failed."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for each in drawn:
            broken = tree / each.file
            broken.write_text(each.source)
            tests = mirrored(ROOT / each.file)
            end, why = run(python, tree, tests, limit) if tests else ("survived", "no test")
            shutil.copy2(ROOT / each.file, broken)
            if end == "caught" and run(python, tree, [why], limit)[0] != "survived":
                end, why = "undecided", f"{why} fails on the unbroken package, too"
            print(f"{each.file}:{each.line}: {end} {why}", file=sys.stderr, flush=True)
            yield each, end, why


def page(judged: list[tuple[Mutant, str, str]], given: argparse.Namespace) -> str:
    """Returns the page: a row a folder, and the mutants one by one."""
    left = json.loads((ROOT / "tests" / "mutants_left.json").read_text())
    ends = Counter((Path(m.file).parts[1], end) for m, end, _ in judged)
    lines = [
        "# Broken lines that tests notice",
        "",
        "Made by `make mutants`: cosmic-ray breaks a line at a time, the tests of its file run.",
        f"{given.count} lines of each folder, drawn by seed {given.seed}, each file by its length.",
        "Defaults of settings and annotations are not broken.",
        "",
        "| folder | broken | caught | out of time | undecided | survived |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for folder in given.folders:
        counts = [ends[folder, end] for end in ENDS]
        lines.append(f"| {folder} | {sum(counts)} | " + " | ".join(map(str, counts)) + " |")
    lines += ["", "| line | before | after | end | first test that failed, or why it is left |"]
    lines.append("|---|---|---|---|---|")
    for each, end, why in judged:
        change = " | ".join(f"`{text}`".replace("|", "\\|") for text in (each.before, each.after))
        said = left.get(f"{each.file}: {each.after}", why) if end == "survived" else why
        lines.append(f"| {each.file}:{each.line} | {change} | {end} | {said} |")
    return "\n".join(lines)


def main() -> None:
    """Draws, judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="of the package and its tests")
    parser.add_argument("--count", type=int, default=8, help="mutants a folder")
    parser.add_argument("--limit", type=float, default=120, help="seconds a mutant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    given = parser.parse_args()
    drawn = [m for folder in given.folders for m in draw(folder, given.count, given.seed)]
    print(page(list(judge(drawn, given.python, given.limit)), given))


if __name__ == "__main__":
    main()
