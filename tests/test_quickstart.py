"""The quickstart in small, interrupted and run again: what it leaves, and what it does not do twice."""

import json
from dataclasses import replace

import pytest

from framework import quickstart, registry
from framework.cli import main
from framework.leaderboard.matrix import transfer_matrix
from framework.leaderboard.store import load
from framework.quickstart import language
from framework.tasks import run

pytestmark = pytest.mark.slow
SIZES = {"industrial": 12, "medical": 8, "pointcloud": 8}


@pytest.fixture(scope="module", autouse=True)
def small():
    """Few samples, one epoch, few views; nothing else changes."""
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
    patch = pytest.MonkeyPatch()
    build, experiment, talk = registry.build, quickstart.experiment, language.experiment

    def fewer(kind, name, /, *args, **options):
        return build(kind, name, *args, **options, **({"samples": SIZES[name]} if kind == "procedural" else {}))

    def shorter(*args):
        found = experiment(*args)
        for data in (*found.train.values(), *found.test.values()):
            data.reader = {k: 2 if k in ("views", "slices") else v for k, v in data.reader.items()}
        return replace(found, expect={}, trainer=replace(found.trainer, max_epochs=1))

    patch.setattr(registry, "build", fewer)

    def briefer(out):
        found = talk(out)
        return replace(found, expect={}, trainer=replace(found.trainer, max_epochs=1))

    patch.setattr(quickstart, "experiment", shorter)
    patch.setattr(language, "experiment", briefer)
    patch.setattr(language, "SHOWN", 2)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def out(tmp_path_factory, small):
    """Interrupted in the second of three experiments, then run again."""
    folder = tmp_path_factory.mktemp("quickstart") / "out"
    patch, fit, fitted = pytest.MonkeyPatch(), run.fit, []

    def interrupted(config):
        fitted.append(config.name)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return fit(config)

    patch.setattr(run, "fit", interrupted)
    assert main(["quickstart", "--out", str(folder)]) == 130
    assert not (folder / "index.html").exists()
    assert main(["quickstart", "--out", str(folder)]) == 0
    patch.undo()
    first, *rest = fitted
    assert first == "quickstart-industrial"
    assert rest == ["quickstart-medical", "quickstart-medical", "quickstart-pointcloud"]
    return folder


def by_method(matrix):
    """Cells by what was trained on, or the control, and what was tested on."""
    cells = matrix.cells.values()
    found = {(row.model if row.control else row.trained_on, row.tested_on): c for c in cells for row in c.rows}
    assert len(found) == len(cells)
    return found


def test_it_fills_the_matrix_at_both_levels(out):
    rows = load([out / "runs"])
    domains = sorted(SIZES)
    for level in ("sample", "element"):
        cells = by_method(transfer_matrix(rows, "auroc", level))
        experts = {(a, b) for a in [*domains, "nothing"] for b in domains}
        others = {("industrial + talks", "industrial")}
        others |= {(f"control: {cue}", d) for cue in ("random", "mean intensity", "file size") for d in domains}
        others |= {("control: number of points", "pointcloud")}
        pixels = {(f"control: {cue}", d) for cue in ("position", "intensity") for d in domains}
        assert set(cells) == experts | (others if level == "sample" else pixels)
        assert not any(cell.in_domain for cell in cells.values())
    assert {r.element for r in rows} == {"", "pixel", "point", "slice", "voxel"}


def test_it_leaves_a_page_a_table_and_the_experts(out, capsys):
    page = (out / "index.html").read_text()
    assert "These are procedural sets" in page and "://" not in page.replace("http://www.w3.org", "")
    assert all(domain in page for domain in SIZES)
    assert "industrial" in (out / "leaderboard.md").read_text()
    for domain, suffix in {"industrial": "png", "medical": "nii.gz", "pointcloud": "pcd"}.items():
        file = next((out / "data" / domain / "target").rglob(f"*.{suffix}"))
        arguments = ["predict", "--checkpoint", str(out / "experts" / f"{domain}.ckpt"), "--out", str(out / "p")]
        assert main([*arguments, str(file)]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert 0 <= json.loads(line)["score"] <= 1


def test_a_second_call_says_the_same_and_trains_nothing(out, capfd, monkeypatch):
    monkeypatch.setattr(run, "fit", None)
    monkeypatch.setattr(run, "test", None)
    assert main(["quickstart", "--out", str(out)]) == 0
    shown, found, where, how = capfd.readouterr().err.strip().splitlines()
    assert str(out / "answers.html") in shown and "<img" in (out / "answers.html").read_text()
    assert found.startswith("Sample AUROC of procedural sets") and all(domain in found for domain in SIZES)
    assert str(out / "index.html") in where and "predict --checkpoint" in how


def test_it_goes_on_without_a_domain_whose_package_is_missing(tmp_path, monkeypatch, capfd):
    from framework.errors import MissingPackageError

    build = registry.build

    def missing(kind, name, /, *args, **options):
        if kind == "procedural" and name != "industrial":
            raise MissingPackageError(f"{name} needs a package")
        return build(kind, name, *args, **options)

    monkeypatch.setattr(registry, "build", missing)
    assert main(["quickstart", "--out", str(tmp_path)]) == 0
    assert "without pointcloud: pointcloud needs a package" in capfd.readouterr().err
    assert set(by_method(transfer_matrix(load([tmp_path / "runs"]), "auroc", "sample"))) == {
        ("industrial", "industrial"),
        ("nothing", "industrial"),
        ("industrial + talks", "industrial"),
        *((f"control: {cue}", "industrial") for cue in ("random", "mean intensity", "file size")),
    }
