"""Every file that nibabel and pydicom ship to test themselves with: read, or refused in one line."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from domains.medical import Medical
from framework import registry
from framework.errors import UserError
from framework.types import Record, Sample

MADE = {".py", ".pyc", ".m", ".rst", ".md", ".gitignore"}  # code, not data


def shipped(package, *folders):
    """All data files of a package, or a skip that says why."""
    if not all(map(importlib.util.find_spec, (package, "monai"))):  # which need not be imported
        pytest.skip("needs the extra: uv pip install -e '.[medical]'")
    root = Path(importlib.util.find_spec(package).origin).parent
    files = [p for folder in folders for p in sorted(root.glob(folder)) if p.is_file() and p.suffix not in MADE]
    if not files:
        pytest.skip(f"{package} {root} was installed without its test files")
    return files


def outcome(path):
    """The sample of a file, or the line that refuses it."""
    try:
        if registry.domain_of(path, ["medical"]) != "medical":
            return None
        return Medical(nan="zero").read(Record(path, False, "scan"))
    except UserError as error:
        return str(error)


@pytest.mark.parametrize(
    ("package", "folders", "read"),
    [
        ("nibabel", ("**/tests/data/**/*",), 10),
        ("pydicom", ("data/**/*",), 50),
    ],
)
def test_each_is_read_or_refused_in_one_line(package, folders, read, recwarn, capfd):
    files = shipped(package, *folders)
    counts = Counter()
    for path in files:
        found = outcome(path)
        counts[type(found).__name__] += 1
        if isinstance(found, Sample):
            assert found.record.path == path and len(found.views)
        elif found is not None:
            assert (
                "\n" not in found and str(path) in found and found.endswith((".", "]", "libjpeg", "openjpeg", "jpegls"))
            )
    assert counts["Sample"] >= read, counts
    assert not recwarn.list and capfd.readouterr() == ("", "")


LINES = {  # of pydicom's files
    "examples_ybr_color.dcm": "30 frames without ImagePositionPatient",
    "rtplan.dcm": "a DICOM file without a picture",
    "liver_1frame.dcm": "a segmentation, which is a mask",
    "rtdose.dcm": "a dose of radiotherapy",
    "DICOMDIR": "a DICOM file without a picture",
    "17106": "slices missing",
    "4467": "slices of one series differ in ImageOrientationPatient",
    "no_meta.dcm": "not a DICOM file",
}


@pytest.mark.parametrize(("name", "line"), LINES.items())
def test_a_file_is_refused_for_what_it_is(name, line):
    paths = [p for p in shipped("pydicom", "data/**/*") if p.name == name]
    if not paths:
        pytest.skip(f"this pydicom ships no {name}")
    assert line in outcome(paths[0])


SHAPES = {
    "CT_small.dcm": (1, 128, 128),
    "2062": (5, 16, 16),
    "examples_rgb_color.dcm": (1, 240, 320),
    "6154": (1, 16, 16),
    "slicethickness_empty_string.dcm": (1, 384, 384),
}


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_a_file_is_read_as_what_it_is(tmp_path, name, shape):
    files = shipped("pydicom", "data/**/*") + shipped("nibabel", "nicom/tests/data/*")
    paths = [p for p in files if p.name == name]
    if not paths:
        pytest.skip(f"these packages ship no {name}")
    path = paths[0]
    if name == "CT_small.dcm":  # beside it lies what is named .dcm and is none
        path = tmp_path / name
        path.write_bytes(paths[0].read_bytes())
    views = outcome(path).views
    assert (views.shape[0], *views.shape[2:]) == shape
