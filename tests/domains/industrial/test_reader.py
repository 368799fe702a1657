"""Pictures of every kind, good and broken -> samples and messages; scores -> overlays."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from domains.industrial import Industrial
from domains.industrial.images import read_mask, read_rgb
from framework import colours as shared
from framework.errors import TruthError, UnreadableError, UserError
from framework.types import Record


def colours(height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def test_a_colour_picture_is_one_view_with_channels_first(tmp_path: Path) -> None:
    sample = Industrial().read(Record(save(tmp_path / "a.png", colours()), False, "part"))
    assert sample.views.shape == (1, 3, 6, 9) and sample.views.dtype == np.uint8
    assert sample.owner is None and sample.truth is None and sample.elements == 54
    assert_array_equal(sample.views[0], colours().transpose(2, 0, 1))


def test_grey_is_repeated_and_bilevel_is_black_and_white(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    assert_array_equal(read_rgb(save(tmp_path / "g.png", grey)), np.repeat(grey[..., None], 3, 2))
    assert_array_equal(read_rgb(save(tmp_path / "b.png", grey > 99))[..., 0], (grey > 99) * 255)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50, 7, 8, 9])
    image.save(tmp_path / "p.png")
    assert_array_equal(read_rgb(tmp_path / "p.png"), [[[10, 20, 30], [200, 100, 50]], [[7, 8, 9], [200, 100, 50]]])


def test_alpha_is_dropped_and_the_colour_under_it_kept(tmp_path: Path) -> None:
    alpha = np.arange(54, dtype=np.uint8).reshape(6, 9, 1)
    rgba = np.concatenate([colours(), alpha], axis=2)
    assert_array_equal(read_rgb(save(tmp_path / "a.png", rgba)), colours())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_keeps_its_upper_bits(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 255, 256], [4095, 32768, 65535]], np.uint16)
    path = save(tmp_path / f"d{suffix}", deep)
    assert_array_equal(read_rgb(path)[..., 0], [[0, 0, 1], [15, 128, 255]])


def test_twelve_bits_in_a_sixteen_bit_file_use_the_whole_range_when_told(tmp_path: Path) -> None:
    path = save(tmp_path / "d.png", np.array([[0, 16, 4095]], np.uint16))
    assert_array_equal(Industrial(bits=12).read(Record(path, False, "x")).views[0, 0], [[0, 1, 255]])
    bright = save(tmp_path / "e.png", np.array([[0, 4096]], np.uint16))
    with pytest.raises(UnreadableError, match=r"e\.png: grey values 0 to 4096 do not fit 12 bits"):
        Industrial(bits=12).read(Record(bright, False, "x"))
    with pytest.raises(UserError, match="9 to 16 bits, not 8"):
        Industrial(bits=8)


def test_floating_point_grey_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "f.tif", np.ones((4, 4), np.float32))
    with pytest.raises(UnreadableError, match=r"f\.tif: floating-point grey has no fixed range"):
        read_rgb(path)


def test_stored_orientation_is_kept_because_masks_are_drawn_on_it(tmp_path: Path) -> None:
    image = Image.fromarray(colours())
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees for display
    image.save(tmp_path / "o.png", exif=exif)
    assert_array_equal(read_rgb(tmp_path / "o.png"), colours())


def test_a_truncated_png_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "t.png", np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UnreadableError, match=r"t\.png: no readable picture \(.*truncated") as caught:
        Industrial().read(Record(path, False, "x"))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_no_cut_of_any_format_gives_anything_but_a_picture_or_our_message(tmp_path: Path, suffix: str) -> None:
    whole = save(tmp_path / f"w{suffix}", colours(32, 32)).read_bytes()
    cut = tmp_path / f"c{suffix}"
    refused = 0
    for length in range(0, len(whole) - 1, max(len(whole) // 60, 1)):
        cut.write_bytes(whole[:length])
        try:
            assert read_rgb(cut).shape == (32, 32, 3)
        except UnreadableError as error:
            assert str(cut) in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 20


def test_an_empty_file_and_text_and_a_missing_file_each_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    for name, message in [
        ("empty", r"no readable picture \(empty file\)"),
        ("text", "no readable picture"),
        ("gone", "no such"),
    ]:
        with pytest.raises(UnreadableError, match=message):
            read_rgb(tmp_path / f"{name}.png")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    with pytest.raises(UnreadableError, match=r"bomb\.png: more than [\d,]+ pixels"):
        read_rgb(tmp_path / "bomb.png")


def test_any_mask_pixel_that_is_not_zero_counts(tmp_path: Path) -> None:
    picture = save(tmp_path / "a.png", colours(2, 3))
    mask = save(tmp_path / "m.png", np.array([[0, 1, 255], [128, 0, 2]], np.uint8))
    sample = Industrial().read(Record(picture, True, "x", truth_path=mask))
    assert sample.truth is not None
    assert_array_equal(sample.truth, [False, True, True, True, False, True])


def test_masks_in_other_modes_mean_the_same(tmp_path: Path) -> None:
    wanted = np.zeros((16, 16), bool)
    wanted[4:9, 3:8] = True
    opaque = np.full((16, 16, 4), 255, np.uint8)
    opaque[..., :3] = wanted[..., None] * 200
    assert_array_equal(read_mask(save(tmp_path / "a.png", opaque)), wanted)
    assert_array_equal(read_mask(save(tmp_path / "b.png", wanted)), wanted)
    assert_array_equal(read_mask(save(tmp_path / "d.png", wanted.astype(np.uint16) * 40_000)), wanted)
    grey = read_mask(save(tmp_path / "j.jpg", wanted.astype(np.uint8) * 255, quality=60))
    assert_array_equal(grey, wanted)


def test_a_normal_picture_of_a_masked_set_is_its_own_truth(tmp_path: Path) -> None:
    picture = save(tmp_path / "a.png", colours())
    sample = Industrial().read(Record(picture, False, "x", truth_path=picture))
    assert sample.truth is not None and sample.truth.shape == (54,) and not sample.truth.any()


def test_a_mask_of_another_size_names_both_files_and_sizes(tmp_path: Path) -> None:
    picture = save(tmp_path / "a.png", colours(6, 9))
    mask = save(tmp_path / "m.png", np.zeros((9, 6), np.uint8))
    with pytest.raises(TruthError, match=r"m\.png: the mask is 6 x 9 pixels, its picture .*a\.png 9 x 6"):
        Industrial().read(Record(picture, True, "x", truth_path=mask))


def test_a_missing_mask_is_a_truth_error_and_a_broken_one_unreadable(tmp_path: Path) -> None:
    picture = save(tmp_path / "a.png", colours())
    with pytest.raises(TruthError, match=r"gone\.png: the mask is missing"):
        Industrial().read(Record(picture, True, "x", truth_path=tmp_path / "gone.png"))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableError, match=r"broken\.png: no readable picture"):
        Industrial().read(Record(picture, True, "x", truth_path=tmp_path / "broken.png"))


def test_an_overlay_has_the_colours_of_all_overlays(tmp_path: Path) -> None:
    sample = Industrial().read(Record(save(tmp_path / "a.png", colours()), False, "x"))
    scores = np.zeros(54, np.float32)
    scores[[10, 53]] = [0.5, 1]
    saved = Industrial().save(sample, scores, tmp_path / "out" / "cell.v2")
    path = tmp_path / "out" / "cell.v2.png"
    assert saved == {"map": path, "scores": tmp_path / "out" / "cell.v2_scores.png"}
    overlay = read_rgb(path).reshape(54, 3).astype(float)
    picture = colours().reshape(54, 3).astype(float)
    assert_array_equal(read_rgb(path), shared.overlay(colours(), scores.reshape(6, 9)))
    assert_allclose(overlay[53], 0.2 * picture[53].mean() + 0.8 * np.array([252, 255, 164]), atol=1.01)
    assert_allclose(overlay[0], 0.75 * picture[0].mean() + 0.25 * np.array([0, 0, 4]), atol=1.01)


def test_the_raw_map_beside_the_overlay_gives_the_scores_back(tmp_path: Path) -> None:
    sample = Industrial().read(Record(save(tmp_path / "a.png", colours()), False, "x"))
    scores = np.random.default_rng(2).random(54, dtype=np.float32)
    Industrial().save(sample, scores, tmp_path / "a_scores")
    raw = np.asarray(Image.open(tmp_path / "a_scores_scores.png"))
    assert raw.shape == (6, 9) and raw.max() > 255
    assert_allclose(raw.ravel() / 65535, scores, atol=0.5001 / 65535)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a_scores.png", "a_scores_scores.png"]


@pytest.mark.parametrize("scores", [np.zeros(53, np.float32), np.full(54, 1.5, np.float32), np.full(54, np.nan)])
def test_scores_that_do_not_fit_are_a_broken_promise(tmp_path: Path, scores: np.ndarray) -> None:
    sample = Industrial().read(Record(save(tmp_path / "a.png", colours()), False, "x"))
    with pytest.raises(ValueError, match=r"scores must be (\(54,\)|\(6, 9\) in \[0, 1\]), got"):
        Industrial().save(sample, scores, tmp_path / "s")


def test_a_drawing_program_under_another_name_is_not_run(tmp_path, monkeypatch):
    """Pillow tells files by their content, and hands PostScript to Ghostscript."""
    run = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *given, **options: run.append(given))
    path = tmp_path / "x.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(UnreadableError, match=r"x\.png"):
        Industrial().read(Record(path, anomalous=False, category="part"))
    assert not run
