import logging
import warnings

import numpy as np
import pytest
from fake_dicom import dataset, frames, place, save, series, table
from numpy.testing import assert_array_equal

from domains.medical import dicom
from domains.medical.dicom import pixels as decoding
from framework.errors import MissingPackageError, UnreadableError

pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")

GREY = np.random.default_rng(0).integers(0, 4000, (5, 7)).astype(np.uint16)
COLOUR = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
JPEG_LS, JPEG_2000, VIDEO = (f"1.2.840.10008.1.2.4.{n}" for n in (80, 90, 100))


def test_a_grey_picture_keeps_its_values(tmp_path):
    path = save(dataset(GREY, "DX", ImagerPixelSpacing=[0.14, 0.14]), tmp_path / "x.dcm")
    assert dicom.is_picture(path)
    picture = dicom.picture(path)
    assert picture.dtype == np.float32
    assert_array_equal(picture, GREY[..., None])


def test_a_picture_that_is_shown_inverted_is_turned(tmp_path):
    signed = GREY.astype(np.int16) - 2000
    for pixels, ends, slope in ((GREY, 4095, 1), (signed, -1, 1), (GREY, 4095, 3)):
        tags = {"BitsStored": 12, "HighBit": 11, "PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": slope}
        path = save(dataset(pixels, "DX", **tags), tmp_path / "x.dcm")
        assert_array_equal(dicom.picture(path)[..., 0], slope * (ends - pixels.astype(np.float32)))


def test_hounsfield_units_are_not_turned(tmp_path):
    (path,) = series(tmp_path, GREY[None].astype(np.int16), PhotometricInterpretation="MONOCHROME1")
    (plane,) = dicom.planes(dicom.read(path))
    assert_array_equal(plane, GREY.T * 2.0 - 1000)


def test_a_table_of_the_file_says_what_its_numbers_mean(tmp_path):
    entries = np.random.default_rng(2).integers(0, 60000, 3000)
    signed = GREY.astype(np.int16) - 2000
    for pixels, first in ((GREY, 500), (signed, -1500)):
        expected = entries[np.clip(pixels.astype(int) - first, 0, 2999)]
        path = save(dataset(pixels, "DX", ModalityLUTSequence=table(first, entries)), tmp_path / "x.dcm")
        assert_array_equal(dicom.picture(path)[..., 0], expected)
        made = place(dataset(pixels, "MR", ModalityLUTSequence=table(first, entries)), (0, 0, 0))
        (plane,) = dicom.planes(dicom.read(save(made, tmp_path / str(first) / "a.dcm")))
        assert_array_equal(plane, expected.T)
        inverted = {"BitsStored": 12, "HighBit": 11, "PhotometricInterpretation": "MONOCHROME1"}
        path = save(dataset(pixels, "DX", ModalityLUTSequence=table(first, entries), **inverted), tmp_path / "i.dcm")
        ends = (0, 4095) if first > 0 else (-2048, 2047)
        assert_array_equal(
            dicom.picture(path)[..., 0], entries[np.clip(np.array(ends) - first, 0, 2999)].sum() - expected
        )


@pytest.mark.parametrize("described", [[3, 0, 77], [9, 0, 16]])  # bits that no table has, more entries than there are
def test_a_table_that_is_damaged_is_one_line(tmp_path, described):
    damaged = table(0, [1, 2, 3])
    damaged[0].LUTDescriptor = described
    path = save(dataset(GREY, "DX", ModalityLUTSequence=damaged), tmp_path / "x.dcm")
    with pytest.raises(UnreadableError, match=r"x.dcm: its table of values \(ModalityLUTSequence\) is damaged"):
        dicom.picture(path)


def test_colours_are_rgb(tmp_path):
    planar = {"PlanarConfiguration": 1, "PixelData": COLOUR.transpose(2, 0, 1).tobytes() + b"\0"}
    for name, tags in (("pixel", {"PixelData": COLOUR.tobytes() + b"\0"}), ("plane", planar)):
        path = save(dataset(COLOUR, "US", **tags), tmp_path / f"{name}.dcm")
        assert_array_equal(dicom.picture(path), COLOUR)
    deep = save(dataset(COLOUR.astype(np.uint16) << 8, "US"), tmp_path / "deep.dcm")
    assert_array_equal(dicom.picture(deep), COLOUR)


def test_a_palette_gives_its_colours(tmp_path):
    table = np.arange(256, dtype=np.uint16) << 8
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, values in (("Red", table), ("Green", table[::-1]), ("Blue", table // 2)):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = values.tobytes()
    indices = COLOUR[:4, :, 0].copy()
    picture = dicom.picture(save(dataset(indices, "US", **tags), tmp_path / "p.dcm"))
    assert_array_equal(picture, np.stack([indices, 255 - indices, indices // 2], -1))


@pytest.mark.parametrize(
    ("syntax", "error", "message"),
    [
        (JPEG_LS, MissingPackageError, "its pixels are compressed; run: uv pip install pyjpegls"),
        (JPEG_2000, MissingPackageError, "run: uv pip install pylibjpeg pylibjpeg-openjpeg"),
        (VIDEO, UnreadableError, "coded in a way that cannot be decoded; save it uncompressed"),
    ],
)
def test_pixels_that_no_package_decodes_are_refused_with_the_line_to_run(tmp_path, monkeypatch, syntax, error, message):
    base = pytest.importorskip("pydicom.pixels.decoders.base")
    from pydicom.encaps import encapsulate

    monkeypatch.setattr(base.Decoder, "is_available", False)
    made = dataset(GREY, "DX", syntax=syntax, PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    made["PixelData"].is_undefined_length = True
    path = save(made, tmp_path / "c.dcm")
    with pytest.raises(error, match=message):
        dicom.picture(path)


def test_compressed_pixels_that_are_damaged_may_only_need_a_package(tmp_path):
    from pydicom.encaps import encapsulate

    made = dataset(GREY, "DX", syntax=JPEG_2000, PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    made["PixelData"].is_undefined_length = True
    with pytest.raises(
        (UnreadableError, MissingPackageError), match=r"run|decode: uv pip install pylibjpeg pylibjpeg-open"
    ):
        dicom.picture(save(made, tmp_path / "c.dcm"))


def test_a_slice_that_is_cut_off_is_named(tmp_path):
    paths = series(tmp_path, np.stack([GREY.astype(np.int16)] * 3))
    paths[1].write_bytes(paths[1].read_bytes()[:-20])
    with pytest.raises(UnreadableError, match=r"07.dcm: its pixels cannot be read; they are damaged or cut off\."):
        list(dicom.planes(dicom.read(paths[0])))


def test_a_file_without_pixels_is_refused(tmp_path):
    made = dataset(GREY, "DX")
    del made.PixelData
    with pytest.raises(UnreadableError, match="a DICOM file without pixels"):
        dicom.picture(save(made, tmp_path / "a.dcm"))


def test_an_old_file_without_a_file_header_is_read(tmp_path):
    path = tmp_path / "old.ima"
    made = place(dataset(GREY.astype(np.int16)), (0, 0, 0))
    syntax = made.file_meta.TransferSyntaxUID
    del made.file_meta
    made.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    (plane,) = dicom.planes(dicom.read(path))
    assert_array_equal(plane, GREY.T)


@pytest.mark.parametrize(
    "content", [b"", b"not a dicom file", bytes(300), bytes(128) + b"DICM", bytes(128) + b"DICMxx"]
)
def test_what_is_no_dicom_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    for ask in (dicom.read, dicom.is_picture, dicom.picture):
        with pytest.raises(UnreadableError, match=r"a.dcm: .*(empty|not a .*DICOM file|DICOM file without a picture)"):
            ask(path)


def test_a_file_is_told_by_its_name_or_its_content(tmp_path):
    made = dataset(GREY, "DX")
    for name, expected in (("a.DCM", True), ("IM0001", True), ("b.png", True)):
        assert dicom.is_dicom(save(made, tmp_path / name)) is expected
    (tmp_path / "c").write_bytes(b"DICM")
    assert not dicom.is_dicom(tmp_path / "c")
    assert not dicom.is_dicom(tmp_path / "gone")


def test_nothing_is_warned_or_logged_of_odd_tags(tmp_path, caplog, recwarn):
    made = dataset(GREY, "DX", PatientBirthDate="1970")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.StudyDate = "SECRETDATE"
        made.PixelSpacing = ["0.10000000000000000000000001", "0.1"]
    path = save(made, tmp_path / "a.dcm")
    recwarn.clear()
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        dicom.picture(path)
    assert not recwarn.list and not caplog.records


def test_an_error_quotes_no_tag(tmp_path):
    made = dataset(GREY, "DX")
    path = save(made, tmp_path / "a.dcm")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"patient", b"Doe^Jon").replace(b"DX", b"Q^"))
    made.PixelSpacing = ["1", "1"]
    content = save(made, path).read_bytes()
    path.write_bytes(content.replace(b"1\\1 ", b"DOE\\"))
    with pytest.raises(UnreadableError) as told:
        dicom.picture(path)
    assert "DOE" not in str(told.value)


def test_without_pydicom_the_line_to_run_is_told(tmp_path, monkeypatch):
    path = save(dataset(GREY, "DX"), tmp_path / "a.dcm")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"need the package pydicom; run: uv pip install -e '.\[medical\]'"):
        dicom.picture(path)


def test_bytes_that_are_changed_give_a_value_or_one_line(tmp_path):
    files = [
        save(dataset(GREY, "DX"), tmp_path / "x.dcm"),
        save(place(dataset(GREY.astype(np.int16)), (0, 0, 0)), tmp_path / "ct/a.dcm"),
        frames(tmp_path / "several/a.dcm", np.stack([GREY.astype(np.int16)] * 2), [0, 1]),
    ]
    rng, refused = np.random.default_rng(0), 0
    for path in files:
        content = path.read_bytes()
        for start in rng.integers(132, len(content), 60):
            damaged = bytearray(content)
            damaged[start : start + 3] = rng.bytes(3)
            path.write_bytes(damaged[: len(content)])
            try:
                if dicom.is_picture(path):
                    dicom.picture(path)
                else:
                    list(dicom.planes(dicom.read(path)))
            except (UnreadableError, MissingPackageError) as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 20


def test_a_number_of_a_wrong_length_is_one_line(tmp_path):
    path = save(dataset(GREY, "DX"), tmp_path / "a.dcm")
    content = bytearray(path.read_bytes())
    assert content[132:140] == b"\x02\0\0\0UL\x04\0"
    content[138] = 6
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"a.dcm: not a readable DICOM file; its header is damaged\."):
        dicom.picture(path)


def test_a_file_of_many_frames_is_opened_once(tmp_path, monkeypatch):
    path = frames(tmp_path / "a.dcm", np.stack([GREY.astype(np.int16)] * 5), range(5))
    geometry, real, opened = dicom.read(path), decoding.open_file, []
    monkeypatch.setattr(decoding, "open_file", lambda path, **given: opened.append(path) or real(path, **given))
    assert len(list(dicom.planes(geometry))) == 5
    assert opened == [path]
