"""Runs in; the same runs with rows by today's metrics out, from saved scores alone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from fake_cli import EXPERIMENT, mistake, runs_of
from fake_rows import row, sample

from framework import registry
from framework.cli import main
from framework.leaderboard.matrix import newest
from framework.leaderboard.store import load, load_samples, write_run
from framework.tasks import definitions
from framework.tasks.rescore import again, coarse_curves, rescore


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on three categories with masks."""
    root = tmp_path_factory.mktemp("rescored")
    registry.load_domain("industrial")
    registry.build("procedural", "industrial", root, seed=3, samples=15)
    (root / "x.yaml").write_text(EXPERIMENT.format(root=root / "source").replace("source/runs", "runs"))
    assert main(["fit", str(root / "x.yaml")]) == 0
    return runs_of(root)[0][0]


def by_key(rows):
    return {(r.model, r.category, r.level, r.metric): r for r in rows}


@pytest.fixture
def newer(monkeypatch):
    """AUROC and both AUPROs have another version."""
    changed = {name: definitions.PROTOCOLS[name].replace("/1", "/2") for name in ("auroc", "aupro", "aupro_05")}
    monkeypatch.setattr(definitions, "PROTOCOLS", definitions.PROTOCOLS | changed)
    monkeypatch.setattr("framework.tasks.rescore.PROTOCOLS", definitions.PROTOCOLS)


def test_a_run_whose_metrics_are_those_of_today_is_left_alone(run, tmp_path, capsys):
    assert rescore(run, tmp_path) == (None, 0, 0) and list(tmp_path.iterdir()) == []
    assert main(["leaderboard", "rescore", str(run)]) == 0
    assert capsys.readouterr().out == f"{run.name}: every row is as today\n"


def test_rows_of_an_old_definition_are_made_anew_and_the_others_stay(run, tmp_path, newer):
    written, new, kept = rescore(run, tmp_path)
    old, now = by_key(load([run])), by_key(load([written]))
    assert set(old) == set(now)
    changed = {key for key in old if now[key].definition != old[key].definition}
    assert len(changed) == new and {key[3] for key in changed} == {"auroc", "aupro", "aupro_05"}
    assert {key[1] for key in changed} == {"all", "pooled", "brushed", "printed", "woven"}
    assert kept == len([key for key, r in old.items() if r.control and r.metric in ("auroc", "aupro", "aupro_05")]) > 0
    for key in changed:
        before, after = old[key], now[key]
        assert abs(after.value - before.value) <= before.error + after.error + 1e-9, key
        assert after.protocol == before.protocol.replace("/1", "/2", 1)
        assert (after.chance, after.normal, after.groups) == (before.chance, before.normal, before.groups)
        assert (after.low is None) == (before.low is None)
    for key in set(old) - changed:
        assert now[key].value == old[key].value and now[key].protocol == old[key].protocol
    assert all(now[key].error < 1e-4 for key in changed if key[2] == "sample")
    assert any(now[key].error > 1e-5 for key in changed if key[2] == "element")  # coarse bins, and the row says so


def test_the_new_run_stands_for_the_old_one(run, tmp_path, newer):
    shutil.copytree(run, tmp_path / run.name)
    written, *_ = rescore(tmp_path / run.name, tmp_path)
    assert {r.run for r in newest(load([tmp_path]))} == {written.name}
    assert [s["score"] for s in load_samples([written])] == [s["score"] for s in load_samples([run])]
    assert (written / "expert.ckpt").read_bytes() == (run / "expert.ckpt").read_bytes()
    assert main(["leaderboard", "verify", str(written), "--set", "parts"]) in (0, 1)  # it is a run like any other
    assert rescore(written, tmp_path)[:2] == (None, 0)


def test_what_cannot_be_rescored_is_one_line(run, tmp_path, capsys):
    folder = write_run(tmp_path, {"run": "r1"}, [row()], [], [])
    assert "r1: does not say what its levels are" in mistake(capsys, "leaderboard", "rescore", folder)
    shutil.copytree(run, tmp_path / "copy")
    file = tmp_path / "copy" / "samples.parquet"
    file.write_bytes(file.read_bytes()[:-4])
    assert "samples.parquet: has " in mistake(capsys, "leaderboard", "rescore", tmp_path / "copy")
    assert "no such file or folder" in mistake(capsys, "leaderboard", "rescore", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "empty: no runs found" in mistake(capsys, "leaderboard", "rescore", tmp_path / "empty")


def test_shares_of_regions_that_were_rounded_up_are_no_further_region():
    hist = np.zeros((3, 512), np.float32)
    hist[0, 200], hist[1, 300:303], hist[2, 300:303] = 90, 1, 1 / 3
    assert hist[2].sum(dtype=np.float64) > 1
    found = coarse_curves([{"hist": hist.tobytes(), "regions": 1}])
    assert found.regions == 1 and found.aupro == pytest.approx(1)


def test_a_scan_without_a_lesion_has_no_dice_when_it_is_measured_again():
    hists = np.zeros((2, 3, 512), np.float32)
    hists[:, 0, 100], hists[0, 1, 300] = 10, 5
    told = {"category": "a", "group": "", "label": False, "regions": 1, "found": b"f"}
    lines = [sample(id=f"{i}", hist=hist.tobytes()) | told for i, hist in enumerate(hists)]
    _, scans = again({"name": "element", "element": "voxel", "note": ""}, lines, "max")
    found = scans.curves["a"]
    assert (found.negatives, found.positives, found.dice_best, found.dice_fixed) == (20, 5, 1.0, 1.0)
