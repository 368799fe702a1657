"""The example plug-in through every verb, as the README promises."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from framework.cli import main
from framework.leaderboard.store import load

EXPERIMENT = """
name: pumps
plugins: [example_plugin]
model: {{backbone: {{name: embedded}}, expert: {{weights: embedded, options: {sizes}}}, crops: base}}
train: {{pumps: {{domain: signal, dataset: curves, root: {root}, split: train}}}}
test: {{pumps: {{domain: signal, dataset: curves, root: {root}}}}}
optim: {{batch_size: 4}}
store: {{mode: never}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 1, enable_progress_bar: false}}
out: {root}/runs
"""
SIZES = "{embedding: 128, descriptor: 128, attention: 128, hidden: 128}"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("pumps"), np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("ok", "bad", "truth"):
            (folder / split / kind).mkdir(parents=True)
        for i in range(8):
            curve = np.sin(np.arange(160) / 9 + i) + generator.normal(0, 0.05, 160)
            truth = np.zeros(160, bool)
            if i % 2:
                truth[40 + i : 60 + i] = truth[100:104] = True
                np.save(folder / split / "truth" / f"m{i // 4}_{i}.npy", truth)
            np.save(folder / split / ("bad" if i % 2 else "ok") / f"m{i // 4}_{i}.npy", curve + truth)
    (folder / "x.yaml").write_text(EXPERIMENT.format(root=folder, sizes=SIZES))
    return folder


def test_every_verb_takes_it(root, capfd):
    assert main(["datasets", "--plugin", "example_plugin"]) == 0
    assert "signal/curves: Curves with the anomalous steps marked." in capfd.readouterr().out
    assert main(["datasets", "--plugin", "example_plugin", "check", "signal/curves", str(root)]) == 0
    assert "4 of 4 anomalous samples mark a step" in capfd.readouterr().out
    assert main(["check", str(root / "x.yaml")]) == 0
    assert main(["fit", str(root / "x.yaml")]) == 0
    told = capfd.readouterr().err
    rows = {(r.level, r.metric): r for r in load([root / "runs"]) if r.category == "all" and not r.control}
    row = rows["element", "aupro"]
    assert (row.element, row.unit, row.elements, row.anomalous_elements) == ("step", "machine", 8 * 160, 4 * 24)
    assert row.protocol.endswith("regions as its domain numbers them")
    assert f"pumps: sample AUROC {100 * rows['sample', 'auroc'].value:.1f}" in told
    assert f"step AUROC {100 * rows['element', 'auroc'].value:.1f}" in told and "anomaly-ov leaderboard" in told
    (checkpoint,) = (root / "runs").glob("*/expert.ckpt")
    file = root / "test" / "bad" / "m0_1.npy"
    assert main(["predict", "--checkpoint", str(checkpoint), "--out", str(root / "p"), str(file)]) == 0
    line = json.loads(capfd.readouterr().out)
    assert 0 <= line["score"] <= 1 and line["domain"] == "signal"
    assert np.load(root / "p" / "m0_1_map.npy").shape == (160,)


def test_a_domain_that_lacks_something_is_told_before_anything_runs(root, capsys, monkeypatch):
    import example_plugin

    monkeypatch.delattr(example_plugin.Signal, "unit")
    assert main(["check", str(root / "x.yaml")]) == 2
    assert "domain 'signal' must have element and unit" in capsys.readouterr().err


def test_a_step_is_shown_by_its_column(root):
    from example_plugin import Signal, curves

    record = next(r for r in curves(root) if r.anomalous)
    sample = Signal().read(record)
    assert_array_equal(sample.owner[0, 5], np.arange(160))
    drawn = (sample.views[0, 0] == 60).sum(0)  # pixels of each column
    assert drawn.argmax() == np.load(record.path).argmax() and drawn.max() == 96 and drawn.min() == 0
