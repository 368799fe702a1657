"""``anomaly-ov predict`` from the command line to the files it leaves, on every kind of file."""

import json

import numpy as np
import pytest
import torch
from fake_dicom import dataset, save, series
from fake_predict import agrees, by_hand, on_photographs, picture, run, trained_on
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from framework import registry
from framework.cli import main
from framework.data import crops
from framework.models import trained
from framework.tasks.predict import Predictor
from framework.tasks.predictions import stems

NEEDS_3D = {"reason": "needs Open3D and its system libraries", "exc_type": ImportError}
NEEDS_SCANS = "needs the extra: uv pip install -e '.[medical]'"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return on_photographs(tmp_path_factory.mktemp("parts"))


def test_a_picture_gets_a_score_an_overlay_and_a_map_of_its_size(checkpoint, tmp_path, capsys):
    path = picture(tmp_path / "in/a.png", 3, (50, 34))
    (line,) = run(capsys, checkpoint, tmp_path / "out", path)
    logits, scores = by_hand(checkpoint, registry.build("domain", "industrial"), path)
    agrees(line, logits, scores)
    assert (line["domain"], line["element"], line["map"]) == ("industrial", "pixel", str(tmp_path / "out/a_map.png"))
    assert line["scores"] == str(tmp_path / "out/a_map_scores.png") and "unscored" not in line
    overlay = Image.open(line["map"])
    assert overlay.size == (50, 34) and overlay.mode == "RGB"
    raw = np.asarray(Image.open(tmp_path / "out/a_map_scores.png"))
    assert raw.dtype == np.uint16
    assert_allclose(raw / 65535, scores.reshape(34, 50), atol=1e-4)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a_map.png",
        "a_map_scores.png",
        "predictions.jsonl",
    ]


POINTS = np.random.default_rng(0).normal(size=(300, 3))
POINTS = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True) * [3, 5, 4] + [100, -20, 7]
CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 3)], np.float64) + 0.1
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip


def write_ply(path):
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(POINTS)}\n"
    head += "".join(f"property double {axis}\n" for axis in "xyz") + "end_header\n"
    path.write_bytes(head.encode() + POINTS.astype("<f8").tobytes())
    return POINTS


def write_pcd(path):
    head = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
    head += f"WIDTH {len(POINTS)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(POINTS)}\nDATA binary\n"
    path.write_bytes(head.encode() + POINTS.astype("<f4").tobytes())
    return POINTS.astype(np.float32)


def write_obj(path):
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in CUBE.tolist()]
    path.write_text("\n".join([*lines, *(f"f {a} {b} {c}" for a, b, c in FACES + 1)]) + "\n")
    return CUBE


def write_stl(path):
    record = np.zeros(len(FACES), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corners"] = CUBE[FACES]
    path.write_bytes(bytes(80) + np.uint32(len(FACES)).tobytes() + record.tobytes())
    return CUBE[list(dict.fromkeys(FACES.ravel().tolist()))].astype(np.float32)  # in the order the file names them


def read_ply(path):
    """Coordinates and scores of a binary .ply of ours."""
    head, _, body = path.read_bytes().partition(b"end_header\n")
    names = {"float": "<f4", "double": "<f8", "uchar": "u1"}
    words = [line.split() for line in head.decode().splitlines()]
    fields = [(w[2], names[w[1]]) for w in words if w[0] == "property" and w[1] != "list"]
    (count,) = (int(w[2]) for w in words if w[:2] == ["element", "vertex"])
    table = np.frombuffer(body, np.dtype(fields), count)
    return np.stack([table[axis] for axis in "xyz"], 1), table["score"]


@pytest.mark.parametrize("write", [write_ply, write_pcd, write_obj, write_stl])
def test_every_point_of_a_cloud_or_mesh_gets_a_score_in_its_place(checkpoint, tmp_path, capsys, write):
    pytest.importorskip("open3d", **NEEDS_3D)
    path = tmp_path / f"a.{write.__name__.removeprefix('write_')}"
    points = write(path)
    options = {"views": 4, "size": 64}
    trained_here = trained_on(checkpoint, tmp_path / "c.ckpt", ("pointcloud/real3d", options))
    (line,) = run(capsys, trained_here, tmp_path / "out", path)
    logits, scores = by_hand(checkpoint, registry.build("domain", "pointcloud", **options), path)
    agrees(line, logits, scores)
    assert (line["domain"], line["element"], line["views"]) == ("pointcloud", "point", 4)
    assert line["map"] == str(tmp_path / "out/a_map.ply")
    assert line.keys().isdisjoint({"scores", "unscored"})
    places, found = read_ply(tmp_path / "out/a_map.ply")
    assert_array_equal(places, points)
    assert_allclose(found, scores, atol=1e-5)
    assert np.ptp(found) > 0


def test_points_without_a_place_are_counted_and_get_no_score(checkpoint, tmp_path, capsys, monkeypatch):
    pytest.importorskip("open3d", **NEEDS_3D)
    points = POINTS.copy()
    points[7], points[9, 1] = np.nan, np.inf
    monkeypatch.setitem(globals(), "POINTS", points)
    write_pcd(tmp_path / "a.pcd")
    (line,) = run(capsys, checkpoint, tmp_path / "out", tmp_path / "a.pcd")
    assert (line["elements"], line["unscored"]) == (300, 2)
    places, scores = read_ply(tmp_path / "out/a_map.ply")
    assert_array_equal(places, points.astype(np.float32))
    assert_array_equal(np.flatnonzero(np.isnan(scores)), [7, 9])
    assert line["highest"] == pytest.approx(np.nanmax(scores), abs=1e-6)


def test_a_cloud_gets_a_page_and_pictures_unless_they_are_not_wanted(checkpoint, tmp_path, capsys, monkeypatch):
    pytest.importorskip("open3d", **NEEDS_3D)
    write_ply(tmp_path / "a.ply")
    read = registry.get("domain", "pointcloud").read

    def told(self, record):
        sample = read(self, record)
        sample.counts, sample.warnings = {"unseen": 12}, ("a.ply: a thin wall.",)
        return sample

    monkeypatch.setattr(registry.get("domain", "pointcloud"), "read", told)
    out = tmp_path / "out"
    (line,) = run(capsys, checkpoint, out, tmp_path / "a.ply", options=["--no-pictures"])
    assert line.keys().isdisjoint({"viewer", "picture", "pdf"}) and len(list(out.iterdir())) == 2
    capsys.readouterr()
    arguments = ["predict", "--checkpoint", checkpoint, "--out", out, "--device", "cpu", tmp_path / "a.ply"]
    assert main([str(a) for a in arguments]) == 0
    found = capsys.readouterr()
    line = json.loads(found.out)
    assert line["unseen"] == 12 and line["warnings"] == ["a.ply: a thin wall."]
    assert found.err.count("anomaly-ov: a.ply: a thin wall.") == 1
    assert [line[key] for key in ("viewer", "picture", "pdf")] == [
        str(out / name) for name in ("a_viewer.html", "a_views.png", "a_views.pdf")
    ]
    assert Image.open(line["picture"]).format == "PNG" and (out / "a_views.pdf").read_bytes().startswith(b"%PDF")
    assert f"score {line['score']:.3f}" in (out / "a_viewer.html").read_text()


@pytest.mark.parametrize(
    ("affine", "shape", "slices"),
    [
        (np.diag([-1.5, -1.5, 3.0, 1.0]), (9, 12, 5), 5),
        (np.array([[0.1, 0, 2.9, -40], [1.2, 0.1, 0.2, 7], [0.0, -1.4, 0.3, 9], [0, 0, 0, 1]]), (10, 36, 12), 36),
    ],
    ids=["flipped", "oblique, more slices than are scored at once"],
)
def test_a_scan_gets_a_map_in_its_geometry(checkpoint, tmp_path, capsys, affine, shape, slices):
    nib = pytest.importorskip("nibabel", reason=NEEDS_SCANS)
    pytest.importorskip("monai", reason=NEEDS_SCANS)
    from domains.medical import geometry, slicing

    voxels = np.random.default_rng(0).integers(100, 900, shape, np.int16)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(voxels, affine), path)
    options = {"percentiles": [5, 95]}
    trained_here = trained_on(checkpoint, tmp_path / "c.ckpt", ("medical/nifti", options))
    assert 5 < crops.AT_ONCE["cpu"] < 36
    (line,) = run(capsys, trained_here, tmp_path / "out", path)
    logits, scores = by_hand(checkpoint, registry.build("domain", "medical", **options), path)
    agrees(line, logits, scores)
    assert (line["domain"], line["element"], line["views"]) == ("medical", "voxel", slices)
    saved = nib.load(tmp_path / "out/scan_map.nii.gz")
    assert_array_equal(saved.affine, nib.load(path).affine)
    assert_allclose(saved.affine, affine, atol=1e-6)  # a NIfTI file holds float32
    assert saved.shape == voxels.shape
    axial = slicing.cut(geometry.to_ras(np.asarray(saved.dataobj), affine), "axial")
    assert_allclose(axial.ravel(), scores, atol=1e-5)


@pytest.mark.parametrize("mode", ["base", "anyres"])
def test_a_checkpoint_trained_on_fast_crops_is_given_fast_crops(mode, checkpoint, tmp_path, capsys, monkeypatch):
    path, asked = picture(tmp_path / "a.png", 1, (400, 200)), []
    cut = crops.cut
    monkeypatch.setattr(crops, "cut", lambda view, size, how: asked.append(how) or cut(view, size, how))
    lines = []
    for how in (mode, f"{mode}-fast"):
        content = trained.read(checkpoint)
        content[trained.KEY]["crops"] = how
        torch.save(content, tmp_path / "c.ckpt")
        lines += run(capsys, tmp_path / "c.ckpt", tmp_path / "out", path)
    assert asked == [mode, f"{mode}-fast"]
    assert lines[0]["score"] == pytest.approx(lines[1]["score"], abs=0.02)


def test_a_series_is_one_scan_and_a_folder_all_that_are_in_it(checkpoint, tmp_path, capsys):
    nib = pytest.importorskip("nibabel", reason=NEEDS_SCANS)
    pytest.importorskip("monai", reason=NEEDS_SCANS)
    pytest.importorskip("pydicom", reason=NEEDS_SCANS)
    from domains.medical import dicom

    voxels = np.random.default_rng(0).integers(0, 2000, (3, 20, 24)).astype(np.int16)
    one = series(tmp_path / "in/one", voxels, name="IM{}")  # no endings
    other = series(tmp_path / "in/two", voxels[::-1], series="1.9")
    xray = save(dataset(voxels[0].astype(np.uint16), "DX", "1.5"), tmp_path / "in/xray")
    (tmp_path / "in/notes.txt").write_text("nothing")
    capsys.readouterr()
    files = [str(p) for p in (tmp_path / "in", *one)]
    assert main(["predict", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out"), *files]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines] == [str(p) for p in (xray, one[0], other[0])]
    assert [line["views"] for line in lines] == [1, 3, 3]
    assert lines[1]["elements"] == voxels.size and lines[1]["domain"] == "medical"
    saved = nib.load(lines[1]["map"])
    assert saved.shape == (24, 20, 3)
    assert_allclose(saved.affine, dicom.read(one[1]).affine, atol=1e-5)


def test_a_picture_is_read_by_the_domain_that_was_trained(checkpoint, tmp_path, capsys):
    """The two differ: transparent is black to the medical reader, and 16 bit is stretched to what is there."""
    from domains.medical import Medical

    rng = np.random.default_rng(0)
    deep, clear = tmp_path / "deep.png", tmp_path / "clear.png"
    Image.fromarray(rng.integers(1000, 3000, (40, 40), np.uint16)).save(deep)
    Image.fromarray(rng.integers(0, 255, (40, 40, 4), np.uint8)).save(clear)
    options = {"percentiles": [10, 90]}
    medical = trained_on(checkpoint, tmp_path / "m.ckpt", ("medical/yesno", options))
    industrial = registry.build("domain", "industrial")
    for path, line in zip([deep, clear], run(capsys, medical, tmp_path / "out", deep, clear), strict=True):
        assert line["domain"] == "medical"
        agrees(line, *by_hand(checkpoint, Medical(**options), path))
        assert line["score"] != pytest.approx(by_hand(checkpoint, industrial, path)[0].max(), abs=1e-6)
    for path, line in zip([deep, clear], run(capsys, checkpoint, tmp_path / "out", deep, clear), strict=True):
        assert line["domain"] == "industrial"
        agrees(line, *by_hand(checkpoint, industrial, path))
    other = trained_on(checkpoint, tmp_path / "o.ckpt", ("pointcloud/real3d", {}))
    assert run(capsys, other, tmp_path / "out", deep)[0]["domain"] == "industrial"  # none of its own reads pictures


def test_of_two_sets_of_a_domain_the_first_decides_and_that_is_said(checkpoint, tmp_path, capsys):
    sets = [("medical/nifti", {"slices": 3}), ("industrial/mvtec", {}), ("medical/nifti", {"slices": 5})]
    found = Predictor(trained_on(checkpoint, tmp_path / "c.ckpt", *sets), device="cpu")
    assert found.readers == {"medical": {"slices": 3}, "industrial": {}}
    said = capsys.readouterr().err
    assert "{'slices': 3}" in said and "{'slices': 5}" in said and "reading with the first" in said


def test_files_of_one_name_keep_their_results_apart(checkpoint, tmp_path, capsys):
    files = [picture(tmp_path / f"{folder}/a.png", i) for i, folder in enumerate(["x", "y", "z/x"])]
    files += [picture(tmp_path / "x_a.png", 7), picture(tmp_path / "x_a_2.png", 8)]
    lines = run(capsys, checkpoint, tmp_path / "out", *files)
    maps = [line["map"] for line in lines]
    assert len(set(maps)) == len(files) and len({line["score"] for line in lines}) == len(files)
    for path, line in zip(files, lines, strict=True):
        again = run(capsys, checkpoint, tmp_path / "alone", path)[0]
        assert_array_equal(np.asarray(Image.open(line["map"])), np.asarray(Image.open(again["map"])))


def test_a_later_call_keeps_lines_and_maps_of_other_files(checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    a, b, other = (picture(tmp_path / name, i) for i, name in enumerate(["x/a.png", "x/b.png", "y/a.png"]))
    first, second = run(capsys, checkpoint, out, a, b)
    picture(b, 9)
    with (out / "predictions.jsonl").open("a") as f:
        f.write('{"file": "half')  # as a killed process leaves it
    third, again = run(capsys, checkpoint, out, other, b)
    assert again["score"] != second["score"] and again["map"] == second["map"]
    stored = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert stored == [first, third, again]
    assert third["map"] == str(out / "y_a_map.png") != first["map"]
    (alone,) = run(capsys, checkpoint, tmp_path / "alone", a)
    assert_array_equal(np.asarray(Image.open(first["map"])), np.asarray(Image.open(alone["map"])))


def test_reader_options_of_the_call_go_before_those_of_training(checkpoint, tmp_path, capsys):
    from domains.medical import Medical

    path = tmp_path / "deep.png"
    Image.fromarray(np.random.default_rng(0).integers(1000, 3000, (40, 40), np.uint16)).save(path)
    medical = trained_on(checkpoint, tmp_path / "m.ckpt", ("medical/yesno", {"percentiles": [10, 90], "slices": 3}))
    given = ["--reader", "percentiles=[1, 60]", "--reader", "foreground=false"]
    (line,) = run(capsys, medical, tmp_path / "out", path, options=given)
    agrees(line, *by_hand(checkpoint, Medical(percentiles=[1, 60], foreground=False), path))
    assert line["score"] != pytest.approx(run(capsys, medical, tmp_path / "out", path)[0]["score"], abs=1e-6)


def test_names_of_results(tmp_path):
    paths = [tmp_path / name for name in ("p/x/a.png", "q/x/a.ply", "x_a_2.png", "b.c.nii.gz", "d.nii")]
    assert list(stems(paths).values()) == ["x_a", "x_a_2", "x_a_2_2", "b.c", "d"]
    assert list(stems([tmp_path / "x/a.png", tmp_path / "b.png"], {"a", "x_a"}).values()) == ["x_a_2", "b"]
