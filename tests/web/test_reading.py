"""What strangers send is read elsewhere, within limits, and never run."""

import asyncio
import os
import pickle

import fake_block
import fake_readers
import numpy as np
import pytest
from fake_cli import picture
from numpy.testing import assert_array_equal
from PIL import Image

from framework import registry
from framework.errors import UserError
from framework.types import Record
from framework.web import reading

registry.load_domain("industrial")
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def read(path, domain="industrial"):
    return asyncio.run(reading.read(path, domain))[0].views


def refusal(path, domain="industrial"):
    with pytest.raises(UserError) as told:
        read(path, domain)
    return str(told.value)


def test_views_are_those_of_the_domain(tmp_path):
    picture(tmp_path / "a.png", 200, (30, 50))
    expected = registry.build("domain", "industrial").read(Record(tmp_path / "a.png", False, "")).views
    assert_array_equal(read(tmp_path / "a.png"), expected)


def test_a_cloud_comes_with_what_lifts_and_turns_it(tmp_path, monkeypatch):
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    from domains.pointcloud.making.procedural import write_pcd

    registry.load_domain("pointcloud")
    points = np.random.default_rng(0).normal(size=(400, 3))
    path = tmp_path / "a.pcd"
    write_pcd(path, points / np.linalg.norm(points, axis=1, keepdims=True))
    options = {"views": 3, "size": 64}
    sample, scene = asyncio.run(reading.read(path, "pointcloud", options))
    reader = registry.build("domain", "pointcloud", **options)
    expected = reader.read(Record(path, False, ""))
    for name in ("views", *reading.PARTS):
        assert_array_equal(getattr(sample, name), getattr(expected, name))
    assert (sample.captions, sample.warnings, sample.fuse) == (expected.captions, expected.warnings, expected.fuse)
    found = reader.scene(expected)
    assert scene.keys() == found.keys() and scene["elements"].dtype == np.int32
    for name, values in found.items():
        assert_array_equal(scene[name], values)


def test_a_scan_comes_with_the_way_back_to_its_voxels_and_with_what_is_looked_at(tmp_path):
    pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
    registry.load_domain("medical")
    fake_block.write(path := tmp_path / "a.nii.gz", fake_block.ct())
    options = {"axis": "coronal", "slices": 6, "spacing": 3.0}
    sample, scene = asyncio.run(reading.read(path, "medical", options))
    reader = registry.build("domain", "medical", **options)
    expected = reader.read(Record(path, False, ""))
    maps = np.random.default_rng(0).random(sample.views[:, 0].shape, np.float32)
    assert_array_equal(sample.back(maps), expected.back(maps))
    assert sample.elements == np.prod(fake_block.SHAPE) and sample.captions == expected.captions
    assert_array_equal(sample.views, expected.views)
    found = reader.scene(expected)
    assert scene.keys() == found.keys()
    for name, values in found.items():
        assert_array_equal(scene[name], values)


def test_a_picture_has_nothing_to_look_around_in(tmp_path):
    pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
    picture(tmp_path / "a.png", 200, (30, 50))
    sample, scene = asyncio.run(reading.read(tmp_path / "a.png", "medical"))
    assert scene is None and sample.back is None


def test_the_line_of_the_reader_arrives(tmp_path):
    (tmp_path / "a.png").touch()
    assert refusal(tmp_path / "a.png") == (
        f"{tmp_path}/a.png: no readable picture (empty file). Replace the file or take it out."
    )


@pytest.mark.parametrize("ending", [".png", ".nii", ".ply"])
def test_a_pickle_is_never_opened(tmp_path, ending):
    if ending == ".nii":
        pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
    path = tmp_path / f"a{ending}"
    path.write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    assert str(path) in refusal(path, registry.domain_of(path))
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists()  # it would have been


def test_an_array_of_objects_is_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Canary(tmp_path / "ran")], object))
    (tmp_path / "a.npy").rename(tmp_path / "a.tif")
    assert "no readable picture" in refusal(tmp_path / "a.tif")
    assert not (tmp_path / "ran").exists()


def test_ghostscript_is_never_run(tmp_path, monkeypatch):
    """Pillow tells pictures by their content, whatever they are called, and draws EPS with it where it is there."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    (tmp_path / "a.png").write_bytes(EPS)
    monkeypatch.setattr(reading, "main", fake_readers.ghostscript)
    assert "no readable picture" in refusal(tmp_path / "a.png")
    assert not (tmp_path / "ran").exists()


def test_a_reader_that_crashes(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "main", fake_readers.aborts)
    line = "cannot be read with 8 GB of memory. It is damaged, or send a smaller file."
    assert refusal(tmp_path / "a.png") == f"{tmp_path}/a.png: {line}"
    monkeypatch.undo()
    picture(tmp_path / "a.png", 200, (30, 50))
    assert read(tmp_path / "a.png").shape == (1, 3, 30, 50)  # the next one is read


def gone(number):
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


def test_a_reader_that_never_ends_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "main", fake_readers.never_ends)
    monkeypatch.setattr(reading, "SECONDS", 1)
    assert "cannot be read within 1 seconds" in refusal(tmp_path / "a.png")
    gone(tmp_path / "number")


def test_a_reader_is_ended_where_the_visitor_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "main", fake_readers.never_ends)

    async def leave():
        task = asyncio.ensure_future(reading.read(tmp_path / "a.png", "industrial"))
        async with asyncio.timeout(30):
            while not (tmp_path / "number").exists() or not (tmp_path / "number").read_text():
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gone(tmp_path / "number")

    asyncio.run(leave())


def test_memory_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "main", fake_readers.greedy)
    assert "cannot be read with 8 GB of memory" in refusal(tmp_path / "a.png")


def test_too_many_pixels(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    monkeypatch.setattr(reading, "main", fake_readers.few_pixels)
    assert "a.png: 1,600 pixels in all views, 1,599 are most. Send a smaller file." in refusal(tmp_path / "a.png")


def test_what_a_library_prints_is_not_the_servers(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(reading, "main", fake_readers.chatty)
    assert refusal(tmp_path / "a.png") == "a line and one more"
    assert capfd.readouterr() == ("", "")


def test_what_readers_need_is_loaded_before_they_begin(tmp_path, monkeypatch):
    for package in ("nibabel", "open3d"):
        pytest.importorskip(package, exc_type=ImportError)
    picture(tmp_path / "a.png")
    monkeypatch.setattr(reading, "main", fake_readers.tells_modules)
    assert read(tmp_path / "a.png").shape == (1, 3, 40, 40)
    assert (tmp_path / "modules").read_text() == "torch nibabel open3d"


def test_options_reach_the_reader(tmp_path):
    grey = np.full((20, 20), 2000, np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    expected = registry.build("domain", "industrial", bits=12).read(Record(tmp_path / "a.png", False, "")).views
    views = asyncio.run(reading.read(tmp_path / "a.png", "industrial", {"bits": 12}))[0].views
    assert_array_equal(views, expected)
    assert views.max() > 100  # of 16 bits it would be 7


def test_options_go_to_the_domains_that_have_them():
    found = reading.options_of({"bits": 12, "slices": 8})
    assert (found["industrial"], found["medical"], found["pointcloud"]) == ({"bits": 12}, {"slices": 8}, {"views": 9})
    for options, line in (
        ({"slizes": 8}, "no reader option called 'slizes'. Did you mean 'slices'?"),
        ({"slices": "x"}, "option 'slices' of domain 'medical': write a whole number, not 'x'."),
        ({"bits": 40}, "reader option bits: 16-bit grey uses 9 to 16 bits, not 40."),
    ):
        with pytest.raises(UserError) as told:
            reading.options_of(options)
        assert str(told.value).startswith(line)
