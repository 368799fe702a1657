"""One-vs-rest: a run a class, and one row of their means."""

import json

import numpy as np
import pytest

from framework import registry
from framework.cli import main
from framework.config import Config, DataConfig
from framework.errors import UserError
from framework.folds import folds, means_of
from framework.leaderboard.matrix import matrices, transfer_matrix
from framework.leaderboard.rows import VIEWED
from framework.leaderboard.store import load

EXPERIMENT = """
name: folds
model: {{backbone: {{name: embedded}}, crops: base}}
train: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/source}}}}
test:
  parts: {{domain: industrial, dataset: mvtec, root: {root}/source}}
  others: {{domain: industrial, dataset: mvtec, root: {root}/target}}
one_vs_rest: [woven, plates]
optim: {{lr: 1.0e-3, batch_size: 5}}
store: {{mode: always, test: true, path: {root}/store}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 1, enable_progress_bar: false}}
out: {root}/runs
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    registry.load_domain("industrial")
    registry.build("procedural", "industrial", folder, seed=3, samples=18)
    text = EXPERIMENT.format(root=folder)
    classes = sorted(p.name for p in (folder / "source").iterdir())[:2]
    (folder / "folds.yaml").write_text(text.replace("[woven, plates]", f"[{', '.join(classes)}]"))
    return folder


@pytest.fixture(scope="module")
def runs(root):
    assert main(["check", str(root / "folds.yaml")]) == 0
    assert main(["fit", str(root / "folds.yaml")]) == 0
    return sorted((root / "runs").glob("[!.]*"))


def config(**changes):
    parts = DataConfig("industrial", "mvtec", "/a")
    return Config("x", train={"parts": parts}, test={"parts": parts}, one_vs_rest=["nut", "bolt"], **changes)


def test_every_class_is_trained_on_alone_and_left_out_where_it_was(runs):
    *parts, _ = runs
    assert len(parts) == 2
    for folder in parts:
        rows = [r for r in load([folder]) if not r.control]
        (trained_on,) = {r.trained_on for r in rows}
        category = trained_on.removeprefix("parts ")
        rest = f"parts without {category}"
        assert {r.tested_on for r in rows} == {rest, "others"}
        assert category not in {r.category for r in rows if r.tested_on == rest}
        assert not any(r.in_domain for r in rows)


def test_the_mean_is_of_both_runs_and_one_matrix_holds_all(runs):
    *parts, mean = runs
    assert all(load_run(folder)["command"][0] == "fit" for folder in runs)
    rows = {(r.tested_on, r.level, r.metric): r for r in load([mean])}
    assert {name for name, *_ in rows} == {"parts, one-vs-rest", "others"}
    for (name, level, metric), row in rows.items():
        found = [
            r
            for r in load(parts)
            if (r.level, r.metric, r.category, r.control) == (level, metric, "all", False)
            and r.tested_on.startswith(name.removesuffix(", one-vs-rest"))
        ]
        assert len(found) == 2 and row.value == pytest.approx(np.mean([r.value for r in found]))
        assert row.normal == sum(r.normal for r in found) and row.views.endswith("mean of 2 one-vs-rest runs")
        assert row.protocol.partition(VIEWED)[0] == found[0].protocol.partition(VIEWED)[0]
    assert "; mean over categories; " in rows["others", "sample", "auroc"].protocol
    matrix = transfer_matrix(load([mean]), "auroc", "sample")
    assert matrix.tested == ["others", "parts, one-vs-rest"]
    assert len(matrices(load(runs))) > 3 and "others" in transfer_matrix(load(runs), "auroc", "sample").tested


def test_a_fold_is_run_again_where_its_files_have_changed(root, runs, monkeypatch):
    """Reuse is for runs of this very commit; a checkout with changes never reuses."""
    from framework import provenance
    from framework.config import load as read
    from framework.plan import open_checked
    from framework.tasks.folds import _finished

    known = load_run(runs[0])
    monkeypatch.setattr(provenance, "commit", lambda: (known["commit"], False))
    fold = next(iter(folds(read(root / "folds.yaml", [])).values()))
    if known["dirty"]:
        for path in runs:
            rewrite(path, dirty=False)
    opened = open_checked(fold, fit=True)
    assert _finished(fold, *opened) in runs
    picture = next((root / "target").glob("*/test/*/*.png"))
    before = picture.read_bytes()
    picture.write_bytes(before + b"\0")
    assert _finished(fold, *opened) is None
    picture.write_bytes(before)
    assert _finished(fold, *opened) in runs


def load_run(folder):
    return json.loads((folder / "run.json").read_text())


def rewrite(folder, **changes):
    plain = {key: value for key, value in load_run(folder).items() if key not in ("files", "seal")}
    (folder / "run.json").write_text(json.dumps(plain | changes))


def test_a_class_that_is_missing_or_named_twice_is_refused_before_training(root, capsys):
    assert main(["fit", str(root / "folds.yaml"), "one_vs_rest=[wofen]"]) == 2
    assert "no category of parts wofen called 'wofen'" in capsys.readouterr().err
    with pytest.raises(UserError, match="names a class twice: a, a"):
        folds(Config("x", train={"p": DataConfig("industrial", "mvtec", "/a")}, one_vs_rest=["a", "a"]))
    with pytest.raises(UserError, match="needs a set under train"):
        folds(Config("x", one_vs_rest=["a"]))


def test_expectations_are_of_the_means():
    assert means_of(config()) == {"parts": "parts, one-vs-rest"}
    fold = folds(config(expect={"parts, one-vs-rest.sample_auroc": [0.5, 1]}))["nut"]
    assert fold.expect == {} and fold.name == "x-nut" and fold.test["parts without nut"].exclude == ["nut"]


def test_a_train_set_is_known_however_its_folder_is_written(tmp_path):
    train, test = (DataConfig("industrial", "mvtec", root) for root in (str(tmp_path), f"{tmp_path}/"))
    made = Config("x", train={"a": train}, test={"a": test}, one_vs_rest=["nut"])
    assert means_of(made) == {"a": "a, one-vs-rest"} and folds(made)["nut"].test["a without nut"].exclude == ["nut"]
