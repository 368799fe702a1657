import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_cli import mistake

from domains.pointcloud import files
from domains.pointcloud.datasets import folder, real3d
from domains.pointcloud.making import synthesize
from domains.pointcloud.making.synthetic import KINDS
from domains.pointcloud.truth import truth_of
from framework.cli import main

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> list[Path]:
    """A ball with a core that no scanner sees, and a cloud."""
    folder = tmp_path_factory.mktemp("clean")
    o3d.utility.random.seed(0)
    ball, core = (o3d.geometry.TriangleMesh.create_sphere(radius, 40) for radius in (10, 4))
    o3d.io.write_triangle_mesh(str(folder / "ball.ply"), ball + core)
    o3d.io.write_point_cloud(str(folder / "cloud.pcd"), ball.sample_points_uniformly(4_000))
    return [folder / "ball.ply", folder / "cloud.pcd"]


def run(*arguments) -> int:
    return main(["synthesize", "pointcloud", *map(str, arguments)])


def contents(root) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_shapes_become_a_set_of_what_a_scanner_would_see(shapes, tmp_path, capsys) -> None:
    out = tmp_path / "set"
    assert run(*shapes, "--out", out, "--samples", 28) == 0
    assert capsys.readouterr().out == f"{out}: 28 samples, spoiled ones beside their healthy twins\n"
    found = list(real3d(out))
    assert [sum(r.category == name for r in found) for name in ("ball", "cloud")] == [14, 14]
    assert {r.defect for r in found if r.category == "ball" and r.anomalous} == set(KINDS)
    assert len(list(real3d(out, "train"))) == 4
    for record in found:
        shape = files.load(record.path)
        points, labels = shape.points, truth_of(record, shape).mask
        assert labels.any() == record.anomalous and labels.mean() < (0.2 if record.defect == "bend" else 0.12)
        if record.category == "ball":
            assert 12_060 <= len(points) <= 23_940
            radius = np.linalg.norm(points - points.mean(0), axis=1)
            assert radius.min() > 0.6 * radius.max()  # nothing of the core
            assert 9 < np.median(radius) < 11  # in the units of the file
        else:
            assert 2_500 < len(points) <= 3_200
    groups = {r.group for r in found}
    assert len(groups) == 14 and all(sum(r.group == g for r in found) == 2 for g in groups)


def test_a_set_on_disk_passes_its_check(shapes, tmp_path, capsys) -> None:
    assert run(*shapes, "--out", tmp_path / "set", "--samples", 8, "--kinds", "dent,bulge") == 0
    assert main(["datasets", "check", "pointcloud/real3d", str(tmp_path / "set")]) == 0
    told = capsys.readouterr().out
    assert "8: 4 normal, 4 anomalous" in told and "4 of 4 anomalous samples mark a point" in told


def test_in_folders_a_mesh_stays_a_mesh(shapes, tmp_path) -> None:
    out = tmp_path / "set"
    assert run(*shapes, "--out", out, "--samples", 8, "--kinds", "bulge, hole", "--format", "folder") == 0
    assert {p.name for p in out.glob("*/*")} == {"good", "bulge", "hole"}
    records = list(folder(out))
    assert {r.category for r in records} == {"ball", "cloud"} and len({r.group for r in records}) == 4
    for record in records:
        assert truth_of(record, files.load(record.path)).mask.any() == record.anomalous
    for path in (p for p in out.glob("*/*/*") if p.suffix != ".txt"):
        shape = files.load(path)
        rows = np.loadtxt(path.with_suffix(".txt"))
        np.testing.assert_allclose(rows[:, :3], shape.points, rtol=1e-6, atol=1e-6)
        assert (shape.faces is not None) == path.name.startswith("ball") == (path.suffix == ".ply")
        assert rows[:, 3].any() == (path.parent.name != "good")


def test_the_seed_decides_every_byte(shapes, tmp_path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert run(shapes[1], "--out", tmp_path / name, "--samples", 4, "--seed", seed) == 0
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b and len(a) == 2 + 4 + 2
    assert not any(a[name] == c[name] for name in a if name in c)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.obj"], r"none\.obj: cannot be read \(No such file or directory\)"),
        (["junk.ply"], r"junk\.ply: truncated or corrupt"),
        (["empty.pcd"], r"empty\.pcd: the file is empty"),
        (["flat.obj"], r"flat\.obj: is flat, without a volume; defects are made on bodies"),
        (["notes.md"], r"notes\.md: not a mesh or cloud; known endings: \.pcd, \.ply, \.obj, \.stl"),
        (["cloud.pcd", "again/cloud.pcd"], r"again/cloud\.pcd: .*cloud\.pcd is called 'cloud' too; rename one of them"),
        (["cloud.pcd", "--kinds", "bulge,dnet"], r"no kind of defect called 'dnet'\. Did you mean 'dent'\?"),
        (["cloud.pcd", "--amplitude", "3 mm"], r"amplitude '3 mm': write \"3 pitch\""),
        (["cloud.pcd", "--format", "real3"], r"no format called 'real3'\. Did you mean 'real3d'\?"),
        (["cloud.pcd", "--samples", "1"], r"samples: 1 shapes need at least 2, got 1"),
        (["cloud.pcd", "--samples", "5"], r"samples: spoiled ones and their healthy twins make an even number, got 5"),
        (["cloud.pcd", "--samples", "many"], r"argument --samples: invalid int value: 'many'"),
        (["cloud.pcd", "--seed", "-1"], r"seed: is a whole number from 0, got -1"),
        (["cloud.pcd", "--points", "10"], r"points: a cloud of fewer than 1000 shows no defect, got 10"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(shapes, tmp_path, capsys, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "again").mkdir()
    for name in ("cloud.pcd", "again/cloud.pcd"):
        (tmp_path / name).write_bytes(shapes[1].read_bytes())
    (tmp_path / "junk.ply").write_text("ply\nnothing\n")
    (tmp_path / "empty.pcd").touch()
    (tmp_path / "notes.md").write_text("no shape")
    (tmp_path / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n")
    before = sorted(tmp_path.rglob("*"))
    assert re.search(message, mistake(capsys, "synthesize", "pointcloud", *arguments, "--out", "set"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_is_there_and_a_domain_that_makes_no_defects_are_told(shapes, tmp_path, capsys) -> None:
    told = mistake(capsys, "synthesize", "pointcloud", shapes[1], "--out", tmp_path)
    assert f"{tmp_path}: is there already" in told
    told = mistake(capsys, "synthesize", "industrial", shapes[1], "--out", tmp_path / "set")
    assert "no synthesize called 'industrial'. Known: " in told
    assert "Did you mean 'pointcloud'?" in mistake(
        capsys, "synthesize", "pointclod", "x.obj", "--out", tmp_path / "set"
    )


def test_an_interrupted_set_goes_on_where_it_was(shapes, tmp_path, monkeypatch) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(shapes[1], "--out", whole, "--samples", 12) == 0
    made = synthesize.synthesize([shapes[1]], out, samples=12)
    first = [next(made) for _ in range(5)]
    made.close()
    assert not out.exists() and len(first) == 5
    calls = []
    monkeypatch.setattr(synthesize, "pcd", lambda points: calls.append(points) or PCD(points))
    assert run(shapes[1], "--out", out, "--samples", 12) == 0
    assert len(calls) == 12 - 5
    assert contents(out) == contents(whole)
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["out", "whole"]


PCD = synthesize.pcd
SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # some ignore it for all they start
from domains.pointcloud.making import synthesize
kept = synthesize.pcd
synthesize.pcd = lambda points: time.sleep(0.2) or kept(points)
from framework.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_control_c_leaves_no_set_and_says_how_to_go_on(shapes, tmp_path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW, "synthesize", "pointcloud", str(shapes[1]), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        while not list(tmp_path.glob(".partial-*/cloud/test/*.pcd")):
            time.sleep(0.05)
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        told = child.communicate()[1]
    assert child.returncode == 130 and told == "anomaly-ov: interrupted; run the same command again to go on.\n"
    assert not out.exists()


def test_a_defect_without_a_place_leaves_nothing(shapes, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("domains.pointcloud.making.making.LABELLED", (0.9, 1.0))
    told = mistake(capsys, "synthesize", "pointcloud", shapes[1], "--out", tmp_path / "set")
    assert "cloud.pcd: no place for a bulge; leave the kind out" in told
    assert not list(tmp_path.iterdir())
