"""PNG files of pixels, written and read quickly, and the two files of a map: all beside what Pillow reads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from framework import colours, pictures
from framework.pictures import quickly, write_map, write_png

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "kind"), [((6, 9, 3), np.uint8), ((6, 9), np.uint8), ((6, 9), np.uint16)])
def test_pixels_are_read_back_as_they_were(tmp_path, shape, kind):
    pixels = RNG.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    path = write_png(tmp_path / "new" / "a.png", pixels)
    with Image.open(path) as found:
        assert found.format == "PNG"
        assert_array_equal(np.asarray(found), pixels)


def test_a_map_is_an_overlay_and_its_scores(tmp_path):
    view, scores = RNG.integers(0, 255, (3, 6, 9), np.uint8), RNG.random((6, 9), np.float32)
    scores[0, :2] = 0, 1
    told = write_map(view, scores, tmp_path / "a.v2")
    assert told == {"map": tmp_path / "a.v2.png", "scores": tmp_path / "a.v2_scores.png"}
    assert_array_equal(np.asarray(Image.open(told["map"])), colours.overlay(view.transpose(1, 2, 0), scores))
    assert_array_equal(np.asarray(Image.open(told["scores"])), np.rint(scores.astype(np.float64) * 65535))


@pytest.mark.parametrize(
    "scores", [np.zeros((5, 9)), np.full((6, 9), 1.5), np.full((6, 9), -0.1), np.full((6, 9), np.nan)]
)
def test_scores_of_another_shape_or_range_are_a_broken_promise(tmp_path, scores):
    with pytest.raises(ValueError, match=r"a: scores must be \(6, 9\) in \[0, 1\], got"):
        write_map(np.zeros((3, 6, 9), np.uint8), scores, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def marks(content, shape, mode):
    """A decoder that tells what it was asked."""
    assert content.startswith(b"\x89PNG") and mode in ("rgb", "mono")
    return np.full((*shape, 3 if mode == "rgb" else 1), 7, np.uint8)


def fails(*_):
    raise Exception("Failed to decode the png image.")  # as kornia-rs does


@pytest.mark.parametrize(("kind", "shape"), [("RGB", (6, 9, 3)), ("L", (6, 9))])
def test_only_colour_and_grey_of_8_bits_are_read_quickly(tmp_path, monkeypatch, kind, shape):
    monkeypatch.setattr(pictures, "decode_image_png_u8", marks)
    Image.new(kind, (9, 6)).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert_array_equal(quickly(image), np.full(shape, 7, np.uint8))


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "1", "I;16"])
def test_other_pictures_are_left_to_pillow(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(pictures, "decode_image_png_u8", marks)
    Image.new(kind, (9, 6)).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert quickly(image) is None


def test_a_jpeg_and_a_png_that_moves_are_left_to_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "decode_image_png_u8", marks)
    Image.new("RGB", (9, 6)).save(tmp_path / "a.jpg")
    Image.new("RGB", (9, 6)).save(tmp_path / "b.png", save_all=True, append_images=[Image.new("RGB", (9, 6), "red")])
    for name in ("a.jpg", "b.png"):
        with Image.open(tmp_path / name) as image:
            assert quickly(image) is None


def test_where_a_picture_cannot_be_read_quickly_pillow_goes_on_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "decode_image_png_u8", fails)
    pixels = RNG.integers(0, 256, (60, 90, 3), np.uint8)
    with Image.open(write_png(tmp_path / "a.png", pixels)) as image:
        assert quickly(image) is None
        assert_array_equal(np.asarray(image), pixels)


def test_a_fault_that_is_no_damaged_picture_is_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "decode_image_png_u8", {}.__getitem__)
    with Image.open(write_png(tmp_path / "a.png", np.zeros((2, 2), np.uint8))) as image, pytest.raises(TypeError):
        quickly(image)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 33), (5, 7, 3), (64, 33, 3)])
@pytest.mark.parametrize("options", [{}, {"compress_level": 0}, {"optimize": True}, {"transparency": 3}])
def test_kornia_reads_what_pillow_reads(tmp_path, shape, options):
    pixels = np.sort(RNG.integers(0, 256, shape, np.uint8), axis=0)  # smooth enough for every filter
    if "transparency" in options and len(shape) == 3:
        options = {"transparency": (3, 3, 3)}
    Image.fromarray(pixels).save(tmp_path / "a.png", **options)
    with Image.open(tmp_path / "a.png") as image:
        found = quickly(image)
    assert found.dtype == np.uint8
    assert_array_equal(found, pixels)


def test_kornia_leaves_a_damaged_picture_to_pillow(tmp_path):
    pixels = RNG.integers(0, 256, (60, 90, 3), np.uint8)
    content = write_png(tmp_path / "a.png", pixels).read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    with Image.open(tmp_path / "half.png") as image:
        assert quickly(image) is None
        with pytest.raises(OSError, match="truncated"):
            image.load()
    (tmp_path / "tail.png").write_bytes(content[:-12])  # without its end, which Pillow does not miss
    with Image.open(tmp_path / "tail.png") as image:
        assert quickly(image) is None
        assert_array_equal(np.asarray(image), pixels)
