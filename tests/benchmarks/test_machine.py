"""The facts of the machine that pages state."""

import subprocess

from benchmarks.machine import commit


def test_the_commit_is_dirty_where_code_is_changed_and_not_where_a_page_is(tmp_path):
    def git(*arguments):
        named = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *named, *arguments], check=True)

    for file in ("pcclust/ops.py", "benchmarks/knn.py", "benchmarks/RESULTS.md"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("as it was")
    assert commit(tmp_path) == ""
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    clean = commit(tmp_path)
    (tmp_path / "benchmarks/RESULTS.md").write_text("new")
    assert commit(tmp_path) == clean
    assert "dirty" not in clean
    for file in ("pcclust/ops.py", "benchmarks/knn.py"):
        (tmp_path / file).write_text("new")
        assert commit(tmp_path) == clean.replace(")", "-dirty)")
        (tmp_path / file).write_text("as it was")
