"""The rivals that read texts, the one that is transductive and the probe, across three domains in one small matrix."""

import pytest
from fake_clip import save_clip

from framework import registry
from framework.cli import main
from framework.leaderboard.rows import ALL, NOTHING
from framework.leaderboard.store import load

pytestmark = pytest.mark.slow
MATRIX = """
name: rivals
model:
  backbone: {{name: open_clip, options: {{weights: {root}/clip, text: true, blocks: [1, 5]}}}}
  crops: base
sources:
  clouds: {{domain: pointcloud, dataset: real3d, root: {root}/pointcloud/source, reader: {{views: 2, size: 64}}}}
targets:
  plates: {{domain: industrial, dataset: mvtec, root: {root}/industrial/target}}
  clouds: {{domain: pointcloud, dataset: real3d, root: {root}/pointcloud/target, reader: {{views: 2, size: 64}}}}
  scans: {{domain: medical, dataset: nifti, root: {root}/medical/target, reader: {{slices: 3}}}}
methods:
  linear_probe: {{model: {{expert: {{name: linear_probe}}}}}}
  musc: {{model: {{expert: {{name: musc, options: {{degrees: [1, 3]}}}}}}}}
  winclip: {{model: {{expert: {{name: winclip, options: {{names: {{scan: brain}}}}}}}}}}
  anomalyclip: {{model: {{expert: {{name: anomalyclip, options: {{depth: 3}}}}}}}}
optim: {{batch_size: 4}}
store: {{mode: always, test: true, path: {root}/store}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 1, enable_progress_bar: false}}
out: {root}/runs
"""
TRAINED, ALONE = ("linear_probe", "anomalyclip"), ("musc", "winclip")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    root = tmp_path_factory.mktemp("rivals")
    for domain in ("industrial", "pointcloud", "medical"):
        registry.load_domain(domain)
        registry.build("procedural", domain, root / domain, seed=0, samples=6)
    (root / "clip").mkdir()
    save_clip(root / "clip")
    (root / "rivals.yaml").write_text(MATRIX.format(root=root))
    assert main(["transfer", str(root / "rivals.yaml")]) == 0
    return [r for r in load(sorted((root / "runs").glob("[!.]*/"))) if r.category == ALL and not r.control]


def test_every_rival_has_a_row_of_every_domain(rows):
    found = {(r.model.split(",")[0].split(" ")[0], r.trained_on, r.tested_on) for r in rows if r.metric == "auroc"}
    pairs = [(m, "clouds") for m in TRAINED] + [(m, NOTHING) for m in ALONE]
    assert found == {(*pair, tested) for pair in pairs for tested in ("plates", "clouds", "scans")}


def test_maps_return_to_pixels_points_and_voxels_and_scans_to_slices_and_patients(rows):
    levels = {(r.tested_on, r.level, r.element) for r in rows if r.metric == "auroc"}
    assert {("plates", "element", "pixel"), ("clouds", "element", "point"), ("scans", "element", "voxel")} <= levels
    for method in (*TRAINED, *ALONE):
        own = [r for r in rows if r.model.startswith(method) and r.level == "element" and r.metric == "auroc"]
        assert {r.tested_on for r in own} == {"plates", "clouds", "scans"}
        assert all(0 < r.value < 1 for r in own)
    assert {r.level for r in rows if r.tested_on == "scans"} >= {"sample", "view", "element"}


def test_rows_tell_what_the_rivals_were_taught_by_and_what_they_saw(rows):
    told = {r.selection for r in rows if r.model.startswith("linear_probe")}
    assert all("; maps taught by masks: " in selection for selection in told)
    assert {r.model.split(", base")[0] for r in rows if r.transductive} == {"musc (degrees [1, 3])"}
    (winclip,) = {r.model.split(", base")[0] for r in rows if r.model.startswith("winclip")}
    assert winclip == "winclip (names {'scan': 'brain'})"
