from pathlib import Path

import pytest

from framework import config
from framework.errors import UserError

MINIMAL = "name: x\ntrain: {a: {domain: industrial, dataset: mvtec, root: /data}}\n"


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(MINIMAL)
    return path


def test_overrides_reach_every_level(experiment):
    loaded = config.load(experiment, ["optim.lr=0.5", "train.a.root=/other", "test.b={domain: d, dataset: e, root: f}"])
    assert loaded.optim.lr == 0.5
    assert loaded.train["a"].root == "/other"
    assert loaded.test["b"].dataset == "e"


def test_included_files_come_first_and_are_relative(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base/a.yaml").write_text("name: base\nseed: 3\n")
    path = tmp_path / "x.yaml"
    path.write_text("include: base/a.yaml\nname: x\n")
    loaded = config.load(path, [])
    assert (loaded.name, loaded.seed) == ("x", 3)


def test_a_file_that_includes_itself_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("include: x.yaml\nname: x\n")
    with pytest.raises(UserError, match="includes itself"):
        config.load(path, [])


def test_roots_come_from_the_environment(experiment, monkeypatch):
    monkeypatch.setenv("SOME_ROOT", "/from/environment")
    assert config.load(experiment, ["train.a.root=${oc.env:SOME_ROOT}"]).train["a"].root == "/from/environment"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lrr=1", "override 'optim.lrr=1': optim.lrr: no such key. Did you mean optim.lr?"),
        ("trainer.max_epocs=3", "trainer.max_epocs: no such key. Did you mean trainer.max_epochs?"),
        ("train.a.rooot=3", "train.a.rooot: no such key. Did you mean train.a.root?"),
        ("tset.a=3", "tset: no such key. Did you mean test?"),
        ("optim.lr=fast", "optim.lr: Value 'fast' of type 'str' could not be converted to Float"),
        ("optim.lr=-1", "optim.lr: must be positive, is -1"),
        ("model.crops=bse", "model.crops: 'bse' is none of base, anyres. Did you mean base?"),
        ("model.pool=median", "model.pool: 'median' is none of max, mean, topK"),
        ("test.b.domain=industrial", "test.b.dataset: needs a value."),
        ("store.path=${oc.env:NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE"),
        ("optim", "override 'optim': write key=value"),
        ("name=a/b", "name: 'a/b' names folders; use letters"),
        ("expect.a=[1]", "expect.a: write [low, high]"),
    ],
)
def test_mistakes_say_where_and_what_to_write(experiment, override, message):
    with pytest.raises(UserError) as error:
        config.load(experiment, [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [("name: [x\n", "not valid YAML"), ("- a\n", "mapping of keys"), ("name: x\nsed: 1\n", "Did you mean seed?")],
)
def test_a_broken_file_is_named(tmp_path, content, message):
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        config.load(path, [])
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such file"):
        config.load(Path("nowhere.yaml"), [])


def test_the_digest_follows_what_numbers_follow_from(experiment):
    base = config.digest(config.load(experiment, []))
    assert base == config.digest(config.load(experiment, ["out=/elsewhere", "workers=3"]))
    assert base != config.digest(config.load(experiment, ["seed=1"]))


def test_every_experiment_of_the_project_is_valid(monkeypatch):
    for name in ("DATA", "WEIGHTS", "VISA", "MVTEC"):
        monkeypatch.setenv(f"ANOMALY_OV_{name}", f"/{name.lower()}")
    files = sorted((Path(__file__).parents[1] / "experiments").rglob("*.yaml"))
    assert files
    for path in files:
        config.load(path, [])
        assert path.read_text().startswith("# "), path
