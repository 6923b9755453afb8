import pytest
import yaml

from pcclust.methods.classification import ClassificationConfig
from pcclust.training import TrainingConfig, read_config, write_config
from pcclust.training.config import differences, parse_kwargs


def config(**settings):
    return ClassificationConfig(**({"dataset": "modelnet40"} | settings))


def written(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_what_is_written_is_read_again(tmp_path):
    before = config(model_kwargs={"k": 7, "channels": [8, 16]}, rotation="so3", clip_norm=2.5)
    write_config(tmp_path / "config.yaml", before)
    assert ClassificationConfig(**read_config(tmp_path / "config.yaml", type(before))) == before
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["method"] == "classification"


def test_only_what_is_given_is_read(tmp_path):
    path = written(tmp_path, "epochs: 7\nlearning_rate: 1e-3\nup_axis: null\nclip_norm: 1\n")
    values = read_config(path, ClassificationConfig)
    assert values == {"epochs": 7, "learning_rate": 0.001, "up_axis": None, "clip_norm": 1.0}
    assert isinstance(values["clip_norm"], float)
    assert read_config(written(tmp_path, ""), ClassificationConfig) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 7", r"there is no setting 'epoch'; did you mean 'epochs'\?"),
        ("zebra: 7", r"there is no setting 'zebra'; there are epochs, batch_size"),
        ("epochs: seven", r"epochs='seven' must be of the type int"),
        ("epochs: true", r"epochs=True must be of the type int"),
        ("epochs: 1.5", r"epochs=1.5 must be of the type int"),
        ("jitter: much", r"jitter='much' must be of the type float"),
        ("model_kwargs: 3", r"model_kwargs=3 must be of the type dict"),
        ("rotation: y", r"rotation='y' is none of 'z', 'so3', 'none'"),
        ("up_axis: w", r"up_axis='w' is none of 'x', 'y', 'z'"),
        ("model: null", r"model=None must be of the type str"),
        ("method: contrastnet", r"is for the method 'contrastnet'; this command runs 'classific"),
        ("epochs: [", r"config.yaml is not YAML: "),
        ("- epochs", r"must be a list of `name: value`"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_config(written(tmp_path, text), ClassificationConfig)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.yaml: there is no such config file"):
        read_config(tmp_path / "nothing.yaml", ClassificationConfig)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"clip_norm": -1.0},
        {"warmup_epochs": -1},
        {"seed": -1},
        {"val_fraction": 1.0},
        {"label_smoothing": -0.1},
        {"max_scale": 0.9},
        {"jitter": -0.1},
    ],
)
def test_impossible_values_are_named(wrong):
    with pytest.raises(ValueError, match=rf"{next(iter(wrong))}={next(iter(wrong.values()))} must"):
        config(**wrong)


def test_each_optimizer_has_a_learning_rate_of_its_own():
    assert (config().learning_rate, config(optimizer="sgd").learning_rate) == (0.001, 0.1)
    assert config(optimizer="sgd", learning_rate=0.5).learning_rate == 0.5


def test_differences_are_those_that_change_results():
    before = {"seed": 0, "epochs": 3, "workers": 2, "gone": 1}
    told = differences(before, TrainingConfig(seed=1, epochs=3, workers=0))
    assert told[:2] == ["seed was 0 and is 1", "gone was 1 and is None"]
    assert not any(line.startswith(("epochs", "workers")) for line in told)


def test_files_of_older_versions_are_read_by_todays_names(tmp_path):
    path = written(tmp_path, "val_share: 0.2\nsettings: {k: 5, settings: {width: 3}}\n")
    expected = {"val_fraction": 0.2, "model_kwargs": {"k": 5, "model_kwargs": {"width": 3}}}
    assert read_config(path, ClassificationConfig) == expected
    before = {**vars(config()), "val_share": 0.3, "settings": {}}
    del before["val_fraction"], before["model_kwargs"]
    assert differences(before, config()) == ["val_fraction was 0.3 and is 0.1"]


@pytest.mark.parametrize("pair", ["k", "=3", "k 3", "k=[1"])
def test_settings_that_are_none_are_refused(pair):
    with pytest.raises(ValueError, match=r"is not NAME=VALUE|is not YAML"):
        parse_kwargs([pair])
