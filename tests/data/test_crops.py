"""Crops are the published ones bit for bit, and their maps come back to where they were cut."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.recipe import picture
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from torch.nn.functional import interpolate
from torch.testing import assert_close
from transformers import LlavaOnevisionImageProcessorPil
from transformers.image_processing_utils import select_best_resolution

from framework.data.crops import count, cut, merge

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "published.json").read_text())["cases"]
SIZES = [
    (384, 384),
    (500, 700),
    (700, 500),
    (900, 900),
    (37, 53),
    (1, 1),
    (1024, 256),
    (60, 1000),
    (383, 769),
    (1024, 1024),
]
LARGE = [(1500, 1100), (800, 2047), (3000, 1025), (1025, 1025), (2100, 10)]  # longest side > 1024


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)


@pytest.fixture
def rows_first(monkeypatch):
    """Pillow before version 13, with which the published numbers were made; 13 begins with columns that shrink more."""
    whole = Image.Image.resize

    def resize(image, size, *options, **named):
        return whole(whole(image, (size[0], image.height), *options, **named), size, *options, **named)

    monkeypatch.setattr(Image.Image, "resize", resize)


def cell_means(crops, cells):
    """What a backbone with ``cells`` patches a side sees: mean brightness of each patch, ``(K, cells, cells)``."""
    patch = crops.shape[-1] // cells
    seen = torch.from_numpy(crops[:, :1, : patch * cells, : patch * cells]).float()
    return torch.nn.functional.avg_pool2d(seen, patch)[:, 0] / 255


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['width']}x{case['height']}")
def test_crops_are_the_published_tiles(case):
    crops = cut(picture(case["seed"], case["width"], case["height"]), 384, "anyres")
    assert_array_equal(crops[:, :, ::97, ::89], case["tiles[:, :, ::97, ::89]"])
    assert_allclose((crops / 127.5 - 1).mean((1, 2, 3)), case["tile mean"], atol=1e-6)


@pytest.mark.parametrize("size", [224, 384])
@pytest.mark.parametrize("shape", SIZES)
def test_crops_are_those_of_transformers(shape, size, rows_first):
    view = noise(*shape)
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": size, "width": size},
        image_grid_pinpoints=[[size * i, size * j] for i in range(1, 7) for j in range(1, 7)],
        do_rescale=False,
        do_normalize=False,
    )
    theirs = processor(Image.fromarray(view.transpose(1, 2, 0)), return_tensors="np")["pixel_values"][0]
    ours = cut(view, size, "anyres")
    assert ours.dtype == np.uint8
    assert_array_equal(ours, theirs)


@pytest.mark.parametrize("size", [56, 384])
@pytest.mark.parametrize("shape", SIZES)
def test_a_square_is_what_transformers_makes_of_one_picture_of_several(shape, size, rows_first):
    view = noise(*shape)
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": size, "width": size}, image_mean=[0.5] * 3, do_rescale=False, do_normalize=False
    )
    images = [Image.fromarray(v.transpose(1, 2, 0)) for v in (view, noise(40, 30))]
    theirs = processor([images], return_tensors="np")["pixel_values"][0]
    ours = cut(view, size, "square")
    assert ours.dtype == np.uint8 and count(*shape, size, "square") == 1
    assert_array_equal(ours, theirs)


@pytest.mark.parametrize("upright", [False, True])
def test_a_square_is_grey_on_both_sides_of_the_view(upright):
    view = np.full((3, 120, 60) if upright else (3, 60, 120), 250, np.uint8)
    rows = cut(view, 128, "square")[0].transpose(0, 2, 1) if upright else cut(view, 128, "square")[0]
    assert_array_equal(rows[:, 36:92], 250)  # the view is in the rows 32 to 95; bicubic reaches 2 pixels
    assert_array_equal(rows[:, [*range(28), *range(100, 128)]], 127)


@pytest.mark.parametrize(
    ("shape", "capped"),
    [((1500, 1100), (1024, 750)), ((800, 2047), (400, 1024)), ((3000, 1025), (1024, 349)), ((2100, 10), (1024, 4))],
)
def test_a_longer_side_is_first_resized_to_1024(shape, capped, rows_first):
    view = noise(*shape)
    image = Image.fromarray(view.transpose(1, 2, 0)).resize((capped[1], capped[0]))
    for mode in ("base", "anyres", "square"):
        assert_array_equal(cut(view, 384, mode), cut(np.asarray(image).transpose(2, 0, 1), 384, mode))


@pytest.mark.parametrize("mode", ["base", "anyres", "square"])
def test_rows_are_resized_before_columns_whatever_pillow_does(mode, monkeypatch):
    asked = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda i, size, how: asked.append((i.size, size)) or resize(i, size, how)
    )
    cut(noise(1100, 500), 128, mode)
    assert asked[:2] == [((500, 1100), (465, 1100)), ((465, 1100), (465, 1024))]
    assert all((old[0] == new[0]) + (old[1] == new[1]) == 1 for old, new in asked)


def checks(height, width, period, low, high):
    """Hard edges at every ``period`` pixels of both axes."""
    rows, columns = np.indices((height, width)) // period
    return np.repeat(np.where((rows + columns) % 2, high, low).astype(np.uint8)[None], 3, 0)


def worst(shape, seed):
    """Views on which resizing errs most: noise, noise of black and white, and edges that a whole period apart recur."""
    yield noise(*shape, seed)
    yield noise(*shape, seed) // 128 * 255
    yield np.broadcast_to(np.arange(shape[1]) % 256, (3, *shape)).astype(np.uint8)
    for period in (1, 2, 3):
        yield checks(*shape, period, 1, 252)


@pytest.mark.parametrize("mode", ["anyres", "square"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (37, 53), (700, 500), (384, 384), (640, 1024), (1500, 1301)])
def test_fast_crops_are_within_2_of_255_of_the_exact_ones(shape, mode):
    differ = False
    for view in worst(shape, seed=sum(shape)):
        exact, fast = cut(view, 224, mode), cut(view, 224, f"{mode}-fast")
        assert fast.shape == exact.shape and fast.dtype == np.uint8
        assert len(exact) == count(*shape, 224, f"{mode}-fast")
        gap = np.abs(fast.astype(int) - exact)
        assert gap.max() <= 2
        differ |= bool(gap.any())
    assert differ or shape == (1, 1)


@pytest.mark.parametrize("mode", ["base", "anyres", "square"])
def test_how_the_pixels_of_a_view_lie_does_not_count(mode):
    view = noise(1200, 700)
    beside = np.ascontiguousarray(view.transpose(1, 2, 0)).transpose(2, 0, 1)
    beside.flags.writeable = False
    for way in ("", "-fast"):
        crops = cut(beside, 128, mode + way)
        assert_array_equal(crops, cut(view, 128, mode + way))
        assert crops.flags.c_contiguous and crops.flags.writeable
        assert_array_equal(cut(view[:, ::-1], 128, mode + way), cut(view[:, ::-1].copy(), 128, mode + way))


def test_maps_of_fast_crops_are_merged_as_those_of_exact_ones():
    for mode, crops in (("base", 1), ("anyres", 5), ("square", 1)):
        maps = torch.rand(crops, 4, 4, generator=torch.Generator().manual_seed(0))
        assert torch.equal(merge(maps, 100, 90, 64, f"{mode}-fast"), merge(maps, 100, 90, 64, mode))


def test_a_side_that_would_vanish_keeps_a_pixel():
    assert cut(noise(1, 3000), 64, "anyres").shape == (count(1, 3000, 64, "anyres"), 3, 64, 64)


@pytest.mark.parametrize("shape", SIZES + LARGE)
def test_the_first_crop_is_the_base_crop_and_the_count_is_known_before(shape):
    view = noise(*shape)
    base, tiles = cut(view, 128, "base"), cut(view, 128, "anyres")
    assert base.shape == (1, 3, 128, 128) and count(*shape, 128, "base") == 1
    assert_array_equal(base[0], tiles[0])
    assert len(tiles) == count(*shape, 128, "anyres") >= 2


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [(1024, 1024, 10), (1024, 768, 7), (1024, 683, 7), (683, 1024, 7), (512, 512, 5), (700, 700, 5), (1024, 256, 4)],
)
def test_counts_are_the_published_ones(width, height, tiles):
    assert count(height, width, 384, "anyres") == tiles


@pytest.mark.parametrize("size", [56, 224, 384, 518])
def test_the_canvas_is_the_one_transformers_selects(size):
    canvases = [(size * i, size * j) for i in range(1, 7) for j in range(1, 7)]
    for height, width in np.random.default_rng(size).integers(8, 1025, (300, 2)).tolist():
        high, wide = select_best_resolution((height, width), canvases)
        assert count(height, width, size, "anyres") == 1 + high // size * (wide // size), (height, width)


@pytest.mark.parametrize(
    ("view", "mode"),
    [
        (np.zeros((3, 8, 8), np.float32), "base"),
        (np.zeros((8, 8, 3), np.uint8), "base"),
        (np.zeros((3, 0, 8), np.uint8), "base"),
        (np.zeros((3, 8, 8), np.uint8), "tiles"),
        (np.zeros((3, 8, 8), np.uint8), "tiles-fast"),
    ],
)
def test_what_is_no_view_or_no_mode_is_refused(view, mode):
    with pytest.raises(ValueError, match=r"a view must be uint8 \(3, H, W\)|mode must be one of base, anyres"):
        cut(view, 8, mode)


@pytest.mark.parametrize(("height", "width"), [(96, 96), (50, 131), (300, 200)])
def test_a_base_map_is_resized_bilinearly(height, width):
    maps = torch.rand(1, 8, 6, generator=torch.Generator().manual_seed(0))
    theirs = interpolate(maps[None], (height, width), mode="bilinear", align_corners=False)[0, 0]
    assert_close(merge(maps, height, width, 48, "base"), theirs, rtol=0, atol=1e-6)


def test_a_map_of_tiles_is_the_mean_of_base_and_tiles():
    base, tiles = torch.full((1, 4, 4), 0.2), torch.full((4, 4, 4), 0.6)
    assert_close(merge(torch.cat([base, tiles]), 128, 128, 64, "anyres"), torch.full((128, 128), 0.4))


def test_each_tile_lands_on_its_part_of_the_view_and_padding_is_left_out():
    assert count(100, 192, 64, "anyres") == 7  # 2 x 3 tiles; 14 black rows above and below
    maps = torch.zeros(7, 4, 4)
    maps[1:] = torch.arange(1.0, 7)[:, None, None]
    maps[[1, 2, 3], 0] = maps[[4, 5, 6], 3] = 100.0  # cells of 16 pixels, centres in the black rows
    merged = 2 * merge(maps, 100, 192, 64, "anyres")
    assert merged.max() <= 6
    assert_close(merged[25, [32, 96, 160]], torch.tensor([1.0, 2.0, 3.0]))
    assert_close(merged[75, [32, 96, 160]], torch.tensor([4.0, 5.0, 6.0]))


@pytest.mark.parametrize("mode", ["base", "anyres", "square"])
@pytest.mark.parametrize(("size", "cells"), [(384, 27), (224, 14), (64, 8)])
@pytest.mark.parametrize("shape", [(384, 384), (500, 700), (700, 500), (1300, 900), (120, 40), (400, 1600)])
def test_a_ramp_comes_back_as_the_same_ramp(shape, size, cells, mode):
    for axis in (0, 1):
        ramp = np.linspace(0, 255, shape[axis])
        plane = np.broadcast_to(ramp if axis else ramp[:, None], shape)
        view = np.repeat(np.rint(plane).astype(np.uint8)[None], 3, 0)
        merged = merge(cell_means(cut(view, size, mode), cells), *shape, size, mode)
        assert merged.shape == shape and merged.dtype == torch.float32
        edge = (
            2 * max(shape) // cells
        )  # beyond the outermost cell centres it is level, and cells there are partly black
        inner = (slice(edge, -edge), slice(edge, -edge))
        assert_allclose(merged[inner].numpy() * 255, plane[inner], atol=255 * 0.2 / cells)  # a fifth of a patch


WIDE = [(384, 384), (640, 300), (300, 640), (48, 40), (1700, 1200)]
STRIPS = [(1024, 128), (90, 1500)]  # as squares they are less than two patches high or wide
CASES = [(s, m) for m in ("base", "anyres", "square") for s in (WIDE if m == "square" else WIDE + STRIPS)]


@pytest.mark.parametrize(("shape", "mode"), CASES)
@pytest.mark.parametrize(("size", "cells"), [(384, 27), (224, 14)])
def test_a_rectangle_comes_back_within_a_patch(shape, size, cells, mode):
    generator = np.random.default_rng(sum(shape))
    for _ in range(5):
        low = [int(generator.integers(0, side // 2)) for side in shape]
        high = [int(generator.integers(a + side // 4, side)) + 1 for a, side in zip(low, shape, strict=True)]
        view = np.zeros((3, *shape), np.uint8)
        view[:, low[0] : high[0], low[1] : high[1]] = 255
        found = merge(cell_means(cut(view, size, mode), cells), *shape, size, mode) > 0.5
        for axis, side in enumerate(shape):
            hit = found.any(1 - axis).nonzero().ravel()
            patch = (max(shape) if mode == "square" else side) / cells + 1  # view pixels, of the base crop
            assert abs(hit[0] - low[axis]) <= patch and abs(hit[-1] + 1 - high[axis]) <= patch, (low, high)


def test_merging_keeps_the_range_and_does_not_feel_autocast():
    maps = torch.rand(count(500, 700, 384, "anyres"), 27, 27, generator=torch.Generator().manual_seed(0)) ** 8
    merged = merge(maps, 500, 700, 384, "anyres")
    assert maps.min() <= merged.min() and merged.max() <= maps.max()
    assert (merge(torch.ones_like(maps), 500, 700, 384, "anyres") == 1).all()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(merge(maps, 500, 700, 384, "anyres"), merged)


def test_another_number_of_maps_is_refused():
    with pytest.raises(ValueError, match=r"5 crop maps make a view of 500 x 700, got shape \(4, 27, 27\)"):
        merge(torch.zeros(4, 27, 27), 500, 700, 384, "anyres")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_merging_on_a_gpu_gives_the_numbers_of_the_cpu():
    maps = torch.rand(5, 27, 27, generator=torch.Generator().manual_seed(0))
    ours = merge(maps.cuda(), 500, 700, 384, "anyres")
    assert ours.is_cuda
    assert_close(ours.cpu(), merge(maps, 500, 700, 384, "anyres"), rtol=0, atol=1e-6)
