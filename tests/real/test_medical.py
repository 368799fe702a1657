"""Real scans and pictures under $ANOMALY_OV_DATA: BrainMRI, MS lesions in FLAIR."""

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from domains.medical import Medical
from domains.medical.datasets import open_ms, yes_no

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")
LESION_VOXELS = {"patient19": 49_769, "patient26": 8_227}


@pytest.fixture
def patients(data):
    scans = list(open_ms(data("medical/ms_lesion_open_ms_data"), slices=False))
    assert scans
    return scans


def test_every_brain_mri_picture_is_read_whatever_its_mode(data):
    records = list(yes_no(data("medical/brain_mri")))
    assert Counter(r.anomalous for r in records) == {True: 155, False: 98}
    modes = Counter()
    for record in records:
        with Image.open(record.path) as picture:
            size = picture.size
            modes[picture.mode] += 1
        sample = Medical().read(record)
        assert sample.views.shape == (1, 3, size[1], size[0])
        assert sample.truth is None
        assert sample.views.std() > 10
    assert modes == {"RGB": 217, "L": 30, "RGBA": 5, "P": 1}


def test_the_lesions_of_a_patient_are_all_in_the_views(patients):
    for record in patients:
        sample = Medical().read(record)
        assert sample.truth.sum() == LESION_VOXELS[record.group]


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal", "all"])
def test_truth_saved_as_scores_is_the_mask_file_voxel_for_voxel(patients, tmp_path, axis):
    for record in patients:
        reader = Medical(axis=axis)
        sample = reader.read(record)
        marked = sample.truth.astype(np.float32)
        scores = sample.back(sample.back.show(marked, view) for view in range(len(sample.views)))
        saved = nib.load(reader.save(sample, scores, tmp_path / record.group)["map"])
        gold = nib.load(record.truth_path)
        assert_array_equal(np.asarray(saved.dataobj), np.asarray(gold.dataobj))
        assert_array_equal(saved.affine, gold.affine)
        assert saved.get_data_dtype() == np.float32
        assert int(saved.header["qform_code"]) == int(gold.header["qform_code"])


def test_lesions_are_brighter_than_the_brain_around_them(patients):
    for record in patients:
        sample = Medical().read(record)
        grey = sample.views[:, 0]
        shown = np.stack([sample.back.show(sample.truth, view) for view in range(len(grey))])
        assert grey[shown].mean() > grey[grey > 26].mean() + 15


def test_slices_are_labelled_and_grouped_by_patient(data):
    records = list(open_ms(data("medical/ms_lesion_open_ms_data"), stride=10))
    assert {r.group for r in records} <= set(LESION_VOXELS)
    assert {r.anomalous for r in records} == {True, False}
    for record in records:
        assert Medical().read(record).truth.any() == record.anomalous
