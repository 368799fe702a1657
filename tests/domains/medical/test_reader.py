import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from domains.medical import Medical, cutter, geometry, slicing, volumes
from framework.errors import TruthError, UnreadableError, UserError
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

AFFINES = [
    np.diag([-1.5, -1.5, 3.0, 1.0]),  # LPS
    np.array([[0.1, 0, 2.9, -40], [1.2, 0.1, 0.2, 7], [0.0, -1.4, 0.3, 9], [0, 0, 0, 1]]),  # oblique ASR
]


@pytest.fixture(params=AFFINES, ids=["flipped", "oblique"])
def record(request, tmp_path):
    """A scan of noise with a mask of some voxels."""
    rng = np.random.default_rng(0)
    scan, mask = tmp_path / "p1_1.nii.gz", tmp_path / "p1_1_mask.nii.gz"
    nib.save(nib.Nifti1Image(rng.integers(100, 900, (7, 9, 8), np.int16), request.param), scan)
    nib.save(nib.Nifti1Image((rng.random((7, 9, 8)) > 0.9).astype(np.uint8), request.param), mask)
    return Record(scan, True, "brain", group="p1", truth_path=mask)


def voxels(path):
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("axis", [*slicing.AXES, "all"])
@pytest.mark.parametrize("orientation", ["anatomical", "stored"])
def test_truth_that_is_shown_and_brought_back_is_the_mask_file_voxel_for_voxel(record, tmp_path, axis, orientation):
    reader = Medical(axis=axis, orientation=orientation)
    sample = reader.read(record)
    assert_array_equal(sample.truth, voxels(record.truth_path).ravel() > 0)
    maps = [sample.back.show(sample.truth.astype(np.float32), view) for view in range(len(sample.views))]
    scores = sample.back(iter(maps))
    saved = reader.save(sample, scores, tmp_path / "out" / "p1_1")["map"]
    assert saved == tmp_path / "out" / "p1_1.nii.gz"
    assert_array_equal(voxels(saved), voxels(record.truth_path))
    assert_array_equal(nib.load(saved).affine, nib.load(record.path).affine)
    again = Medical.back(**json.loads(json.dumps(sample.back.plain())))
    assert again == sample.back


def test_one_marked_voxel_of_the_file_is_one_element_and_comes_back(tmp_path):
    for affine in AFFINES:
        for index in [(0, 0, 0), (6, 2, 5), (3, 8, 7)]:
            mask = np.zeros((7, 9, 8), np.uint8)
            mask[index] = 1
            nib.save(nib.Nifti1Image(np.where(mask, 900, 500).astype(np.int16), affine), tmp_path / "s.nii.gz")
            nib.save(nib.Nifti1Image(mask, affine), tmp_path / "m.nii.gz")
            reader = Medical(window=[0, 1000])
            sample = reader.read(Record(tmp_path / "s.nii.gz", True, "", truth_path=tmp_path / "m.nii.gz"))
            assert sample.truth.sum() == 1
            bright = sample.views[:, 0] == round(0.9 * 255)  # the one pixel that shows this voxel
            assert_array_equal(np.argwhere(sample.back(bright.astype(np.float32)).reshape(7, 9, 8)), [index])
            saved = voxels(reader.save(sample, sample.truth.astype(np.float32), tmp_path / "o")["map"])
            assert_array_equal(np.argwhere(saved), [index])


def test_a_frame_is_that_slice_alone(record, tmp_path):
    whole = Medical().read(record)
    height, width = whole.views.shape[2:]
    frame = Record(record.path, True, "brain", truth_path=record.truth_path, frame=3)
    sample = Medical().read(frame)
    assert sample.back is None
    assert sample.elements == height * width
    assert_array_equal(sample.views, whole.views[3:4])
    assert_array_equal(sample.truth.reshape(height, width), whole.back.show(whole.truth, 3))
    assert sample.captions == ()  # where a slice lies must not tell a language model its label
    saved = Medical().save(sample, np.ones(height * width, np.float32), tmp_path / "o")["map"]
    scored = slicing.cut(geometry.to_ras(voxels(saved), nib.load(saved).affine), "axial")
    assert_array_equal(scored.mean((1, 2)), np.arange(len(scored)) == 3)


def test_a_frame_that_is_not_there_is_refused(record):
    with pytest.raises(UnreadableError, match=r"p1_1.nii.gz#99: no such slice; the scan has \d axial ones"):
        Medical().read(Record(record.path, True, "brain", frame=99))


def test_neighbours_are_the_colours_of_a_view(record):
    plain, coloured = Medical().read(record).views, Medical(neighbours=True).read(record).views
    assert_array_equal(coloured[1:-1, 0], plain[:-2, 0])
    assert_array_equal(coloured[:, 1], plain[:, 1])
    assert_array_equal(coloured[1:-1, 2], plain[2:, 0])
    assert_array_equal(coloured[0, 0], plain[0, 0])  # the first slice stands in for the one before it
    assert_array_equal(plain[:, 0], plain[:, 2])


def test_few_slices_are_spread_over_the_scan_and_truth_goes_with_them(record):
    whole, few = Medical().read(record), Medical(slices=3).read(record)
    chosen = np.linspace(0, len(whole.views) - 1, 3).round().astype(int)
    assert_array_equal(few.views, whole.views[chosen])
    assert_array_equal(few.truth, whole.truth)
    assert few.elements == whole.elements == 7 * 9 * 8


def test_truth_is_all_false_for_a_normal_scan_and_none_for_a_label_alone(record):
    normal = Medical().read(Record(record.path, False, "brain", truth_path=record.path))
    assert not normal.truth.any()
    assert len(normal.truth) == normal.elements
    assert Medical().read(Record(record.path, True, "brain")).truth is None


def test_a_constant_scan_is_read_and_saved(tmp_path):
    nib.save(nib.Nifti1Image(np.full((4, 5, 6), 7, np.int16), np.eye(4)), tmp_path / "c.nii.gz")
    sample = Medical().read(Record(tmp_path / "c.nii.gz", False, "brain"))
    assert sample.views.shape == (6, 3, 5, 4)
    assert not sample.views.any()
    saved = Medical().save(sample, np.full(120, 0.25, np.float32), tmp_path / "o")["map"]
    assert (voxels(saved) == 0.25).all()


def test_a_mask_of_another_scan_is_refused(record, tmp_path):
    other = tmp_path / "other.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((7, 9, 8), np.uint8), np.diag([2.0, 2.0, 2.0, 1.0])), other)
    with pytest.raises(TruthError, match=r"mask .*other.nii.gz: affine .* of .*p1_1.nii.gz; resample the mask"):
        Medical().read(Record(record.path, True, "brain", truth_path=other))
    with pytest.raises(TruthError, match=r"mask .*gone.nii.gz: no such file"):
        Medical().read(Record(record.path, True, "brain", truth_path=tmp_path / "gone.nii.gz"))


def test_slices_of_one_scan_open_its_file_once(record, monkeypatch):
    opened = []
    real = volumes.stored
    monkeypatch.setattr(cutter.volumes, "stored", lambda scan, reader="auto": opened.append(scan.path) or real(scan))
    for frame in (0, 3, 5, 1):
        Medical().read(Record(record.path, True, "brain", truth_path=record.truth_path, frame=frame))
    assert opened == [record.path, record.truth_path]


def test_a_scan_that_changed_on_disk_is_read_again(record):
    before = Medical().read(record).views
    image = nib.load(record.path)
    turned = nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine)
    nib.save(turned, record.path)
    after = Medical().read(record).views
    assert not np.array_equal(before, after)
    assert_array_equal(np.sort(before.ravel()), np.sort(after.ravel()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": "axail"}, "Did you mean 'axial'"),
        ({"slices": -1}, "slices: -1 is below 0"),
        ({"window": [80, 0]}, r"window: \[80, 0\] is not"),
        ({"percentiles": [99.5, 0.5]}, r"percentiles: \[99.5, 0.5\] is not"),
        ({"nan": "drop"}, "no nan called 'drop'. Known: error, zero"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Medical(**options)
