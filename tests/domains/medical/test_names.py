from pathlib import Path

import pytest
from PIL import Image

from domains.medical import Medical
from domains.medical.making.synthetic import synthetic
from framework.types import Record


def test_a_slice_is_called_by_its_file_its_number_and_its_patient_where_the_file_does_not_say():
    scan = Record(Path("/d/p1/FLAIR.nii.gz"), True, "brain", "p1")
    cut = Record(scan.path, True, "brain", "p1", frame=41, along="axial")
    assert Medical.called(scan) == "p1: FLAIR.nii.gz"
    assert Medical.called(cut) == "p1: FLAIR.nii.gz, axial slice 42 from below"
    assert Medical.called(Record(Path("p1_a.nii"), True, "brain", "p1", frame=0)) == "p1_a.nii, slice 1"


def test_made_pictures_are_numbered_their_original_is_called_so_and_they_are_read_as_pictures(tmp_path):
    pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")
    Image.new("L", (64, 64), 90).save(tmp_path / "N3.jpg")
    called = [Medical.called(r) for r in synthetic(tmp_path, "train", each=2)]
    assert [c for c in called if "made" in c] == ["N3.jpg, made 1", "N3.jpg, made 2"]
    assert {c for c in called if "made" not in c} == {"N3.jpg, healthy original"}
    assert Medical().protocol_of(list(synthetic(tmp_path, "train"))) == "pictures as they are"


def test_a_slice_of_a_made_scan_is_both(tmp_path):
    from domains.medical.making.frames import Frame

    frame = Frame(7, 1, 0, True, 0, 0, 0).encode()
    made = Record(Path("a.nii.gz"), True, "brain", "a", frame=frame, nth=7, along="coronal")
    assert Medical.called(made) == "a.nii.gz, made 2, coronal slice 8 from back"
