import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from domains.medical import Medical, pictures
from framework import colours
from framework.errors import TruthError, UnreadableError
from framework.registry import domain_of
from framework.types import Record

RAMP = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)


def read(path, **options):
    return Medical(**options).read(Record(path, False, "brain"))


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "LA", "1"])
def test_every_8_bit_mode_becomes_one_rgb_view(tmp_path, mode):
    picture = Image.fromarray(RAMP).convert(mode)
    picture.save(tmp_path / "a.png")
    sample = read(tmp_path / "a.png")
    assert sample.views.shape == (1, 3, 10, 12)
    assert sample.elements == 120
    assert_array_equal(sample.views[0].transpose(1, 2, 0), np.asarray(picture.convert("RGB")))


def test_what_is_transparent_becomes_black(tmp_path):
    rgba = np.full((4, 4, 4), 200, np.uint8)
    rgba[..., 3] = 255
    rgba[0, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    view = read(tmp_path / "a.png").views[0]
    assert not view[:, 0].any()
    assert (view[:, 1:] == 200).all()


def test_a_16_bit_picture_keeps_its_contrast(tmp_path):
    wide = np.linspace(1000, 3000, 120).astype(np.uint16).reshape(10, 12)
    Image.fromarray(wide).save(tmp_path / "a.png")
    view = read(tmp_path / "a.png", percentiles=[0, 100]).views[0, 0]
    assert view.min() == 0
    assert view.max() == 255
    assert (np.diff(view.ravel().astype(int)) >= 0).all()
    half = read(tmp_path / "a.png", window=[1000, 5000]).views[0, 0]
    assert half.max() == 127 or half.max() == 128


def test_a_mask_of_another_size_is_refused(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP[:5]).save(tmp_path / "m.png")
    with pytest.raises(TruthError, match=r"m.png: 12 x 5 pixels, its picture 12 x 10"):
        Medical().read(Record(tmp_path / "a.png", True, "brain", truth_path=tmp_path / "m.png"))


def test_a_mask_is_true_where_it_is_not_black(tmp_path):
    mask = (RAMP > 100).astype(np.uint8)
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    sample = Medical().read(Record(tmp_path / "a.png", True, "brain", truth_path=tmp_path / "m.png"))
    assert_array_equal(sample.truth, mask.ravel() > 0)


@pytest.mark.parametrize(("kind", "message"), [("truncated", "truncated or corrupt"), ("junk", "not a readable")])
def test_a_damaged_picture_gives_one_line_with_its_path(tmp_path, kind, message):
    path = tmp_path / f"{kind}.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if kind == "truncated" else b"junk")
    with pytest.raises(UnreadableError, match=f"{kind}.png: {message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_an_overlay_has_the_colours_of_all_overlays(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    sample = read(tmp_path / "a.png")
    scores = np.zeros(120, np.float32)
    scores[17] = 1  # row 1, column 5
    path = Medical().save(sample, scores, tmp_path / "out" / "a.b")["map"]
    assert path == tmp_path / "out" / "a.b.png"
    overlay = pictures.load(path)
    assert_array_equal(overlay, colours.overlay(RAMP[..., None].repeat(3, -1), scores.reshape(10, 12)))
    assert overlay.sum(-1).argmax() == 17


def test_beside_an_overlay_lie_the_scores_as_16_bit_grey(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    sample = read(tmp_path / "a.png")
    scores = np.linspace(0, 1, 120, dtype=np.float32)
    Medical().save(sample, scores, tmp_path / "out" / "a.b")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.b.png", "a.b_scores.png"]
    stored = np.asarray(Image.open(tmp_path / "out" / "a.b_scores.png"))
    assert stored.dtype == np.uint16 and stored.shape == (10, 12)
    assert_array_equal(stored.ravel(), np.rint(scores.astype(np.float64) * 65535))


def test_the_domain_says_that_it_reads_pictures(tmp_path):
    assert set(pictures.SUFFIXES) | {".nii", ".nii.gz", ".dcm", ".dicom", ".ima"} == set(Medical.suffixes)
    assert domain_of(tmp_path / "a.PNG", ["medical"]) == "medical"


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch, recwarn):
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableError, match=r"a\.png: more than 2,000 pixels\. Cut the picture into smaller ones\."):
        read(tmp_path / "a.png")


def test_of_a_palette_the_number_counts_and_not_the_colour(tmp_path):
    marked = np.random.default_rng(0).random((6, 8)) > 0.5
    picture = Image.frombytes("P", (8, 6), marked.astype(np.uint8).tobytes())
    picture.putpalette([255, 255, 255, 0, 0, 0] + [0] * 762)
    picture.save(tmp_path / "mask.png")
    assert_array_equal(pictures.load_mask(tmp_path / "mask.png", 6, 8), marked)
