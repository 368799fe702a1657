"""Rows name every option that acts on what a set holds, and one that acts on nothing of it is refused."""

from pathlib import Path

import fake_dicom
import fake_medical as fake
import numpy as np
import pytest
from PIL import Image

from domains.medical import Medical, acting
from domains.medical.making.synthetic import synthetic
from framework.config import DataConfig
from framework.data.index import open_index
from framework.errors import UserError
from framework.types import Record

pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

PICTURE = Record(Path("/d/a.png"), False, "chest")
SLICE = Record(Path("/d/a.nii.gz"), False, "brain", frame=3, along="coronal")
SCAN = Record(Path("/d/b.nii"), False, "brain")
LISTED = "axial slices that the data set lists"
SEEN = "percentiles 0.5-99.5 of the foreground"
CHANGED = [
    *({"axis": "coronal"}, {"axis": "all"}, {"slices": 2}, {"stride": 2}, {"select": "all"}, {"between": [0.3, 0.6]}),
    *({"neighbours": True}, {"window": [550, 800]}, {"window": ["bone", [0, 900], "soft"]}, {"percentiles": [5, 80]}),
    *({"foreground": False}, {"orientation": "stored"}, {"crop": "foreground"}, {"spacing": 1.5}, {"channel": 1}),
    *({"reader": "nibabel"}, {"nan": "zero"}),
]


@pytest.fixture(params=["picture", "slice", "scan"])
def record(request, tmp_path):
    """A picture of 16 bit, one slice of a scan, a scan."""
    if request.param == "picture":
        values = np.random.default_rng(0).integers(500, 1000, (10, 12)).astype(np.uint16)
        values[:3] = 0
        Image.fromarray(values).save(tmp_path / "a.png")
        return Record(tmp_path / "a.png", False, "chest")
    import nibabel

    voxels = np.zeros((20, 22, 12, 2), np.int16)
    voxels[7:13, 8:15, 1:11] = np.random.default_rng(0).integers(500, 1000, (6, 7, 10, 2))
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1.0, 1.0, 2.0, 1.0])), tmp_path / "a.nii.gz")
    return Record(tmp_path / "a.nii.gz", False, "brain", frame=8 if request.param == "slice" else None)


@pytest.mark.parametrize("options", CHANGED, ids=str)
def test_what_changes_the_views_of_a_sample_stands_in_the_row_and_what_does_not_is_refused(record, options):
    if record.frame is not None and options.get("axis") == "all":
        pytest.skip("a slice has one axis")
    base = {} if acting.kinds([record]) == [acting.PICTURES] else {"channel": 0}
    plain, reader = Medical(**base), Medical(**base | options)
    same = np.array_equal(plain.read(record).views, reader.read(record).views)
    assert same or reader.protocol_of([record]) != plain.protocol_of([record])
    if set(options) & set(acting.IDLE[acting.kinds([record])[0]]):
        assert same
        with pytest.raises(UserError, match=f"reader: .*{next(iter(options))}="):
            acting.check(reader, [record], {})
    else:
        assert not same or options.keys() & {"nan", "reader"}  # a file without NaN, and readers that agree
        acting.check(reader, [record], {})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "pictures as they are"),
        ({"window": [0, 100]}, "pictures as they are; of DICOM or more than 8 bit: window [0, 100]"),
        ({"window": "lung", "nan": "zero"}, "pictures as they are; of DICOM or more than 8 bit: window lung, NaN as 0"),
        (
            {"window": ["lung", "bone", "soft"]},
            "pictures as they are; of DICOM or more than 8 bit: windows lung, bone, soft as colours",
        ),
        (
            {"percentiles": [1, 99]},
            "pictures as they are; of DICOM or more than 8 bit: percentiles 1-99 of the foreground",
        ),
        (
            {"foreground": False},
            "pictures as they are; of DICOM or more than 8 bit: percentiles 0.5-99.5 of all pixels",
        ),
    ],
)
def test_the_words_of_pictures(options, words):
    assert Medical(**options).protocol_of([PICTURE]) == words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, f"{LISTED}, {SEEN}"),
        ({"slices": 24}, f"{LISTED}, {SEEN}"),
        (
            {"axis": "coronal", "neighbours": True},
            f"coronal slices that the data set lists, neighbours as colours, {SEEN}",
        ),
        ({"window": "liver", "channel": 1}, f"{LISTED}, window liver, channel 1"),
        (
            {"foreground": False, "crop": "foreground"},
            f"{LISTED}, percentiles 0.5-99.5 of all voxels, cropped to the foreground",
        ),
        ({"spacing": [1, 2, 3], "nan": "zero"}, f"{LISTED}, {SEEN}, resampled to 1 x 2 x 3 mm, NaN as 0"),
        ({"orientation": "stored", "reader": "itk"}, f"{LISTED}, {SEEN}, axes as stored, read by MONAI's itk"),
    ],
)
def test_the_words_of_slices_that_a_data_set_has_chosen(options, words):
    assert Medical(**options).protocol_of([SLICE]) == words


def test_a_mixed_set_has_the_words_of_all_it_holds_in_one_order():
    reader = Medical(stride=2, window="lung")
    words = [reader.protocol_of([record]) for record in (SCAN, SLICE, PICTURE)]
    assert words[0] == reader.protocol == "axial slices, shown ones, stride 2, window lung"
    for mixed in ([SCAN, SLICE, PICTURE], [PICTURE, SCAN, SLICE, SCAN]):
        assert reader.protocol_of(mixed) == "; ".join(words)
    acting.check(reader, [PICTURE, SCAN, SLICE], {})  # the stride acts on the scan


def test_no_picture_is_opened_to_tell_what_it_is(monkeypatch):
    monkeypatch.setattr(acting.volumes, "is_volume", lambda path: pytest.fail(f"{path} was opened"))
    many = [Record(Path(f"/d/{i}{ending}"), False, "a") for i, ending in enumerate((".png", ".JPG", ".tif", ".nii.gz"))]
    assert acting.kinds(many) == [acting.SCANS, acting.PICTURES]


def test_of_dicom_the_header_tells_and_what_has_none_that_can_be_read_does_not(tmp_path):
    pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
    pixels = np.random.default_rng(0).integers(0, 900, (3, 6, 7)).astype(np.uint16)
    first, *others = fake_dicom.series(tmp_path / "ct", pixels)
    alone = fake_dicom.save(fake_dicom.place(fake_dicom.dataset(pixels[0]), (0, 0, 0)), tmp_path / "alone")
    xray = fake_dicom.save(fake_dicom.dataset(pixels[0], "DX"), tmp_path / "xray.dcm")
    (tmp_path / "bad.dcm").write_bytes(b"")
    found = {
        path: acting.kinds([Record(path, False, "", beside=tuple(beside))])
        for path, beside in ((first, others), (alone, ()), (xray, ()), (tmp_path / "bad.dcm", ()))
    }
    assert list(found.values()) == [[acting.SCANS], [acting.SCANS], [acting.PICTURES], []]
    assert Medical(window="lung").protocol_of([Record(xray, False, "")]).endswith("window lung")
    bad = Record(tmp_path / "bad.dcm", False, "")
    assert (
        Medical(stride=2).protocol_of([bad]) == Medical(stride=2).protocol
    )  # that it is damaged is told where it is read
    acting.check(Medical(stride=2), [bad], {})


def test_a_made_scan_is_one_and_its_slices_are_slices(tmp_path):
    fake.volume(tmp_path / "p1_0.nii.gz")
    assert acting.kinds(synthetic(tmp_path, "train", slices="none", each=1)) == [acting.SCANS]
    from domains.medical.making.frames import Frame

    made = Record(Path("a.nii.gz"), True, "", frame=Frame(7, 1, 0, True, 0, 0, 0).encode(), nth=7, along="coronal")
    assert acting.kinds([made]) == [acting.SLICES]


@pytest.mark.parametrize(
    ("records", "reader", "given", "message"),
    [
        (
            [PICTURE],
            {"axis": "sagittal", "neighbours": True, "spacing": 3},
            {},
            "reader: axis=sagittal, neighbours=true, spacing=3 change nothing, for the samples are pictures; leave "
            "them out.",
        ),
        (
            [PICTURE],
            {"channel": 0},
            {},
            "reader: channel=0 changes nothing, for the samples are pictures; leave it out.",
        ),
        (
            [SLICE],
            {"axis": "coronal", "slices": 5, "select": "all"},
            {"stride": 1, "empty": False, "axis": "coronal"},
            "reader: slices=5, select=all change nothing, for the samples are single slices; choose slices by the "
            "data set's options: stride, empty, or take whole scans.",
        ),
        (
            [SLICE, PICTURE],
            {"axis": "coronal", "stride": 3},
            {},
            "reader: stride=3 changes nothing, for the samples are single slices and pictures; leave it out, or take "
            "whole scans.",
        ),
    ],
)
def test_options_that_act_on_nothing_of_a_set_are_refused_in_one_line(records, reader, given, message):
    with pytest.raises(UserError) as caught:
        Medical(**reader).check(records, given)
    assert str(caught.value) == message


def test_sets_are_refused_where_they_are_opened_and_not_for_what_a_language_model_is_shown(tmp_path):
    for name, marked in (("good/h1_0", None), ("spot/p1_0", None), ("masks/spot/p1_0", {2: 1})):
        fake.volume(tmp_path / f"test/{name}.nii.gz", marked)
    reader = {"slices": 5, "stride": 3, "between": [0.4, 0.6], "select": "all"}

    def opened(**options):
        return open_index("mine", DataConfig("medical", "nifti_slices", str(tmp_path), reader=options), asked=True)

    with pytest.raises(UserError, match=r"^mine: reader: slices=5, stride=3, select=all, between=\[0.4, 0.6\] change "):
        opened(**reader)
    assert opened().reader.slices == Medical.asked["slices"]
    assert opened().views == f"{LISTED}, {SEEN}"
