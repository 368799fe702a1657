"""An expert that starts from the embedded weights: its sizes, its checkpoint, and what `check` says of it."""

import re
from pathlib import Path

import fake_cli
import pytest
from fake_cli import mistake

from framework import registry
from framework.cli import main
from framework.config import ExpertConfig, load
from framework.errors import UserError
from framework.leaderboard.store import load as rows
from framework.models import trained
from framework.models.experts import embedded
from framework.plan import check_names

ROOT = Path(__file__).parents[1]
START = "model.expert.weights=embedded"
SHORT = (
    "few         1 step in all: lower optim.batch_size or raise trainer.max_epochs, or the expert stays as it started"
)


@pytest.fixture
def parts(tmp_path):
    return fake_cli.parts(tmp_path)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A set, and the checkpoint of an expert that started from the embedded weights without being told their sizes."""
    root = fake_cli.parts(tmp_path_factory.mktemp("fitted"))
    assert main(["fit", str(root / "x.yaml"), START]) == 0
    (checkpoint,) = (root / "runs").glob("*/expert.ckpt")
    return root, checkpoint


def test_sizes_that_are_left_out_come_with_the_weights():
    expert = ExpertConfig(weights="embedded", options={"hidden": 128})
    assert embedded.options(expert) == embedded.SIZES
    assert expert.options == {"hidden": 128}


def test_other_experts_and_other_weights_keep_their_options():
    for other in (ExpertConfig(options={"hidden": 8}), ExpertConfig("theirs", {"hidden": 8}, "embedded")):
        assert embedded.options(other) == {"hidden": 8}


def test_another_size_is_refused_before_anything_is_loaded(parts, capsys):
    for verb in ("check", "fit"):
        line = mistake(capsys, verb, parts / "x.yaml", START, "model.expert.options.hidden=64")
        assert "model.expert.options.hidden: 64, but model.expert.weights=embedded needs 128. Write 128, or" in line


def test_the_checkpoint_holds_the_sizes(fitted):
    assert trained.read(fitted[1])[trained.KEY]["expert"]["options"] == embedded.SIZES


def test_predict_reads_the_sizes_from_the_checkpoint(fitted, tmp_path):
    picture = fitted[0] / "bolt/test/good/000.png"
    assert main(["predict", "--checkpoint", str(fitted[1]), "--out", str(tmp_path), str(picture)]) == 0


@pytest.mark.parametrize(
    "overrides", [[], [START], ["model.expert.weights=/gone.pth"], ["model.expert.options.hidden=8"]]
)
def test_a_test_takes_the_expert_from_the_checkpoint(fitted, tmp_path, overrides):
    root, checkpoint = fitted
    arguments = ["test", str(root / "x.yaml"), f"checkpoint={checkpoint}", f"out={tmp_path}", *overrides]
    assert main(arguments) == 0
    numbers = [{(r.level, r.metric): r.value for r in rows([folder])} for folder in (root / "runs", tmp_path)]
    assert numbers[0] == numbers[1] and ("element", "auroc") in numbers[0]


def test_a_checkpoint_of_another_backbone_is_blamed_and_not_the_weights(fitted, capsys):
    root, checkpoint = fitted
    overrides = [f"checkpoint={checkpoint}", START, "model.backbone.options={blocks: [0, 1], final: 2}"]
    line = mistake(capsys, "test", root / "x.yaml", *overrides)
    assert f"{checkpoint}: trained on backbone" in line and "safetensors" not in line


def test_a_fit_does_start_from_the_weights_also_where_a_checkpoint_is_named(parts):
    config = load(parts / "x.yaml", [START, "model.expert.options.hidden=8", "checkpoint=x.ckpt"])
    check_names(config, fit=False)
    with pytest.raises(UserError, match="hidden"):
        check_names(config, fit=True)


def shown(capsys, *arguments):
    assert main(["check", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def test_check_shows_what_the_expert_starts_from(parts, capsys):
    assert "expert      starts anew, drawn with seed 0" in shown(capsys, parts / "x.yaml")
    line = f"starts from embedded, options {embedded.SIZES}"
    assert f"expert      {line}" in shown(capsys, parts / "x.yaml", START)
    (parts / "c.ckpt").touch()
    checkpoint = f"checkpoint={parts}/c.ckpt"
    both = f"expert      `test` takes it from {parts}/c.ckpt; in `fit` it {line}"
    assert both in shown(capsys, parts / "x.yaml", START, checkpoint)
    text = (parts / "x.yaml").read_text()
    (parts / "test.yaml").write_text(re.sub(r"train:.*\n", "", text))
    assert f"expert      the one in {parts}/c.ckpt" in shown(capsys, parts / "test.yaml", START, checkpoint)


def test_check_warns_of_too_few_steps(parts, capsys):
    """4 samples in steps of 2 make 2 steps an epoch."""
    few = [line for line in shown(capsys, parts / "x.yaml") if line.startswith("few")]
    assert few == [SHORT]
    for steps, *overrides in (
        (48, "trainer.max_epochs=24"),
        (25, "trainer.max_epochs=25", "trainer.accumulate_grad_batches=2"),
        (30, "trainer.max_epochs=30", "trainer.limit_train_batches=1"),
        (30, "trainer.max_epochs=30", "trainer.limit_train_batches=0.5"),
    ):
        lines = shown(capsys, parts / "x.yaml", "optim.batch_size=2", *overrides)
        assert [line for line in lines if line.startswith("few")] == [SHORT.replace("1 step", f"{steps} steps")]
    enough = shown(capsys, parts / "x.yaml", "optim.batch_size=2", "trainer.max_epochs=25")
    assert not any(line.startswith("few") for line in enough)


def test_the_example_of_the_readme_is_complete_and_offline(tmp_path, monkeypatch, capsys):
    pytest.importorskip("nibabel")
    text = (ROOT / "experiments/README.md").read_text()
    (example,) = (b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "name: mine" in b)
    (tmp_path / "mine.yaml").write_text(example)
    for domain in ("industrial", "medical"):
        registry.load_domain(domain)
        registry.build("procedural", domain, tmp_path / "quickstart/data" / domain, seed=0, samples=8)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lines = shown(capsys, "mine.yaml")
    assert "model       look_twice on embedded" in lines
    assert f"expert      starts from embedded, options {embedded.SIZES}" in lines
    assert main(["fit", "mine.yaml", "trainer.max_epochs=1", "test.scans.reader.slices=2", "store.mode=never"]) == 0
