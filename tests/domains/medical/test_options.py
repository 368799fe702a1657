"""What options of a dataset and of the reader must say alike."""

import fake_medical as fake
import pytest

from framework.config import DataConfig
from framework.data.index import open_index
from framework.data.inspection import inspect
from framework.errors import UserError

pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")


def opened(root, dataset="folder", reader=None, **options):
    return open_index("mine", DataConfig("medical", dataset, str(root), options=options, reader=reader or {}))


@pytest.fixture
def root(tmp_path):
    fake.volume(tmp_path / "a.nii.gz")
    fake.volume(tmp_path / "masks/a.nii.gz", {2: 1})
    return tmp_path


@pytest.mark.parametrize(
    ("axis", "reader", "message"),
    [
        ("coronal", {}, "options: axis=coronal counts slices along one axis, but reader: axis=axial cuts them along"),
        ("axial", {"axis": "sagittal"}, "options: axis=axial counts .* reader: axis=sagittal .* say the same in both"),
        ("axial", {"axis": "all"}, "options: one sample a slice along axis=axial, but reader: axis=all cuts whole"),
        ("axial", {"orientation": "stored"}, "axis=axial counts .* but reader: orientation=stored cuts"),
    ],
)
def test_slices_counted_another_way_than_the_reader_cuts_them_are_refused(root, axis, reader, message):
    with pytest.raises(UserError, match=f"^mine: .*{message}") as caught:
        opened(root, reader=reader, slices=True, axis=axis)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=message):
        inspect("medical/folder", root, options={"slices": True, "axis": axis}, reader=reader)
    assert opened(root, reader=reader).records  # whole scans may be cut anyhow


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_slices_counted_as_the_reader_cuts_them_are_taken(root, axis):
    assert {r.along for r in opened(root, reader={"axis": axis}, slices=True, axis=axis).records} == {axis}


def test_channels_must_be_the_same_where_files_hold_several(root):
    several = {"channel": 1}
    assert opened(root, **several).records  # every file holds one volume
    fake.volume(root / "a.nii.gz", channels=2)
    assert opened(root, reader=several, **several).records
    for reader, options in ((several, {}), ({}, several), ({"channel": 0}, several)):
        with pytest.raises(UserError, match=r"channel=\w+, but reader: channel=\w+, and .*a.nii.gz holds several"):
            opened(root, reader=reader, **options)
