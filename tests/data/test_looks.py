"""A picture that was stored again is known by its looks; another one, however alike, is not."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from framework.data.looks import BITS, CELLS, codes, copies, look, look_of, looks, near, packed, peaks, unpacked
from framework.types import Record


def picture(seed: int, side: int = 120) -> Image.Image:
    """Soft blotches, three channels."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side, 3)), (5, 5, 0))
    return Image.fromarray((128 + 60 * noise / noise.std()).clip(0, 255).astype(np.uint8))


def stored(image: Image.Image, **options: object) -> np.ndarray:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return look_of(buffer)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return copies(a[None], b[None]) == [(0, 0)]


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_stored_again_is_known(seed: int) -> None:
    image = picture(seed)
    known = stored(image, format="PNG")
    brighter = Image.fromarray((np.asarray(image, float) * 1.05).clip(0, 255).astype(np.uint8))
    assert same(known, stored(image, format="JPEG", quality=60))
    assert same(known, stored(image.resize((108, 108)), format="PNG"))
    assert same(known, stored(image.resize((132, 132)), format="BMP"))
    assert same(known, stored(brighter, format="PNG"))
    assert same(known, stored(image.convert("L"), format="TIFF"))
    assert not same(known, stored(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), format="PNG"))
    assert not same(known, stored(picture(seed + 10), format="PNG"))


def test_what_lies_on_the_bench_tells_two_pictures_of_one_bench_apart() -> None:
    bench = picture(0)
    with_screw = bench.copy()
    with_screw.paste((255, 255, 255), (60, 60, 66, 66))
    first, second = stored(bench, format="PNG"), stored(with_screw, format="PNG")
    assert (codes(first[None]) != codes(second[None])).sum() <= BITS  # the code alone would call them one
    assert peaks(first[None], second[None])[0] > 1 and not same(first, second)


def test_codes_and_peaks_are_what_they_say() -> None:
    found = np.random.default_rng(0).integers(1, 255, (4, CELLS), np.uint8)
    assert codes(found).shape == (4, 255) and ((codes(found) == 1).sum(1) == 127).all()
    a = np.arange(CELLS, dtype=np.uint8)[None]
    b = a.copy()
    b[0, 7] += 100
    x, y = (v[0].astype(float) - v[0].mean() for v in (a, b))
    expected = [np.abs(p - (p @ q) / (q @ q) * q).max() / p.std() for p, q in ((x, y), (y, x))]
    assert peaks(a, b)[0] == pytest.approx(max(expected), rel=1e-4)


def test_all_pairs_are_found_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    own = np.stack([stored(picture(i), format="PNG") for i in range(6)])
    others = np.concatenate([own[[4, 0]], np.zeros((1, CELLS), np.uint8), own[[4]]])
    expected = [(0, 1), (4, 0), (4, 3)]
    assert copies(own, others) == expected
    monkeypatch.setattr("framework.data.looks.AT_ONCE", 4)
    monkeypatch.setattr("framework.data.looks.SECOND", 1)
    assert copies(own, others) == expected
    assert copies(own, others[:0]) == copies(others[2:3], own) == []


def test_plain_broken_and_missing_files_and_slices_have_no_look(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (90, 90, 90)).save(tmp_path / "plain.png")
    picture(0).save(tmp_path / "a.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "scan.nii.gz").write_bytes(b"no picture")
    names = ("plain.png", "half.png", "scan.nii.gz", "gone.png", "a.png")
    records = [Record(tmp_path / name, False, "") for name in names] + [Record(tmp_path / "a.png", False, "", frame=3)]
    assert looks(records).any(1).tolist() == [False, False, False, False, True, False]


def test_sixteen_bits_are_spread(tmp_path: Path) -> None:
    grey = np.asarray(picture(0).convert("L"))
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "12.png")
    assert same(look(tmp_path / "8.png"), look(tmp_path / "12.png"))


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture(0).save(path)
    first = look(path)
    picture(1, side=96).save(path)
    assert (look(path) != first).any() and (look(path) == stored(picture(1, side=96), format="PNG")).all()


def test_looks_travel_as_text_and_know_their_pictures(tmp_path: Path) -> None:
    records = []
    for i in range(3):
        picture(i).save(tmp_path / f"{i}.png")
        picture(i).save(tmp_path / f"{i}.jpg", quality=80)
        records.append(Record(tmp_path / f"{i}.jpg", False, ""))
    own = looks([Record(tmp_path / f"{i}.png", False, "") for i in (2, 0, 2)])
    text = packed(own)
    assert text.isascii() and unpacked(text).shape == (2, CELLS) and unpacked(packed(own[:0])).shape == (0, CELLS)
    assert near([text, ""], records) == [True, False, True] and near([""], records) == [False] * 3
