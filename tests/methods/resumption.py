"""Whether a method that is killed and resumed has the bits of one that is not."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from pcclust.methods import find_recipe
from pcclust.methods.pipeline import Pipeline
from pcclust.training import Callback
from pcclust.training.config import built_config


class Slow(Callback):
    """Announces where training goes on, and gives a killer time."""

    def started(self, method, position):
        print(method.config.method, position.epoch, position.batch, flush=True)

    def stepped(self, step):
        time.sleep(0.03)


def check_same_bits_after_kills(name, config, tmp_path, kills=3, main=None):
    """Runs a method whole, and killed after random steps and resumed; the weights must be equal.

    Args:
        name: of the method.
        config: its settings, as a dict with nested ones, tiny ones.
        tmp_path: an empty folder.
        kills: how many.
        main: the name of the stage whose settings are those of all, where they are nested.
    """
    recipe = find_recipe(name)
    Pipeline(recipe, built_config(recipe.config, config), tmp_path / "whole").run()
    settings = tmp_path / "settings.yaml"
    often = {"checkpoint_minutes": 0.0001}
    slowed = config | (often if main is None else {main: config[main] | often})
    settings.write_text(yaml.safe_dump(slowed))
    command = [sys.executable, "-m", "tests.methods.resumption"]
    command += [name, str(settings), str(tmp_path / "killed")]
    generator, begun = random.Random(0), []
    for _ in range(kills):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            begun.append(process.stdout.readline())
            time.sleep(generator.uniform(0.1, 0.6))
            process.kill()
        assert process.returncode in (-signal.SIGKILL, 0)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    begun.append(done.stdout.splitlines()[0])
    assert "complete=True" in done.stdout, done.stdout + done.stderr
    assert len(set(begun)) > 1, begun
    for file in sorted((tmp_path / "whole").rglob("*.safetensors")):
        other = tmp_path / "killed" / file.relative_to(tmp_path / "whole")
        assert other.read_bytes() == file.read_bytes(), file


if __name__ == "__main__":
    method, file, out = sys.argv[1:]
    recipe = find_recipe(method)
    config = built_config(recipe.config, yaml.safe_load(Path(file).read_text()))
    print(Pipeline(recipe, config, out, resume=True, callbacks=[Slow()]).run(), flush=True)
