"""Exact decoding loses nothing that crops are cut from; a draft stays near it, and says so."""

import numpy as np
import pytest
from fake_language import picture
from numpy.testing import assert_array_equal
from PIL import Image

from framework.data import decoding
from framework.data.crops import capped, cut
from framework.data.decoding import pixels_of, size_of
from framework.data.instruct.conversations import Conversation
from framework.data.instruct.talks import Measured, Talks
from framework.errors import UnreadableError
from framework.reasoning import CHOICES


def soft(height, width):
    """``(3, H, W)`` as sharp as a photograph: no edge narrower than a few pixels of the result."""
    small = Image.fromarray(picture(height // 16, width // 16).transpose(1, 2, 0))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)


def save(path, view, **options):
    Image.fromarray(np.ascontiguousarray(view.transpose(1, 2, 0))).save(path, **options)
    return path


@pytest.mark.parametrize("shape", [(90, 1100), (700, 500), (1024, 1024), (1500, 1301), (2100, 10)])
@pytest.mark.parametrize("mode", ["anyres", "square"])
def test_crops_of_an_exactly_decoded_picture_are_those_of_the_whole_file(shape, mode, tmp_path):
    view = picture(*shape)
    path = save(tmp_path / "a.png", view)
    assert size_of(path) == shape
    assert_array_equal(cut(pixels_of(path), 384, mode), cut(view, 384, mode))


@pytest.mark.parametrize("shape", [(700, 500), (1500, 1301)])
def test_crops_cut_fast_from_an_exactly_decoded_picture_are_those_of_the_whole_file(shape, tmp_path):
    view = picture(*shape)
    path = save(tmp_path / "a.png", view)
    assert_array_equal(cut(pixels_of(path), 384, "anyres-fast"), cut(view, 384, "anyres-fast"))


@pytest.mark.parametrize("kind", ["L", "P", "RGBA", "CMYK"])
@pytest.mark.parametrize("draft", [False, True])
def test_pictures_of_any_kind_are_turned_into_rgb_before_they_are_resized(kind, draft, tmp_path):
    stored = Image.fromarray(soft(300, 2040).transpose(1, 2, 0)).convert(kind)
    path = tmp_path / "a.tif"
    stored.save(path)
    expected = np.asarray(stored.convert("RGB").resize((1024, 150), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.abs(pixels_of(path, draft).astype(int) - expected).max() <= 2 * draft


@pytest.mark.parametrize(("ending", "shape"), [("png", (64, 48)), ("jpg", (1024, 700)), ("png", (1024, 1024))])
def test_a_draft_of_what_is_small_enough_is_exact(ending, shape, tmp_path):
    path = save(tmp_path / f"a.{ending}", noise(*shape))
    assert_array_equal(pixels_of(path, draft=True), pixels_of(path))


@pytest.mark.parametrize("shape", [(3600, 801), (1201, 1025), (7000, 901)])
def test_a_draft_is_within_2_of_255_where_no_jpeg_is_reduced(shape, tmp_path):
    for ending in ("png", "jpg") if max(shape) < 3800 else ("png",):
        path = save(tmp_path / f"a.{ending}", noise(*shape))
        exact, draft = pixels_of(path), pixels_of(path, draft=True)
        assert draft.shape == exact.shape == (3, *capped(*shape))
        assert 1 <= np.abs(draft.astype(int) - exact).max() <= 2


@pytest.mark.parametrize("shape", [(4000, 900), (4000, 901), (501, 8501)])
def test_a_draft_of_a_large_jpeg_is_near_where_nothing_is_sharper_than_a_photograph(shape, tmp_path):
    path = save(tmp_path / "a.jpg", soft(*shape))
    exact, draft = pixels_of(path), pixels_of(path, draft=True)
    assert draft.shape == exact.shape == (3, *capped(*shape))
    gap = np.abs(draft.astype(int) - exact)
    assert np.mean(gap > 2) <= 1e-3 and gap.any()


@pytest.mark.parametrize(("width", "reduced"), [(3840, 3840), (4000, 2000), (8300, 4150), (12400, 3100)])
def test_a_draft_reads_a_large_jpeg_reduced(width, reduced, tmp_path, monkeypatch):
    path = save(tmp_path / "a.jpg", soft(600, width))
    decoded = []
    rgb = decoding._rgb
    monkeypatch.setattr(decoding, "_rgb", lambda image: decoded.append(image.size) or rgb(image))
    pixels_of(path, draft=True)
    pixels_of(path)
    assert [wide for wide, _ in decoded] == [reduced, width]


@pytest.mark.parametrize("draft", [False, True])
def test_a_file_cut_short_is_named(draft, tmp_path):
    path = save(tmp_path / "a.jpg", soft(400, 4100))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UnreadableError, match=r"a\.jpg: not a picture that can be read \(image file is truncated"):
        pixels_of(path, draft)


@pytest.mark.parametrize("read", [pixels_of, size_of])
def test_what_is_no_picture_is_named(read, tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(UnreadableError, match=r"a\.png: not a picture that can be read \(cannot identify"):
        read(tmp_path / "a.png")
    with pytest.raises(UnreadableError, match=r"b\.png: not a picture that can be read \(\[Errno 2\] No such file"):
        read(tmp_path / "b.png")


@pytest.mark.parametrize("mode", CHOICES["tune.decode"])
def test_conversations_are_read_as_the_experiment_says(mode, tmp_path):
    class Chat:
        encode = staticmethod(lambda *_: None)
        picture = staticmethod(lambda view, several, fast: (view, fast))

    path = save(tmp_path / "a.jpg", soft(300, 4000))
    talk = Conversation("a", (path,), (("<image>", "No."),), None, "a.json, entry 1")
    found = Talks([Measured(talk, (size_of(path),), 9, 2)], Chat(), "assistant", "stop", mode)[0, 1.0]
    view, fast = found["pictures"][0]
    assert_array_equal(view, pixels_of(path, draft=mode == "draft"))
    assert view.shape == (3, 76, 1024) and fast == (mode != "exact")
    assert (view == pixels_of(path)).all() == (mode != "draft")
