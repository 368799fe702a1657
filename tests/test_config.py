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
        ("optim.lr=fast", "optim.lr: write a number, not 'fast'."),
        ("optim.lr=null", "optim.lr: needs a value."),
        ("seed=1.5", "seed: write a whole number, not '1.5'."),
        ("trainer.deterministic=maybe", "trainer.deterministic: write true or false, not 'maybe'."),
        ("name=[1]", "name: write text, not [1]."),
        ("name=${nope}", "name: ${nope}: there is no such key."),
        ("expect.a=5", "expect.a: write a list of numbers, for example [0.8, 0.9]."),
        ("expect=5", "expect: write a mapping of keys, not 5."),
        ("test=[1]", "test: write a mapping of keys, not [1]."),
        ("plugins={a: 1}", "plugins: write a list, for example [a, b], not {'a': 1}."),
        ("optim={lr: ${x}}", "override 'optim={lr: ${x}}': not valid YAML after the equals sign; quote text"),
        ("optim.lr=-1", "optim.lr: must be positive and finite, is -1"),
        ("model.crops=bse", "model.crops: 'bse' is none of base, anyres, base-fast, anyres-fast. Did you mean base?"),
        ("model.pool=median", "model.pool: 'median' is none of max, mean, topK"),
        ("test.b.domain=industrial", "test.b.dataset: needs a value."),
        (
            "train.a.root=${oc.env:NOT_SET_ANYWHERE}",
            "x.yaml: train.a.root: set the environment variable NOT_SET_ANYWHERE, or write the value.",
        ),
        ("optim", "override 'optim': write key=value"),
        ("name=a/b", "name: 'a/b' names folders; use letters"),
        ("train.a.share=[0.5]", "train.a.share: write [low, high] with 0 <= low < high <= 1, not [0.5]."),
        ("train.a.share=[0.7, 0.7]", "train.a.share: write [low, high] with 0 <= low < high <= 1"),
        ("expect.a=[1]", "expect.a: write [low, high]"),
        ("expect.a=[2, 1]", "expect.a: write [low, high], two numbers in this order, not [2.0, 1.0]"),
        ("expect.a=[0, .nan]", "expect.a: write [low, high]"),
        ("optim.lr=nan", "optim.lr: must be positive and finite, is nan"),
        ("optim.restart=.inf", "optim.restart: must be positive and finite, is inf"),
        ("optim.weight_decay=-1", "optim.weight_decay: must be 0 or more and finite, is -1"),
        ("optim.lr=", "optim.lr: write a number, not ''."),
        ("seed=-1", "seed: must be 0 or more and finite, is -1"),
        ("seed=4294967296", "seed: must be at most 4294967295, is 4294967296"),
        ("workers=-1", "workers: must be 0 or more and finite, is -1"),
        ("test_batch_size=0", "test_batch_size: must be positive and finite, is 0"),
        ("trainer.num_nodes=0", "trainer.num_nodes: must be positive and finite, is 0"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches: must be positive and finite, is 0"),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val: must be 0 or more and finite, is -1"),
        ("trainer.accelerator=cpuu", "trainer.accelerator: 'cpuu' is none of auto, cpu, gpu, cuda, mps, tpu. Did you"),
        ("trainer.precision=23-true", "Did you mean 32-true?"),
        ("trainer.devices=two", "trainer.devices: 'two' is neither how many (2), which ([0, 2]), -1 for all, nor auto"),
        ("trainer.devices=0", "trainer.devices: 0 is neither"),
        ("trainer.devices=[]", "trainer.devices: [] is neither"),
        ("trainer.devices=", "trainer.devices: '' is neither"),
        ("trainer.devices=true", "trainer.devices: True is neither"),
        ("trainer.limit_train_batches=5.5", "limit_train_batches: 5.5 is neither a count of 1 or more (5) nor a frac"),
        ("trainer.limit_train_batches=0", "limit_train_batches: 0 is neither"),
        ("trainer.limit_test_batches=many", "limit_test_batches: 'many' is neither"),
        ("train.a.root=", "train.a.root: is empty; write a folder"),
        ("out=", "out: is empty; write a folder"),
        ("train.a.categories=screw", "train.a.categories: write a list, for example [a, b]."),
        ("train.a=5", "train.a: write a mapping of keys, not 5."),
        ("[=1", "override '[=1': write key=value"),
    ],
)
def test_mistakes_say_where_and_what_to_write(experiment, override, message):
    with pytest.raises(UserError) as error:
        config.load(experiment, [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "override",
    [
        *(f"trainer.devices={devices}" for devices in ("2", "-1", "auto", "[0, 2]", "'0,2'")),
        *(f"trainer.limit_train_batches={limit}" for limit in ("1", "7", "1.0", "0.5")),
        *("trainer.precision=32", "trainer.gradient_clip_val=0", "workers=0", "optim.weight_decay=0"),
        *("train.a.root=.", "checkpoint=", "expect.a=[1, 1]", "test.b=${train.a}"),
    ],
)
def test_what_can_be_meant_is_not_refused(experiment, override):
    config.load(experiment, [override])


def test_nothing_after_the_equals_sign_is_the_empty_text(experiment):
    overrides = ["model.expert.weights=/x.pth", "model.expert.weights=", "train.a.split= "]
    loaded = config.load(experiment, overrides)
    assert (loaded.model.expert.weights, loaded.train["a"].split) == ("", "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [x\n", "not valid YAML"),
        ("- a\n", "mapping of keys"),
        ("5\n", "mapping of keys"),
        ("name: x\nsed: 1\n", "Did you mean seed?"),
        ("name: x\ninclude: 5\n", "include: write the path of a YAML file or a list of such paths, not 5"),
        ("name: x\ninclude: [5]\n", "include: write the path"),
        ("name: x\ninclude:\n", "include: write the path"),
        ("name: x\ninclude: ${oc.env:NOT_SET_ANYWHERE}\n", "include: set the environment variable NOT_SET_ANYWHERE"),
    ],
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


def test_a_folder_is_not_called_missing(tmp_path):
    with pytest.raises(UserError) as error:
        config.load(tmp_path, [])
    assert str(error.value).startswith(f"{tmp_path}: is a folder. Pass the path of an experiment")


def test_the_digest_follows_what_numbers_follow_from(experiment):
    base = config.digest(config.load(experiment, []))
    assert base == config.digest(config.load(experiment, ["out=/elsewhere", "workers=3"]))
    assert base != config.digest(config.load(experiment, ["seed=1"]))


def test_null_takes_a_set_out_that_an_included_file_named(tmp_path):
    sets = "{a: {domain: industrial, dataset: mvtec, root: /a}, b: {domain: industrial, dataset: mvtec, root: /b}}"
    (tmp_path / "base.yaml").write_text(f"name: base\ntest: {sets}\n")
    (tmp_path / "some.yaml").write_text("include: base.yaml\ntest: {a: null}\n")
    assert set(config.load(tmp_path / "base.yaml", []).test) == {"a", "b"}
    assert set(config.load(tmp_path / "some.yaml", []).test) == {"b"}
    assert set(config.load(tmp_path / "base.yaml", ["test.b=null", "test.c=null"]).test) == {"a"}
