"""Experts that read texts, whole: from pictures on disk and a small open_clip model to rows, trained and untrained."""

import json

import pytest
import torch
from fake_clip import save_clip
from fake_ranks import by_two

from framework.cli import main
from framework.leaderboard.store import load, load_samples

EXPERIMENT = """
name: {name}
model:
  backbone: {{name: open_clip, options: {{weights: {root}/clip, text: true, blocks: [1, 3, 5]}}}}
  expert: {{name: {name}, options: {options}}}
  crops: base
train: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/source}}}}
test: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/target}}}}
optim: {{lr: 0.05, batch_size: 5}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 2, enable_progress_bar: false}}
out: {root}/runs
"""
OPTIONS = {"winclip": "{temperature: 0.002}", "anomalyclip": "{length: 4, depth: 3, tokens: 2}"}
TWO = ["trainer.devices=2", "trainer.strategy=ddp"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    from framework import registry

    folder = tmp_path_factory.mktemp("texts")
    registry.load_domain("industrial")
    registry.build("procedural", "industrial", folder, seed=3, samples=15)
    (folder / "clip").mkdir()
    save_clip(folder / "clip")
    for name, options in OPTIONS.items():
        (folder / f"{name}.yaml").write_text(EXPERIMENT.format(root=folder, name=name, options=options))
    return folder


def run(root, *arguments, call=main):
    before = set((root / "runs").glob("[!.]*"))
    done = call(list(arguments))
    assert done == 0 or done.returncode == 0, done
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    return folder


@pytest.fixture(scope="module")
def zero_shot(root):
    return run(root, "test", str(root / "winclip.yaml"))


@pytest.fixture(scope="module")
def learned(root):
    return run(root, "fit", str(root / "anomalyclip.yaml"))


def numbers(folder):
    return {(r.category, r.level, r.metric): r.value for r in load([folder])}


def logits(folder):
    return {s["id"]: s["logit"] for s in load_samples([folder])}


def test_winclip_is_tested_without_training_and_its_rows_say_so(zero_shot):
    rows = load([zero_shot])
    assert {(r.level, r.metric) for r in rows} >= {("sample", "auroc"), ("element", "auroc"), ("element", "aupro")}
    assert {r.trained_on for r in rows} == {"nothing"}
    assert all(r.model.startswith("winclip") for r in rows if not r.control)


def test_two_ranks_learn_and_score_as_one(root, learned):
    together = run(root, "fit", str(root / "anomalyclip.yaml"), *TWO, call=by_two)
    assert logits(together) == pytest.approx(logits(learned), abs=1e-4)
    assert numbers(together) == pytest.approx(numbers(learned), abs=1e-4)


def test_anomalyclip_learns_its_tokens_and_saves_nothing_else(learned):
    weights = torch.load(learned / "expert.ckpt", weights_only=True)["state_dict"]
    tokens = {"expert.ctx_pos", "expert.ctx_neg", "expert.compound_prompts_text.0", "expert.compound_prompts_text.1"}
    assert set(weights) == tokens
    assert all(w.abs().mean() > 0.05 for w in weights.values())  # drawn with 0.02, six steps of 0.05


def test_a_checkpoint_gives_the_numbers_of_its_run(root, learned):
    again = run(root, "test", str(root / "anomalyclip.yaml"), f"checkpoint={learned / 'expert.ckpt'}")
    assert logits(again) == logits(learned)


def predicted(root, checkpoint, picture, capsys):
    capsys.readouterr()
    assert main(["predict", "--checkpoint", str(checkpoint), str(picture), "--out", str(root / "out")]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[0])["logit"]


def test_the_category_decides_what_winclip_reads_and_a_single_file_shows_an_object(root, zero_shot, capsys):
    picture = next((root / "target").rglob("test/*/*.png"))
    category = picture.parts[-4]
    names = json.dumps({category: "object"})
    renamed = run(root, "fit", str(root / "winclip.yaml"), f"model.expert.options.names={names}")
    before, found = logits(zero_shot), logits(renamed)
    changed = {i for i, logit in before.items() if abs(logit - found[i]) > 1e-5}
    assert changed == {s["id"] for s in load_samples([zero_shot]) if s["category"] == category}
    (wanted,) = [logit for name, logit in found.items() if str(picture).endswith(name)]
    assert predicted(root, renamed / "expert.ckpt", picture, capsys) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.backbone.options.text=false",
            "was loaded without a text tower. Write model.backbone: {name: open_clip",
        ),
        ("model.expert.options.length=30", "length=30 must be 1 to 27; its text tower reads 32 tokens."),
        ("model.expert.options.words=3", "no option of expert 'anomalyclip' called 'words'."),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(root, capfd, override, message):
    assert main(["fit", str(root / "anomalyclip.yaml"), override]) == 2
    told = capfd.readouterr().err
    assert message in told and len(told.splitlines()) == 1
