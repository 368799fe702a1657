import numpy as np
import pytest
from fake_scans import oblique, write
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import Medical, cutter, geometry, intensity, slicing
from domains.medical.scans import Cutting, Look
from framework.errors import UnreadableError, UserError
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

RNG = np.random.default_rng(0)


def head(shape=(20, 24, 16), low=0, high=900, kind=np.int16):
    """A bright ellipsoid with texture in nothing."""
    index = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"), -1)
    inside = ((index / 0.7) ** 2).sum(-1) < 1
    texture = RNG.uniform(0.4, 1, shape)
    return np.where(inside, low + (high - low) * texture, low).astype(kind)


def cutting(**options):
    known = {"axis": "axial", "upright": True, "crop": False, "spacing": None, "channel": None, "reader": "auto"}
    return Cutting(**known | {"nan": "error"} | options)


def read(path, **options):
    return Medical(**options).read(Record(path, False, ""))


@pytest.mark.parametrize("axis", slicing.AXES)
@pytest.mark.parametrize(("kind", "high"), [(np.int16, 900), (np.uint8, 200), (np.float32, 900), (np.float64, 900)])
def test_views_are_what_windowing_all_voxels_gives(tmp_path, axis, kind, high):
    voxels = head(high=high, kind=kind)
    affine = oblique((1, 2, 0), (-1, 1, 1))
    views = read(write(tmp_path / "a.nii.gz", voxels, affine), axis=axis, select="all", window=[50, 800]).views
    oriented = slicing.cut(geometry.to_ras(voxels.astype(np.float32), affine), axis)
    expected = slicing.to_grey(oriented, (50, 800), (0, 1), True)
    if kind in (np.int16, np.uint8):  # whole numbers below 2,048 are exact
        assert_array_equal(views[:, 0], expected)
    assert np.abs(views[:, 0].astype(int) - expected).max() <= 1
    assert_array_equal(views[:, 0], views[:, 2])


@pytest.mark.parametrize("foreground", [True, False])
@pytest.mark.parametrize("percentiles", [(0.5, 99.5), (0, 100), (12.3, 45.6)])
def test_percentiles_of_the_histogram_are_those_of_the_voxels(tmp_path, foreground, percentiles):
    voxels = head()
    scan = cutter.make(geometry.read(write(tmp_path / "a.nii.gz", voxels)), cutting())
    counted = voxels[voxels > 0] if foreground else voxels
    assert_allclose(scan.histogram.ends(percentiles, foreground), np.percentile(counted, percentiles), rtol=1e-12)
    assert scan.histogram.counts.sum() == voxels.size


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1e-7), (0, 5e6), (-3e9, 1e9), (1e5, 1e5 + 40), (-1024, 3071), (-2000, -1990), (7, 7)]
)
def test_eleven_bits_are_kept_of_values_of_any_size(low, high):
    values = np.linspace(low, high, 4001).astype(np.float32)
    scale = intensity.fit(float(values[0]), float(values[-1]))
    codes = scale.encode(values)
    assert codes.dtype == np.uint16
    assert np.isfinite(codes.view(np.float16)).all()
    reach = max(abs(low), abs(high)) if scale.offset == 0 else high - low
    assert np.abs(scale.decode(codes) - values).max() <= reach * 2**-11 + np.abs(values).max() * 2**-23


def test_a_table_does_what_to_grey_does():
    scale = intensity.fit(-1024, 3071)
    hu = np.arange(-1024, 2049, dtype=np.float32)
    codes = scale.encode(hu)
    for window in ((0, 80), (-160, 240), (-1350, 150), (10, 10)):
        expected = slicing.to_grey(scale.decode(codes).astype(np.float32), window, (0, 1), True)
        assert_array_equal(intensity.table(window, scale)[codes], expected)


def test_windows_by_name_and_three_as_colours(tmp_path):
    hu = RNG.integers(-1000, 1500, (5, 6, 4)).astype(np.int16)
    path = write(tmp_path / "ct.nii.gz", hu)
    brain = read(path, window="brain", select="all").views
    assert_array_equal(brain, read(path, window=[0, 80], select="all").views)
    three = read(path, window=["brain", [-160, 240], "lung"], select="all").views
    assert_array_equal(three[:, 0], brain[:, 0])
    assert_array_equal(three[:, 1], read(path, window=[-160, 240], select="all").views[:, 0])
    assert_array_equal(three[:, 2], read(path, window="lung", select="all").views[:, 0])
    assert not np.array_equal(three[:, 0], three[:, 2])


def test_slices_are_selected_by_what_they_show_place_stride_and_count(tmp_path):
    path = write(tmp_path / "a.nii.gz", head(shape=(20, 24, 21)))
    back = lambda **options: read(path, **options).back.looks[0].cells  # noqa: E731
    shown = back()
    assert shown == tuple(range(shown[0], shown[-1] + 1))
    assert 0 < shown[0] < shown[-1] < 20
    assert back(select="all") == tuple(range(21))
    assert back(stride=3) == shown[::3]
    assert back(select="all", between=[0.25, 0.5]) == tuple(range(5, 11))
    assert back(select="all", between=[0.001, 0.002]) == (0,)
    assert back(select="all", stride=2, slices=3) == (0, 10, 20)


def test_three_axes_make_views_of_one_size(tmp_path):
    path = write(tmp_path / "a.nii.gz", head(shape=(7, 9, 12)))
    options = {"select": "all", "window": [0, 900]}
    every = read(path, axis="all", **options)
    assert every.views.shape == (12 + 9 + 7, 3, 12, 9)
    start = 0
    for axis, count, down, across in (("axial", 12, 9, 7), ("coronal", 9, 12, 7), ("sagittal", 7, 12, 9)):
        part = every.views[start : start + count]
        top, left = (12 - down) // 2, (9 - across) // 2
        assert_array_equal(
            part[:, :, top : top + down, left : left + across], read(path, axis=axis, **options).views, err_msg=axis
        )
        assert part.sum() == read(path, axis=axis, **options).views.sum()  # black around it
        assert [c.split()[0] for c in every.captions[start : start + count]] == [axis] * count
        start += count
    assert len(set(every.captions)) == 28


@pytest.mark.parametrize("options", [{"axis": "all"}, {"stride": 2}, {"slices": 4}, {"select": "all"}, {"slices": 1}])
def test_neighbours_are_those_in_the_file_whatever_is_selected(tmp_path, options):
    voxels = RNG.integers(100, 900, (6, 7, 9)).astype(np.int16)
    path = write(tmp_path / "a.nii.gz", voxels)
    plain, joined = (read(path, window=[0, 1000], neighbours=n, **options) for n in (False, True))
    view = 0
    for look in joined.back.looks:
        whole = read(path, window=[0, 1000], axis=look.axis, select="all")
        for cell in look.cells:
            around = [max(cell - 1, 0), cell, min(cell + 1, len(whole.views) - 1)]
            found, room = joined.views[view], joined.back.show(np.ones(voxels.size, np.bool_), view)
            assert_array_equal(found[:, room], whole.views[around, 0].reshape(3, -1))
            assert_array_equal(found[1], plain.views[view, 0])
            view += 1


def test_cropping_is_that_of_monai_and_loses_no_foreground(tmp_path):
    import torch
    from monai.transforms import CropForeground

    voxels = np.zeros((40, 36, 30), np.int16)
    voxels[15:22, 10:20, 12:16] = RNG.integers(300, 900, (7, 10, 4))
    path = write(tmp_path / "a.nii.gz", voxels)
    sample = read(path, crop="foreground", select="all")
    crop = CropForeground(margin=4, allow_smaller=True)
    start, stop = crop.compute_bounding_box(torch.from_numpy(voxels)[None])
    assert sample.back.space.start == tuple(start)
    assert_array_equal(np.add(sample.back.space.start, sample.back.space.size), stop)
    assert sample.views.shape == (12, 3, 18, 15)
    assert sample.back.space.volume(voxels).sum() == voxels.sum()
    assert sample.elements == voxels.size


@pytest.mark.parametrize("crop", ["none", "foreground"])
def test_a_constant_scan_is_told_and_read(tmp_path, crop):
    sample = read(write(tmp_path / "a.nii.gz", np.full((4, 5, 6), 3.5, np.float32)), crop=crop)
    assert sample.warnings == (f"{tmp_path / 'a.nii.gz'}: one value everywhere, so nothing can stand out.",)
    assert len(sample.views) == 6


def test_nan_voxels_are_counted(tmp_path):
    voxels = head(kind=np.float32)
    voxels[3, 4, 5:8] = np.nan, np.inf, -np.inf
    path = write(tmp_path / "a.nii.gz", voxels)
    with pytest.raises(UnreadableError, match=r"a.nii.gz: 3 of 7680 values are NaN or infinite; set nan: zero"):
        read(path)
    sample = read(path, nan="zero")
    assert sample.counts == {"nan": 3}
    assert_array_equal(
        sample.views, read(write(tmp_path / "b.nii.gz", np.nan_to_num(voxels, posinf=0, neginf=0))).views
    )
    empty = read(write(tmp_path / "c.nii.gz", np.full((4, 5, 6), np.nan, np.float32)), nan="zero")
    assert empty.counts == {"nan": 120}
    assert not empty.views.any()


def test_one_channel_of_several_is_read_and_saved_as_a_volume(tmp_path):
    voxels = RNG.integers(100, 900, (5, 6, 7, 3)).astype(np.int16)
    path = write(tmp_path / "four.nii.gz", voxels)
    with pytest.raises(UnreadableError, match=r"four.nii.gz: 4 dimensions \(5, 6, 7, 3\); .* \(reader: channel=0\)"):
        read(path)
    with pytest.raises(UnreadableError, match=r"no channel 3; the file has 3, counted from 0"):
        read(path, channel=3)
    alone = read(write(tmp_path / "one.nii.gz", np.ascontiguousarray(voxels[..., 2])))
    reader = Medical(channel=2)
    sample = reader.read(Record(path, False, ""))
    assert_array_equal(sample.views, alone.views)
    saved = nib.load(reader.save(sample, np.ones(sample.elements, np.float32), tmp_path / "map")["map"])
    assert saved.shape == (5, 6, 7)
    assert "channel 2" in reader.protocol


def test_a_look_makes_its_table_once(tmp_path):
    scan = cutter.make(geometry.read(write(tmp_path / "a.nii.gz", head())), cutting())
    look = Look((), (0.5, 99.5), True)
    assert scan.table(look) is scan.table(Look((), (0.5, 99.5), True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride: 0 is below 1"),
        ({"select": "some"}, "no select called 'some'. Known: all, shown"),
        ({"between": [0.5, 0.5]}, "between: .* shares of the depth"),
        ({"window": "brian"}, "no window called 'brian'. Did you mean 'brain'"),
        ({"window": [1, 2, 3]}, "window: 1 is not"),
        ({"window": ["brain", "lung"]}, "or three of these"),
        ({"window": ["brain", "lung", "bone"], "neighbours": True}, "both say what red, green and blue are"),
        ({"orientation": "RAS"}, "no orientation called 'RAS'"),
        ({"crop": "all"}, "no crop called 'all'"),
        ({"spacing": 0}, "spacing: 0 is not one or three lengths above 0"),
        ({"spacing": [1, 1]}, "spacing: .* is not one or three lengths"),
        ({"channel": -1}, "channel: -1 is below 0"),
        ({"reader": "simpleitk"}, "no reader called 'simpleitk'"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(options, message):
    with pytest.raises(UserError, match=message):
        Medical(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "axial slices, shown ones, percentiles 0.5-99.5 of the foreground"),
        (
            {"axis": "all", "select": "all", "window": "brain", "spacing": 1},
            "slices of three axes, scores fused by their mean, all, window brain, resampled to 1 x 1 x 1 mm",
        ),
        (
            {"window": ["brain", [0, 99], "bone"], "slices": 9, "crop": "foreground", "orientation": "stored"},
            "axial slices, shown ones, at most 9, windows brain, [0, 99], bone as colours, axes as stored, "
            "cropped to the foreground",
        ),
        (
            {
                "neighbours": True,
                "stride": 2,
                "between": [0.1, 0.9],
                "window": [-160, 240],
                "nan": "zero",
                "reader": "itk",
            },
            "axial slices, shown ones, between 0.1 and 0.9 of the depth, stride 2, neighbours as colours, "
            "window [-160, 240], NaN as 0, read by MONAI's itk",
        ),
    ],
)
def test_the_protocol_says_how_views_are_made(options, words):
    assert Medical(**options).protocol == words


def test_a_slice_of_three_axes_has_no_meaning(tmp_path):
    with pytest.raises(UserError, match=r"a.nii.gz#2: axis: all cuts whole scans"):
        Medical(axis="all").read(Record(write(tmp_path / "a.nii.gz", head()), False, "", frame=2))


def test_a_spacing_that_makes_too_many_cells_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"a.nii.gz: spacing: .* mm makes 1901 x 2301 x 3001 cells; take wider ones"):
        read(write(tmp_path / "a.nii.gz", head()), spacing=0.01)


def test_a_slice_of_its_own_is_cropped_in_its_plane_alone(tmp_path):
    path = write(tmp_path / "a.nii.gz", head(shape=(40, 44, 30)))
    sample = Medical(crop="foreground", window=[0, 900]).read(Record(path, False, "", frame=1))
    whole = Medical(window=[0, 900]).read(Record(path, False, "", frame=15))
    cropped = Medical(crop="foreground", window=[0, 900]).read(Record(path, False, "", frame=15))
    assert sample.views.shape == cropped.views.shape
    assert cropped.views.shape[2] < whole.views.shape[2]
    assert cropped.elements == whole.elements == 40 * 44
    grey = (whole.views[0, 0] / np.float32(255)).astype(np.float32)
    back = cropped.back([(cropped.views[0, 0] / np.float32(255)).astype(np.float32)])
    assert_array_equal(back.reshape(44, 40), grey)  # what lies around is black


@pytest.mark.parametrize("options", [{"crop": "foreground"}, {"reader": "nibabel"}, {"spacing": 2.0, "axis": "all"}])
def test_nothing_is_said_on_the_side(tmp_path, options, recwarn, capfd, caplog):
    read(write(tmp_path / "a.nii.gz", head()), **options)
    assert not recwarn.list
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
