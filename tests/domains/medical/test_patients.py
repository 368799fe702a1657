from pathlib import Path

import pytest

from domains.medical.datasets.slices import patient
from domains.medical.patients import patients

NAMES = [  # a file, whose it is
    ("sub-01_ses-02_T1w.nii.gz", "sub-01"),
    ("sub-01_T1w.nii.gz", "sub-01"),
    ("sub-010_ses-01_acq-mprage_run-1_T1w.nii.gz", "sub-010"),
    ("IXI002-Guys-0828-T1.nii.gz", "IXI002"),
    ("IXI020-Guys-0700-T2.nii.gz", "IXI020"),
    ("BraTS20_Training_001_flair.nii.gz", "BraTS20_Training_001"),
    ("BraTS20_Training_001.nii", "BraTS20_Training_001"),
    ("BraTS2021_00017_t1ce.nii.gz", "BraTS2021_00017"),
    ("Brats18_CBICA_AAB_1_t2.nii.gz", "Brats18_CBICA_AAB_1"),
    ("BraTS-GLI-00000-000-t1c.nii.gz", "BraTS-GLI-00000"),
    ("BraTS-GLI-00000-001-t2w.nii.gz", "BraTS-GLI-00000"),
    ("BraTS-MEN-00000-000-t1c.nii.gz", "BraTS-MEN-00000"),
    ("002_S_0413_I13893.nii", "002_S_0413"),
    ("ADNI_002_S_0413_MR_MPR_Br_20061117.nii", "002_S_0413"),
    ("ADNI_002_S_0559_MR_MPR_Br_20061117.nii", "002_S_0559"),
    ("OAS1_0001_MR1_mpr-1_anon.nii.gz", "OAS1_0001"),
    ("OAS30001_MR_d0129.nii.gz", "OAS30001"),
    ("volume-10.nii", "volume-10"),
    ("volume-1.nii", "volume-1"),
    ("0017.nii.gz", "0017"),
    ("p1_a.nii.gz", "p1"),
    ("case_00012_0000.nii.gz", "case_00012"),
    ("N3.jpg", "N3"),
    ("no_7.png", "no_7"),
]


def test_the_patient_of_a_name():
    paths = [Path("/data") / name for name, _ in NAMES]
    assert dict(zip((p.name for p in paths), patients(paths), strict=True)) == dict(NAMES)
    assert [patients([path]) for path in paths] == [[who] for _, who in NAMES]


def test_names_of_known_sets_are_read_so_in_every_layout():
    known = [(name, who) for name, who in NAMES if name.startswith(("sub", "IXI", "Bra", "0", "ADNI", "OAS", "vol"))]
    assert [patient(Path(name)) for name, _ in known] == [who for _, who in known]
    assert patient(Path("anna_1.nii.gz")) == "anna"


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["p1/T1.nii.gz", "p1/FLAIR.nii.gz", "p2/T1.nii.gz"], ["p1", "p1", "p2"]),
        (["p1/ses-1/anat/T1.nii", "p1/ses-2/anat/T1.nii", "p2/ses-1/anat/T1.nii"], ["p1", "p1", "p2"]),
        (["a/001.nii", "a/002.nii", "b/001.nii"], ["a/001", "002", "b/001"]),
        (["T1/001.nii", "T2/001.nii", "T1/002.nii"], ["001", "001", "002"]),
        (["train/p1_1.png", "test/p1_2.png", "test/p2_1.png"], ["p1", "p1", "p2"]),
        (["sub-01/ses-01/anat/sub-01_ses-01_T1w.nii", "sub-01/ses-02/anat/sub-01_ses-02_T1w.nii"], ["sub-01"] * 2),
        (["x/sub-01/anat/sub-01_T1w.nii", "y/sub-01/anat/sub-01_T1w.nii"], ["x/sub-01", "y/sub-01"]),
        (["sub-01/anat/sub-01_T1w.nii", "derivatives/prep/sub-01/anat/sub-01_T1w.nii"], ["sub-01", "sub-01"]),
        (["T1.nii", "T2.nii"], ["T1", "T2"]),
        ([], []),
    ],
)
def test_folders_tell_patients_apart_where_names_do_not(paths, wanted):
    assert patients([Path("/data/set") / path for path in paths]) == wanted
