"""A labelled set of each domain is written as conversations and read back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_cli import parts
from numpy.testing import assert_array_equal
from PIL import Image

from framework import registry
from framework.data.instruct.conversations import load
from framework.data.instruct.writing import Written, write
from framework.errors import MissingPackageError, UserError

NOWHERE = Path("/no/such/folder")  # paths are absolute: any folder of images will do


def test_photographs_are_referred_to_where_they_lie(tmp_path):
    root = parts(tmp_path / "set")
    out = tmp_path / "out"
    written = write("industrial/mvtec", root, out)
    assert written == Written(out / "conversations.json", entries=8, yes=4, no=4, pictures=0, skipped=0)
    assert [p.name for p in out.iterdir()] == ["conversations.json"]
    found = load(written.path, NOWHERE)
    good = root / "bolt/test/good/000.png"
    assert [(c.id, c.images, c.anomaly) for c in found[:2]] == [
        ("000000-answer", (good,), False),
        ("000000-description", (good,), False),
    ]
    ask = "<image>\nAre there any defects for the object in the image? Please reply with 'Yes' or 'No'."
    what = "<image>\nIs there anything unusual in the image? Describe what and where."
    assert found[0].turns == ((ask, "No"),)
    assert found[1].turns == ((what, "No, the bolt looks normal."),)
    assert found[4].images == (root / "bolt/test/hole/000.png",) and found[4].anomaly is True
    assert found[4].turns == ((ask, "Yes"),)
    assert found[5].turns == ((what, "Yes, there is a medium-sized hole on the bolt, in the centre of the image."),)
    assert json.loads(written.path.read_text())[4]["metadata"] == {
        "anomaly": True,
        "category": "bolt",
        "defect": "hole",
        "dataset": "industrial/mvtec",
        "sample": str(root / "bolt/test/hole/000.png"),
    }


def test_writing_twice_gives_the_same_bytes_also_from_relative_paths(tmp_path, monkeypatch):
    root = parts(tmp_path / "set")
    first = write("industrial/mvtec", root, tmp_path / "a").path.read_bytes()
    assert write("industrial/mvtec", root, tmp_path / "b").path.read_bytes() == first
    monkeypatch.chdir(tmp_path)
    images = [c.images for c in load(write("industrial/mvtec", Path("set"), Path("c")).path, NOWHERE)]
    assert images == [c.images for c in load(tmp_path / "a/conversations.json", NOWHERE)]


def test_labels_alone_give_no_place_and_a_16_bit_picture_is_written_as_it_is_read(tmp_path):
    for folder, value in (("good", 1000), ("bent", 3000)):
        (tmp_path / "set" / folder).mkdir(parents=True)
        Image.fromarray(np.full((4, 6), value, np.uint16)).save(tmp_path / "set" / folder / "0.png")
    written = write("industrial/folder", tmp_path / "set", tmp_path / "out", reader={"bits": 12})
    assert written.pictures == 2
    bent, _, good, _ = load(written.path, NOWHERE)
    assert bent.images == (tmp_path / "out/images/000000_000.png",)
    assert_array_equal(np.asarray(Image.open(bent.images[0])), np.full((4, 6, 3), 3000 >> 4))
    assert_array_equal(np.asarray(Image.open(good.images[0])), np.full((4, 6, 3), 1000 >> 4))
    texts = [turn["value"] for e in json.loads(written.path.read_text()) for turn in e["conversations"]]
    assert "Yes, there is a bent defect on the set." in texts


def test_clouds_are_drawn_and_the_view_that_shows_most_is_among_them(tmp_path, monkeypatch):
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    from domains.pointcloud import PointCloud
    from domains.pointcloud.datasets import real3d
    from domains.pointcloud.making.procedural import write_pcd

    points = np.random.default_rng(0).normal(size=(3000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for name in ("1_good", "2_bulge"):
        write_pcd(tmp_path / f"set/ball0/test/{name}.pcd", points)
    (tmp_path / "set/ball0/gt").mkdir()
    marked = points[:, 2] > 0.9
    np.savetxt(tmp_path / "set/ball0/gt/2_bulge.txt", np.column_stack([points, marked]), fmt="%.8f")
    options = {"views": 5, "size": 64}
    given = {"reader": options, "views": 2}
    written = write("pointcloud/real3d", tmp_path / "set", tmp_path / "out", **given, captions=False)
    assert (written.entries, written.yes, written.no, written.pictures) == (4, 2, 2, 4)
    found = load(written.path, NOWHERE)
    asked = {c.id: c.turns[0] for c in found}
    assert asked["000000-answer"] == (
        "<image>\n<image>\nAre there any defects for the object in the images? Please reply with 'Yes' or 'No'.",
        "No",
    )
    assert asked["000000-description"][1] == "No, the ball looks normal."
    question, answer = asked["000001-description"]
    assert question == "<image>\n<image>\nIs there anything unusual in the images? Describe what and where."
    assert answer.startswith("Yes, there is a bulge on the ball. In view ")
    sample = PointCloud(**options).read(list(real3d(tmp_path / "set"))[1])
    best = int((sample.truth[sample.owner] & (sample.owner >= 0)).sum((1, 2)).argmax())
    shown = {c.id: c.images for c in found}["000001-answer"]
    assert tmp_path / f"out/images/000001_{best:03d}.png" in shown and len(shown) == 2
    assert_array_equal(
        np.asarray(Image.open(tmp_path / f"out/images/000001_{best:03d}.png")), sample.views[best].transpose(1, 2, 0)
    )
    read = PointCloud.read
    captions = tuple(f"from place {i}" for i in range(5))
    monkeypatch.setattr(PointCloud, "read", lambda *a: replace(read(*a), captions=captions))
    places = [int(path.stem.rpartition("_")[2]) for path in shown]
    told = {
        c.id: c.turns[0]
        for c in load(write("pointcloud/real3d", tmp_path / "set", tmp_path / "b", **given).path, NOWHERE)
    }
    lines = f"Image 1: from place {places[0]}.\nImage 2: from place {places[1]}.\n"
    assert told["000001-description"][0] == question.replace("Is there", f"{lines}Is there")
    assert told["000001-answer"][0].count(lines) == told["000000-answer"][0].count("Image 1: ") == 1
    named = f"image {places.index(best) + 1} (from place {best})"
    assert "Yes, there is a bulge on the ball. It can be seen in " in told["000001-description"][1]
    assert named in told["000001-description"][1]
    assert told["000000-description"][1] == "No, the ball looks normal."


@pytest.fixture
def scans(tmp_path):
    """Two scans of six slices, one with a tumour in the two topmost that are not empty."""
    nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
    pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")
    rng = np.random.default_rng(0)
    for name in ("good/anna_1", "tumour/berta_2"):
        voxels = rng.integers(500, 1000, (12, 12, 6)).astype(np.int16)
        path = tmp_path / f"set/test/{name}.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    mask = np.zeros((12, 12, 6), np.uint8)
    mask[5:8, 5:8, 4:] = 1
    mask[4, 5:8, 5] = 1
    path = tmp_path / "set/test/masks/tumour/berta_2.nii.gz"
    path.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(mask, np.eye(4)), path)
    return tmp_path / "set"


def test_scans_give_slices_and_medical_words(scans, tmp_path):
    written = write("medical/nifti", scans, tmp_path / "out", options={"category": "brain"}, views=3)
    assert (written.entries, written.yes, written.no, written.pictures) == (4, 2, 2, 6)
    healthy, _, asked, described = load(written.path, NOWHERE)
    assert [p.name for p in healthy.images] == ["000000_001.png", "000000_003.png", "000000_005.png"]
    shown = "".join(
        f"Image {n}: axial slice {at} of 6 from below, z = {at - 1} mm.\n" for n, at in ((1, 2), (2, 4), (3, 6))
    )
    assert asked.turns == (
        (
            f"<image>\n<image>\n<image>\n{shown}Are there any abnormalities in the scan? Please reply with "
            "'Yes' or 'No'.",
            "Yes",
        ),
    )
    assert described.turns == (
        (
            f"<image>\n<image>\n<image>\n{shown}Is there anything unusual in the scan? Describe what and where.",
            "Yes, there is a tumour in the brain. It can be seen in image 3 (axial slice 6 of 6 from below, z = 5 mm). "
            "In image 3 there is a medium-sized tumour in the centre.",
        ),
    )


def test_views_apart_are_labelled_by_what_each_shows(scans, tmp_path):
    written = write("medical/nifti", scans, tmp_path / "out", options={"category": "brain"}, views=3, apart=True)
    assert (written.entries, written.yes, written.no, written.pictures) == (12, 2, 10, 6)
    found = {c.id: c for c in load(written.path, NOWHERE)}
    assert list(found)[:3] == ["000000_001-answer", "000000_001-description", "000000_003-answer"]
    ask = "<image>\nImage 1: axial slice {} of 6 from below, z = {} mm.\nAre there any abnormalities in the scan? "
    ask += "Please reply with 'Yes' or 'No'."
    assert (
        found["000001_003-answer"].turns == ((ask.format(4, 3), "No"),) and found["000001_003-answer"].anomaly is False
    )
    assert found["000001_003-description"].turns[0][1] == "No, the brain looks normal."
    assert (
        found["000001_005-answer"].turns == ((ask.format(6, 5), "Yes"),) and found["000001_005-answer"].anomaly is True
    )
    assert found["000001_005-description"].turns[0][1] == (
        "Yes, there is a medium-sized tumour in the brain, in the centre of the image."
    )
    assert [p.name for p in found["000001_005-answer"].images] == ["000001_005.png"]


def test_views_apart_take_the_label_of_the_sample_where_nothing_marks_them(scans, tmp_path):
    for path in (scans / "test/masks/tumour").iterdir():
        path.unlink()
    (scans / "test/masks/tumour").rmdir()
    (scans / "test/masks").rmdir()
    written = write("medical/nifti", scans, tmp_path / "out", views=3, apart=True)
    assert (written.yes, written.no) == (6, 6)


def test_a_slice_is_one_picture(scans, tmp_path):
    written = write("medical/nifti_slices", scans, tmp_path / "out")
    assert (written.entries, written.yes, written.no, written.pictures) == (24, 4, 20, 12)
    last = load(written.path, NOWHERE)[-1]
    assert len(last.images) == 1
    assert last.turns[0][1] == "Yes, there is a medium-sized tumour in the scan, in the centre of the image."
    assert json.loads(written.path.read_text())[-1]["metadata"]["sample"].endswith("berta_2.nii.gz#5")


def test_samples_that_cannot_be_read_are_named_and_counted(tmp_path, capsys):
    root = parts(tmp_path / "set")
    broken, maskless = root / "bolt/test/good/000.png", root / "bolt/ground_truth/hole/001_mask.png"
    broken.write_bytes(b"no picture")
    maskless.unlink()
    written = write("industrial/mvtec", root, tmp_path / "out")
    assert (written.entries, written.yes, written.no, written.skipped) == (4, 2, 2, 2)
    told = capsys.readouterr().err.splitlines()
    assert [line.startswith(f"left out: {path}: ") for line, path in zip(told, (broken, maskless), strict=True)] == [
        True,
        True,
    ]
    assert [c.id for c in load(written.path, NOWHERE)[::2]] == ["000001-answer", "000002-answer"]


def test_a_set_of_which_nothing_can_be_read_is_one_line(tmp_path, capsys):
    root = parts(tmp_path / "set")
    for path in root.glob("bolt/test/*/*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError) as error:
        write("industrial/mvtec", root, tmp_path / "out")
    first = root / "bolt/test/good/000.png"
    line = f"industrial/mvtec: none of 4 samples can be read. The first: {first}: no readable picture (empty file)."
    assert str(error.value).startswith(line) and not (tmp_path / "out").exists()


def test_mistakes_are_one_line(tmp_path):
    root = parts(tmp_path / "set")
    with pytest.raises(UserError, match=r"^views: 0 is below 1; a conversation shows at least one picture\.$"):
        write("industrial/mvtec", root, tmp_path / "out", views=0)
    with pytest.raises(UserError, match="Did you mean 'industrial/mvtec'"):
        write("industrial/mvtek", root, tmp_path / "out")
    with pytest.raises(UserError, match="no samples of split 'train'"):
        write("industrial/mvtec", root, tmp_path / "out", split="train")
    with pytest.raises(UserError, match="Did you mean 'categories'"):
        write("industrial/mvtec", root, tmp_path / "out", options={"category": ["bolt"]})
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: cannot make this folder"):
        write("industrial/mvtec", root, tmp_path / "file")


def test_a_missing_package_is_no_fault_of_a_sample(tmp_path, monkeypatch):
    root = parts(tmp_path / "set")
    registry.load_domain("industrial")

    def read(*_):
        raise MissingPackageError("scans need the package nibabel")

    monkeypatch.setattr(registry.get("domain", "industrial"), "read", read)
    with pytest.raises(MissingPackageError):
        write("industrial/mvtec", root, tmp_path / "out")
