import os

import numpy as np
import pytest
from fake_dicom import AXIAL, dataset, frames, place, save, series
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import dicom
from framework.errors import UnreadableError

pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")

VOXELS = np.random.default_rng(0).integers(0, 2000, (5, 4, 6)).astype(np.int16)  # slices, rows, columns
A, B = np.deg2rad(17), np.deg2rad(35)
OBLIQUE = (np.cos(A), np.sin(A), 0.0, -np.sin(A) * np.sin(B), np.cos(A) * np.sin(B), -np.cos(B))
NORMAL = np.cross(OBLIQUE[:3], OBLIQUE[3:])


def stacked(geometry):
    return np.stack(list(dicom.planes(geometry)), -1)


@pytest.mark.parametrize(("orientation", "step"), [(AXIAL, (0, 0, 1.25)), (OBLIQUE, 2.5 * NORMAL)])
def test_a_series_is_what_monai_reads_of_its_folder(tmp_path, orientation, step):
    readers = pytest.importorskip("monai.data.image_reader")
    paths = series(tmp_path, VOXELS, step, orientation=orientation)
    geometry = dicom.read(paths[2])
    assert (geometry.path, geometry.files, geometry.affine_source) == (paths[2], tuple(paths), "dicom")
    reader = readers.PydicomReader()
    values, known = reader.get_data(reader.read(str(tmp_path)))
    assert_allclose(geometry.affine, known["affine"], atol=1e-6)
    assert geometry.shape == values.shape == (6, 4, 5)
    assert_array_equal(stacked(geometry), values)
    assert_array_equal(values, VOXELS.transpose(2, 1, 0) * 2.0 - 1000)  # Hounsfield units


def test_slices_follow_their_places_whatever_their_numbers_and_names_say(tmp_path):
    up = series(tmp_path / "up", VOXELS)
    down = series(tmp_path / "down", VOXELS[::-1], (0, 0, -1.25), ImageComments="numbered from the other end")
    a, b = dicom.read(up[0]), dicom.read(down[0])
    assert_array_equal(stacked(a), stacked(b))
    assert b.files == tuple(down[::-1])
    world = a.affine @ [3, 2, 4, 1]
    assert_allclose(world[:3], [20 - 3 * 0.8, -30 - 2 * 0.7, 40 + 4 * 1.25])  # LPS in the file, RAS here


def test_every_slice_has_a_slope_and_offset_of_its_own(tmp_path):
    for k, plane in enumerate(VOXELS):
        made = place(dataset(plane, RescaleSlope=k + 1, RescaleIntercept=-k), (0, 0, k))
        save(made, tmp_path / f"{k}.dcm")
    scale = np.arange(1, 6)
    expected = VOXELS.transpose(2, 1, 0) * scale - (scale - 1)
    assert_array_equal(stacked(dicom.read(tmp_path / "0.dcm")), expected)


def test_two_series_of_a_folder_stay_apart(tmp_path):
    first = series(tmp_path, VOXELS, name="a{}.dcm")
    second = series(tmp_path, VOXELS[:3, :2], name="b{}", series="1.2.4")  # names without an end
    assert dicom.read(first[0]).files == tuple(first)
    assert dicom.read(second[1]).files == tuple(second)
    found = dicom.series_in(tmp_path)
    assert [s.files for s in found] == [tuple(first), tuple(second)]
    assert not any(s.picture for s in found)


def test_frames_of_one_file_are_slices_in_the_order_of_their_places(tmp_path):
    path = frames(tmp_path / "all.dcm", VOXELS, heights=[7, 3, 5, 1, 9])
    series(tmp_path, VOXELS, name="{}")  # beside it another of the same series: a file of frames is one alone
    geometry = dicom.read(path)
    assert (geometry.shape, geometry.files) == ((6, 4, 5), (path,))
    assert_array_equal(stacked(geometry), VOXELS[[3, 1, 2, 0, 4]].transpose(2, 1, 0) * 2.0 - 1000)
    assert_allclose(geometry.affine[:3, 2:], [[0, 20], [0, -30], [2, 1]])


def test_one_slice_is_a_volume_as_thick_as_it_says(tmp_path):
    path = save(place(dataset(VOXELS[0], SliceThickness=3), (0, 0, 5), OBLIQUE), tmp_path / "a.dcm")
    geometry = dicom.read(path)
    assert geometry.shape == (6, 4, 1)
    assert_allclose(np.linalg.norm(geometry.affine[:3, 2]), 3)
    assert_allclose(np.linalg.det(geometry.affine[:3, :3]), 3 * 0.7 * 0.8, atol=1e-6)


def test_other_files_of_a_folder_are_told_and_left_out(tmp_path):
    paths = series(tmp_path, VOXELS)
    (tmp_path / "notes.txt").write_text("seen by")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    report = dataset(VOXELS[0])
    del report.Rows, report.Columns, report.PixelData
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"  # text
    save(report, tmp_path / "report.dcm")
    geometry = dicom.read(paths[0])
    assert geometry.files == tuple(paths)
    (line,) = geometry.warnings
    assert line == f"{paths[0]}: of its folder were left out: 2 not DICOM, 1 without a picture."


def fault(folder, kind):
    """A series that is wrong in one way; the file to read."""
    paths = series(folder, VOXELS)
    if kind == "missing":
        paths.pop(2).unlink()
    elif kind == "twice":
        series(folder, VOXELS[1:3], name="copy{}.dcm")
    elif kind == "size":
        save(place(dataset(VOXELS[0, :3]), (-20, 30, 46.25)), folder / "n.dcm")
    elif kind == "spacing":
        save(place(dataset(VOXELS[0]), (-20, 30, 46.25), spacing=(0.7, 0.9)), folder / "n.dcm")
    elif kind == "turned":
        save(place(dataset(VOXELS[0]), (-20, 30, 46.25), OBLIQUE), folder / "n.dcm")
    elif kind == "aside":
        save(place(dataset(VOXELS[0]), (-10, 30, 46.25)), folder / "n.dcm")
    elif kind == "placeless":
        save(dataset(VOXELS[0]), folder / "n.dcm")
    elif kind == "unspaced":
        made = place(dataset(VOXELS[0]), (-20, 30, 46.25))
        del made.PixelSpacing
        save(made, folder / "n.dcm")
    elif kind == "junk":
        (folder / "n.dcm").write_bytes(b"\x00" * 100)
    elif kind == "empty":
        (folder / "n.dcm").touch()
    elif kind == "flat":
        save(place(dataset(VOXELS[0], series="1.5"), (0, 0, 0), (1, 0, 0, 1, 0, 0)), paths[0])
    elif kind == "colour":
        colour = np.zeros((4, 6, 3), np.uint8)
        save(place(dataset(colour, "MR", series="1.5"), (0, 0, 0)), paths[0])
    return paths[0]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"00.dcm: 1 of 5 slices missing: 1.25 mm apart, but between 07.dcm and 21.dcm 2.5 mm."),
        (
            "twice",
            r"2 of 7 slices lie where another one lies \(00.dcm and copy00.dcm, 07.dcm and copy07.dcm\): several",
        ),
        ("size", r"differ in size: n.dcm and 00.dcm. Take them apart"),
        ("spacing", r"differ in PixelSpacing: n.dcm and 00.dcm"),
        ("turned", r"differ in ImageOrientationPatient: n.dcm and 00.dcm"),
        ("aside", r"slices lie up to \d.* mm beside a straight line, which bends most between 28.dcm and n.dcm;"),
        ("placeless", r"n.dcm: one of 6 files of its series, and without ImagePositionPatient and Image"),
        ("unspaced", r"n.dcm: one of 6 files of its series, and without PixelSpacing"),
        ("junk", r"n.dcm: not a .*DICOM file.* It may be a slice of .*00.dcm: repair it, or remove it"),
        ("empty", r"n.dcm: the file is empty. It may be a slice of"),
        ("flat", r"00.dcm: its ImageOrientationPatient or PixelSpacing maps no picture"),
        ("colour", r"00.dcm: a slice in colour; only grey volumes"),
    ],
)
def test_a_series_with_a_fault_is_refused_in_one_line_that_names_the_file(tmp_path, kind, message):
    path = fault(tmp_path, kind)
    with pytest.raises(UnreadableError, match=message) as told:
        dicom.read(path)
    assert "\n" not in str(told.value)


def test_a_gap_of_less_than_a_hundredth_is_rounding(tmp_path):
    for k, z in enumerate([0, 1.25, 2.505, 3.75]):
        save(place(dataset(VOXELS[k]), (0, 0, z)), tmp_path / f"{k}.dcm")
    assert dicom.read(tmp_path / "0.dcm").shape == (6, 4, 4)
    save(place(dataset(VOXELS[4]), (0, 0, 5.02)), tmp_path / "4.dcm")
    with pytest.raises(
        UnreadableError, match=r"5 slices not evenly spaced: 1.25 mm apart, but between 3.dcm and 4.dcm 1.27"
    ):
        dicom.read(tmp_path / "0.dcm")


def test_frames_that_lie_nowhere_are_no_volume(tmp_path):
    path = save(dataset(VOXELS, "US"), tmp_path / "cine.dcm")
    assert not dicom.is_picture(path)
    with pytest.raises(UnreadableError, match=r"cine.dcm: 5 frames without ImagePositionPatient and .* of each"):
        dicom.read(path)


def test_a_tree_is_its_series_and_pictures(tmp_path):
    ct = series(tmp_path / "p/ct", VOXELS)
    xrays = [save(dataset(VOXELS[k], "DX"), tmp_path / f"p/x{k}") for k in (0, 1)]  # of one series, yet two samples
    (tmp_path / "p/broken.dcm").write_bytes(b"junk")
    save(dataset(VOXELS[0], "DX"), tmp_path / ".hidden/a.dcm")
    found = [(folder, s.files, s.picture) for folder, s in dicom.inside(tmp_path)]
    assert found == [
        (tmp_path / "p", (tmp_path / "p/broken.dcm",), False),  # whoever reads it is told why
        (tmp_path / "p", (xrays[0],), True),
        (tmp_path / "p", (xrays[1],), True),
        (tmp_path / "p/ct", tuple(ct), False),
    ]


def test_a_patient_is_a_pseudonym_that_is_the_same_in_all_files(tmp_path):
    series(tmp_path / "a", VOXELS, PatientID=" 4711 ")
    series(tmp_path / "b", VOXELS, series="1.9", PatientID="4711")
    series(tmp_path / "c", VOXELS, PatientID="")
    a, b, c = (s.patient for _, s in dicom.inside(tmp_path))
    assert a == b and len(a) == 12 and "4711" not in a and c == ""


def test_a_file_that_changed_is_read_again(tmp_path):
    path = save(place(dataset(VOXELS[0]), (0, 0, 0)), tmp_path / "a.dcm")
    assert dicom.read(path).shape == (6, 4, 1)
    save(place(dataset(VOXELS[0, :2]), (0, 0, 0)), path)
    assert dicom.read(path).shape == (6, 2, 1)


def test_a_file_that_was_replaced_by_one_of_its_size_and_time_is_read_again(tmp_path):
    path = save(place(dataset(VOXELS[0]), (0, 0, 0)), tmp_path / "a.dcm")
    other = save(place(dataset(VOXELS[0].T.copy()), (0, 0, 0)), tmp_path / "other" / "b.dcm")
    status = path.stat()
    assert dicom.read(path).shape == (6, 4, 1) and other.stat().st_size == status.st_size
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert dicom.read(path).shape == (4, 6, 1)


def test_frames_of_several_pixel_spacings_are_no_volume(tmp_path):
    from pydicom import dcmread
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    path = frames(tmp_path / "a.dcm", VOXELS, heights=range(5))
    made = dcmread(path)
    for number, group in enumerate(made.PerFrameFunctionalGroupsSequence):
        own = Dataset()
        own.PixelSpacing = [0.7, 0.8 if number < 3 else 0.9]
        group.PixelMeasuresSequence = Sequence([own])
    made.save_as(path)
    with pytest.raises(UnreadableError, match=r"a.dcm: slices of one series differ in PixelSpacing: its frames"):
        dicom.read(path)
    for group in made.PerFrameFunctionalGroupsSequence:
        group.PixelMeasuresSequence[0].PixelSpacing = [0.5, 0.6]  # counts before what all share
    made.save_as(path)
    assert_allclose(np.abs(np.diag(dicom.read(path).affine)[:2]), [0.6, 0.5])


def test_frames_of_which_some_have_no_rescale_are_refused(tmp_path):
    from pydicom import dcmread
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    path = frames(tmp_path / "a.dcm", VOXELS, heights=range(5))
    made = dcmread(path)
    del made.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for group in made.PerFrameFunctionalGroupsSequence[1:]:
        own = Dataset()
        own.RescaleSlope, own.RescaleIntercept = 2, -1000
        group.PixelValueTransformationSequence = Sequence([own])
    made.save_as(path)
    with pytest.raises(UnreadableError, match=r"a.dcm: "):
        dicom.read(path)


@pytest.mark.parametrize("nth", [0, 2, 4])
def test_a_slice_that_is_cut_off_in_its_header_is_not_left_out(tmp_path, nth):
    paths = series(tmp_path, VOXELS)
    cut = paths[nth]
    size = cut.read_bytes().index(b"\x28\x00\x10\x00")  # the tag of Rows
    cut.write_bytes(cut.read_bytes()[:size])
    with pytest.raises(UnreadableError, match=rf"{cut.name}: the size of its picture is missing; the file is cut off"):
        dicom.read(paths[1])
