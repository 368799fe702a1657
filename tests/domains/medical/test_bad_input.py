"""Every kind of bad input that libraries are silent on, or fail at, through the reader: a value, or one line."""

import gzip

import numpy as np
import pytest
from fake_dicom import dataset, frames, place, save, series
from numpy.testing import assert_array_equal

from domains.medical import Medical
from framework.errors import TruthError, UnreadableError
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])
VOXELS = np.random.default_rng(0).integers(100, 900, (8, 9, 5)).astype(np.int16)  # I, J, K
LARGE = np.random.default_rng(1).integers(100, 900, (40, 40, 20)).astype(np.int16)
PLANES = VOXELS.transpose(2, 1, 0).copy()  # of DICOM: slices, rows, columns


def nifti(path, voxels=VOXELS, affine=AFFINE, sform=None, qform=None):
    """A NIfTI file; ``sform`` and ``qform`` take the place of the affine."""
    image = nib.Nifti1Image(voxels, affine)
    if sform is not None or qform is not None:
        image.set_qform(qform, int(qform is not None))
        image.set_sform(sform, int(sform is not None))
    nib.save(image, path)
    return path


def read(path, truth=None, **options):
    return Medical(select="all", **options).read(Record(path, True, "scan", truth_path=truth))


def refused(path, match, error=UnreadableError, truth=None, **options):
    """The line that refuses it: one, which begins with the path, whatever the reader did before."""
    for _ in range(2):
        with pytest.raises(error, match=match) as told:
            read(path, truth, **options)
    line = str(told.value)
    assert "\n" not in line and str(truth or path) in line
    return line


def test_a_file_that_is_cut_off(tmp_path):
    whole = nifti(tmp_path / "a.nii.gz", LARGE)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    refused(whole, "a.nii.gz: truncated or corrupt")
    short = nifti(tmp_path / "b.nii", LARGE)
    short.write_bytes(short.read_bytes()[:-100])
    refused(short, "b.nii: truncated or corrupt")


def test_a_check_sum_that_is_wrong(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", LARGE)
    content = bytearray(path.read_bytes())
    content[-6] ^= 255
    path.write_bytes(content)
    refused(path, "a.nii.gz: truncated or corrupt")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.dcm", "a.png"])
def test_junk_nothing_and_no_file(tmp_path, name):
    path = tmp_path / name
    refused(path, "no such file")
    path.touch()
    refused(path, "empty|not a readable picture")
    path.write_bytes(b"this is a letter")
    refused(path, "not a|corrupt")
    path.write_bytes(gzip.compress(b"this is a letter"))
    refused(path, "not a|corrupt")


def test_a_picture_as_a_nifti_file_is_one_slice(tmp_path):
    for shape in ((8, 9), (8, 9, 1), (8, 9, 1, 1)):
        sample = read(nifti(tmp_path / "a.nii.gz", VOXELS[:, :, 0].reshape(shape)))
        assert sample.views.shape == (1, 3, 9, 8) and sample.elements == 72


def test_one_slice_is_looked_at_from_its_front_and_is_its_own_neighbour(tmp_path):
    for shape, size in (((1, 9, 5), (5, 9)), ((8, 1, 5), (5, 8)), ((8, 9, 1), (9, 8))):
        path = nifti(tmp_path / "a.nii.gz", VOXELS[: shape[0], : shape[1], : shape[2]])
        views = read(path, neighbours=True).views
        assert views.shape == (1, 3, *size)
        assert_array_equal(views[0, 0], views[0, 2])
        assert np.ptp(views) > 100
        assert_array_equal(read(path, axis="all").views[:, 1], views[:, 1])


def test_a_slice_as_a_dicom_file(tmp_path):
    for orientation in ((1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)):
        path = save(place(dataset(PLANES[0]), (0, 0, 0), orientation), tmp_path / "a.dcm")
        assert sorted(read(path).views.shape[2:]) == [8, 9]


def test_four_dimensions_need_a_choice(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", np.stack([VOXELS, VOXELS[::-1]], -1))
    refused(path, r"4 dimensions \(8, 9, 5, 2\); .*channel=0")
    other = nifti(tmp_path / "b.nii.gz", VOXELS[::-1].copy())
    assert_array_equal(read(path, channel=1).views, read(other).views)
    refused(path, "no channel 2; the file has 2", channel=2)


def test_five_dimensions_and_colours(tmp_path):
    refused(nifti(tmp_path / "a.nii.gz", np.stack([VOXELS] * 2, -1)[:, :, :, None]), "not a volume of three dimensions")
    colours = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    refused(nifti(tmp_path / "b.nii.gz", colours), "only plain grey values")
    refused(nifti(tmp_path / "c.nii.gz", np.zeros((4, 4, 4), np.complex64)), "only plain grey values")


def test_values_that_are_no_numbers(tmp_path):
    voxels = VOXELS.astype(np.float32)
    voxels[2, 3, 1], voxels[0, 0, 0] = np.nan, np.inf
    path = nifti(tmp_path / "a.nii.gz", voxels)
    refused(path, "2 of 360 values are NaN or infinite; set nan: zero")
    sample = read(path, nan="zero")
    assert sample.counts == {"nan": 2}
    voxels[2, 3, 1] = voxels[0, 0, 0] = 0
    assert_array_equal(sample.views, read(nifti(tmp_path / "b.nii.gz", voxels)).views)


def test_one_value_everywhere_is_scored_and_told(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", np.full((4, 5, 6), 7, np.int16))
    sample = read(path)
    assert not sample.views.any() and sample.warnings == (f"{path}: one value everywhere, so nothing can stand out.",)
    scores = np.full(120, 0.5, np.float32)
    assert nib.load(Medical().save(sample, scores, tmp_path / "map")["map"]).get_fdata().mean() == 0.5


@pytest.mark.parametrize("bad", [np.diag([1.0, 1.0, 0.0, 1.0]), np.full((4, 4), np.nan)])
def test_a_form_that_maps_no_volume(tmp_path, bad):
    path = nifti(tmp_path / "a.nii", sform=AFFINE, qform=AFFINE)
    content = bytearray(path.read_bytes())
    content[280:328] = bad[:3].astype("<f4").tobytes()  # the sform
    path.write_bytes(content)
    (line,) = read(path).warnings
    assert line == f"{path}: its sform maps no volume; the qform is taken."
    content[252:254] = bytes(2)  # no qform
    path.write_bytes(content)
    refused(path, "maps no volume .*repair its sform or qform")


def test_no_form_at_all_is_told(tmp_path):
    sample = read(nifti(tmp_path / "a.nii.gz", affine=None))
    (line,) = sample.warnings
    assert "neither sform nor qform" in line and len(sample.views) == 5


def test_forms_that_differ_and_shear_are_told(tmp_path):
    other = AFFINE.copy()
    other[0, 3] = 5
    (line,) = read(nifti(tmp_path / "a.nii.gz", sform=AFFINE, qform=other)).warnings
    assert "its sform and qform differ by 5; the sform is taken." in line
    other[0, 1], other[0, 3] = 0.3, 0
    (line,) = read(nifti(tmp_path / "b.nii.gz", sform=other)).warnings
    assert "its voxel axes are not at right angles" in line


def test_a_mask_of_another_grid_is_refused(tmp_path):
    scan = nifti(tmp_path / "a.nii.gz")
    truth = nifti(tmp_path / "m.nii.gz", np.ones((8, 9, 4), np.uint8))
    refused(scan, r"mask .*m.nii.gz: shape \(8, 9, 4\), but .* has \(8, 9, 5\); resample", TruthError, truth)
    moved = AFFINE.copy()
    moved[2, 3] = 2  # a slice
    nifti(truth, np.ones((8, 9, 5), np.uint8), moved)
    refused(scan, r"mask .*m.nii.gz: affine .* differs by 2 .*resample the mask onto the scan", TruthError, truth)
    nifti(truth, np.ones((8, 9, 5), np.float32) * np.nan)
    refused(scan, "NaN or infinite voxels; a mask is 0", TruthError, truth)
    nifti(truth, np.ones((8, 9, 5), np.uint8))
    assert read(scan, truth).truth.all()


def test_slices_of_a_series_that_are_missing(tmp_path):
    paths = series(tmp_path, PLANES)
    assert len(read(paths[0]).views) == 5
    paths[3].unlink()  # after the scan was read: it is not what is remembered
    line = refused(paths[0], "1 of 5 slices missing: 1.25 mm apart, but between")
    assert "between 14.dcm and 28.dcm 2.5 mm" in line


def test_two_series_of_a_folder(tmp_path):
    first = series(tmp_path, PLANES)
    second = series(tmp_path, PLANES[:2, ::-1].copy(), series="1.9", name="b{}.dcm")
    assert len(read(first[1]).views) == 5 and len(read(second[1]).views) == 2
    assert read(first[1]).elements == 360


def test_frames_with_places_and_without(tmp_path):
    alone = series(tmp_path / "a", PLANES, (0, 0, 1))
    path = frames(tmp_path / "b/all.dcm", PLANES, [40, 41, 42, 43, 44])
    assert_array_equal(read(path).views, read(alone[0]).views)
    refused(save(dataset(PLANES, "US"), tmp_path / "cine.dcm"), "5 frames without ImagePositionPatient")
    xray = save(dataset(PLANES[0], "DX"), tmp_path / "x.dcm")
    assert read(xray).views.shape == (1, 3, 9, 8)


def test_files_of_a_folder_that_are_no_slices(tmp_path):
    paths = series(tmp_path, PLANES)
    (tmp_path / "notes.txt").write_text("hello")
    (line,) = read(paths[0]).warnings
    assert line == f"{paths[0]}: of its folder were left out: 1 not DICOM."
    (tmp_path / "z.dcm").write_bytes(b"hello")
    refused(paths[0], r"z.dcm: not a DICOM file.* It may be a slice of .*00.dcm: repair it, or remove it")


def test_a_slice_whose_pixels_are_cut_off_is_named(tmp_path):
    paths = series(tmp_path, PLANES)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    with pytest.raises(UnreadableError, match=r"14.dcm: its pixels cannot be read; they are damaged or cut off"):
        read(paths[0])


def test_a_slice_that_changed_is_read_again(tmp_path):
    paths = series(tmp_path, PLANES)
    before = read(paths[0]).views
    made = place(dataset(PLANES[2] * 0 + 900, RescaleSlope=2, RescaleIntercept=-1000), (-20, 30, 42.5))
    save(made, paths[2])
    assert not np.array_equal(read(paths[0]).views[2], before[2])
