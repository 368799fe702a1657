from dataclasses import replace

import numpy as np
import pytest
from fake_scans import oblique, write
from numpy.testing import assert_array_equal

from domains.medical import Medical, cutter, geometry, intensity, slicing
from domains.medical.intensity import Half, Whole
from domains.medical.scans import Cutting
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")

RNG = np.random.default_rng(0)
SHAPE = (12, 13, 9)
INSIDE = RNG.random(SHAPE) > 0.5
CUTTING = Cutting("axial", True, False, None, None, "auto", "error")


def body(middle, spread, around=0.0):
    """Noise around a value inside, one value outside."""
    return np.where(INSIDE, RNG.normal(middle, spread, SHAPE), around)


def read(path, **options):
    return Medical(**{"select": "all"} | options).read(Record(path, False, ""))


def scaled(path, stored, slope, offset):
    """A file of integers whose header says how they become values."""
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(slope, offset)
    nib.save(image, path)
    assert nib.load(path).dataobj.slope == np.float32(slope)
    return path


def grey(values, low, high):
    """By the definition, in float64."""
    return slicing.cut(np.clip(np.rint((values - low) * (255 / (high - low))), 0, 255), "axial")


@pytest.mark.parametrize(
    ("stored", "window"),
    [
        (body(20000, 50).round().astype(np.int16), (19900.25, 20100.25)),
        (body(-30000, 50, -32768).round().astype(np.int16), (-30100.25, -29900.25)),
        (body(40250, 150).round().astype(np.uint16), (40000.25, 40500.25)),
        (RNG.integers(0, 65536, SHAPE).astype(np.uint16), (0.25, 65535.5)),
        (RNG.integers(-128, 128, SHAPE).astype(np.int8), (-100.25, 99.5)),
        (body(10**9, 50, 10**9 - 60000).round().astype(np.int32), (10**9 - 100.25, 10**9 + 100.25)),
        (body(3 * 10**9, 50, 3 * 10**9).round().astype(np.int64), (3e9 - 100.25, 3e9 + 100.25)),
        (body(20000, 50).round().astype(np.float32), (19900.25, 20100.25)),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_whole_numbers_are_shown_to_the_grey(tmp_path, stored, window):
    path = write(tmp_path / "a.nii", stored) if stored.itemsize < 8 else tmp_path / "a.nii"
    if stored.itemsize == 8:
        nib.save(nib.Nifti1Image(stored, np.eye(4), dtype=np.int64), path)
    for options in ({}, {"crop": "foreground"}):
        sample = read(path, window=list(window), **options)
        back = sample.back.space
        box = tuple(slice(a, a + n) for a, n in zip(back.start, back.size, strict=True))
        assert_array_equal(sample.views[:, 0], grey(stored.astype(np.float64)[box], *window))
    scan = cutter.make(geometry.read(path), CUTTING)
    assert isinstance(scan.scale, Whole)
    assert_array_equal(scan.histogram.values, np.unique(stored))


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -1024.0), (-2.0, 7.0), (1e-3, 1e3)])
def test_slope_and_offset_of_the_file_count(tmp_path, slope, offset):
    stored = RNG.integers(-32768, 32768, SHAPE).astype(np.int16)
    path = scaled(tmp_path / "a.nii", stored, slope, offset)
    values = stored * float(np.float32(slope)) + offset
    low, high = np.percentile(values, (40, 41)).tolist()
    found = read(path, window=[low, high]).views[:, 0].astype(int)
    away = np.abs(found - grey(values, low, high))
    assert away.max() <= 1 and (away > 0).mean() < 1e-3  # float32 may round the other way


def test_numbers_that_span_more_or_are_not_whole_are_halves(tmp_path):
    for stored in (body(0, 1).astype(np.float32), RNG.integers(0, 65537, SHAPE).astype(np.int32) * 2):
        assert isinstance(cutter.make(geometry.read(write(tmp_path / "a.nii", stored)), CUTTING).scale, Half)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64, np.float32])
def test_whole_codes_say_what_was_stored(kind):
    first = -100 if np.dtype(kind).kind != "u" else 100
    stored = np.array([first, first + 1, first + 101, first + 27, 120]).astype(kind)
    codes = Whole(int(first)).encode(stored)
    assert codes.dtype == np.uint16
    assert_array_equal(Whole(int(first)).decode(codes), stored)


@pytest.mark.parametrize("middle", [20000, -20000])
def test_precision_lies_where_the_values_are_not_at_0(tmp_path, middle):
    values = body(middle, 50).astype(np.float32)
    inside = values[INSIDE] if middle > 0 else values
    low, high = np.percentile(inside, (0.5, 99.5)).tolist()
    found = read(write(tmp_path / "a.nii", values)).views[:, 0].astype(int)
    assert np.abs(found - grey(values, low, high)).max() <= 1


def test_resampled_values_far_from_0_are_as_fine_as_those_near_it(tmp_path):
    stored, affine = RNG.normal(20000, 50, SHAPE).round().astype(np.int16), oblique((0, 1, 2), (1, 1, 1))
    stored[:4] = 0
    far = read(write(tmp_path / "far.nii", stored, affine), spacing=1.7, window=[19900, 20100])
    near = read(
        write(tmp_path / "near.nii", (stored - 20000).astype(np.int16), affine), spacing=1.7, window=[-100, 100]
    )
    assert np.abs(far.views.astype(int) - near.views).max() <= 1
    assert len(np.unique(near.views)) > 100


@pytest.mark.parametrize("options", [{}, {"spacing": 1.4}, {"crop": "foreground"}, {"axis": "sagittal"}])
@pytest.mark.parametrize("outlier", [1e30, -1e30, 3e38])
def test_one_value_far_beyond_is_cut_and_told(tmp_path, outlier, options):
    values = body(400, 80).astype(np.float32)
    values[0, 0, 0] = np.sign(outlier) * 1e9  # is told from all others
    plain = read(write(tmp_path / "plain.nii", values), **options)
    values[0, 0, 0] = outlier
    path = write(tmp_path / "a.nii", values)
    found = read(path, **options)
    assert np.abs(found.views.astype(int) - plain.views).max() <= 1
    assert len(np.unique(found.views)) > 100
    assert plain.warnings == ()
    (line,) = found.warnings
    assert line.startswith(f"{path}: 1 of {values.size} values are cut to -")
    again = Medical(select="all", **options).keep(tmp_path / "store", print)
    assert again.read(Record(path, False, "")).warnings == found.warnings


def test_what_fills_the_outside_may_be_the_least_number_there_is(tmp_path):
    values = body(400, 80, np.finfo(np.float32).min).astype(np.float32)
    sample = read(write(tmp_path / "a.nii", values))
    low, high = np.percentile(values[INSIDE], (0.5, 99.5)).tolist()
    assert np.abs(sample.views[:, 0].astype(int) - grey(values.astype(np.float64), low, high)).max() <= 1
    assert f": {(~INSIDE).sum()} of {values.size} values are cut to " in sample.warnings[0]


def test_nan_read_as_0_is_0_however_far_the_others_are(tmp_path):
    values = RNG.normal(1e5, 10, SHAPE).astype(np.float32)
    values[2, 3, 4] = np.nan
    scan = cutter.make(geometry.read(write(tmp_path / "a.nii", values)), replace(CUTTING, nan="zero"))
    assert scan.histogram.values[0] == pytest.approx(0, abs=64)
    assert np.isfinite(scan.codes.view(np.float16)).all()


def test_limits_follow_what_most_values_span():
    scale = intensity.fit(-1.0, 1e30, (0.0, 1000.0))
    low, high = scale.ends
    assert low == -high
    assert 1000 * 2**28 <= high < 1000 * 2**29
    assert intensity.fit(0, 1e9, (0, 0)).ends[1] >= 1e9  # of one value nobody knows what is far


def test_windows_are_those_that_radiology_teaches():
    """Width and level of Radiopaedia, "Windowing (CT)" (subdural: W 130-300, L 50-100); abdomen of OHIF's presets."""
    ends = {name: intensity.window_of(name) for name in intensity.WINDOWS}
    assert ends == {
        "brain": (0, 80),
        "stroke": (20, 60),
        "subdural": (-32.5, 182.5),
        "bone": (-500, 1300),
        "soft": (-150, 250),
        "mediastinum": (-125, 225),
        "lung": (-1350, 150),
        "abdomen": (-160, 240),
        "liver": (-45, 105),
    }
