import json
import os
from pathlib import Path

import numpy as np
import pytest
from fake_scans import oblique, write
from numpy.testing import assert_array_equal

from domains.medical import Medical, cache, cutter, store
from framework.data.views import keep_views
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")

OPTIONS = [
    {},
    {"axis": "all", "neighbours": True},
    {"axis": "sagittal", "spacing": 1.5, "crop": "foreground"},
    {"window": ["brain", "lung", [0, 500]]},
]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    for known in (cache._scans, cache._mapped, cache._masks, store._told):
        known.clear()


@pytest.fixture
def record(tmp_path):
    rng = np.random.default_rng(0)
    voxels = rng.integers(-200, 1800, (9, 11, 10)).astype(np.int16)
    image = nib.Nifti1Image(voxels, oblique((2, 0, 1), (-1, 1, -1)))
    image.header["descrip"], image.header["db_name"] = b"Jane Doe 1971", b"ward 7"
    nib.save(image, tmp_path / "scan.nii.gz")
    return Record(tmp_path / "scan.nii.gz", False, "")


def kept_files(folder):
    return sorted(p for p in Path(folder).rglob("*") if p.is_file())


def counted(monkeypatch):
    made, real = [], cutter.make
    monkeypatch.setattr(cutter, "make", lambda *given: made.append(given) or real(*given))
    return made


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_views_from_disk_are_those_from_the_file_to_the_bit(record, tmp_path, monkeypatch, options):
    plain = Medical(**options).read(record)
    made = counted(monkeypatch)
    for _ in range(2):
        nothing = (cache._scans, cache._mapped)
        for known in nothing:
            known.clear()
        reader = keep_views(Medical(**options), "medical", str(tmp_path / "store"))
        sample = reader.read(record)
        assert_array_equal(sample.views, plain.views)
        assert sample.back == plain.back
        assert sample.captions == plain.captions
        assert sample.warnings == plain.warnings
    assert len(made) == 1
    assert {p.suffix for p in kept_files(tmp_path / "store")} == {".npy", ".json"}


@pytest.mark.parametrize("kind", ["int8", "uint16", "int32", "float32", "whole float32"])
@pytest.mark.parametrize("options", [{}, {"crop": "foreground", "window": [40000, 40100]}, {"spacing": 1.5}], ids=str)
def test_kept_scans_of_any_type_are_those_of_the_file_to_the_bit(tmp_path, kind, options):
    values = np.random.default_rng(0).normal(40000 if kind != "int8" else 60, 20, (9, 11, 10))
    values = values if kind == "float32" else values.round()
    values[:4] = 0
    values[5, 5, 5] = 3e5 if kind == "int32" else 1
    path = write(tmp_path / "a.nii", values.astype(kind.split()[-1]), oblique((2, 0, 1), (-1, 1, -1)))
    plain = Medical(**options).read(Record(path, False, ""))
    for _ in range(2):
        cache._scans.clear()
        sample = Medical(**options).keep(tmp_path / "store", print).read(Record(path, False, ""))
        assert_array_equal(sample.views, plain.views)
        assert (sample.back, sample.warnings) == (plain.back, plain.warnings)
    assert len(cache._mapped) == 1


def test_a_file_replaced_by_one_of_its_size_and_time_is_read_again(tmp_path):
    path, other = tmp_path / "a.nii", tmp_path / "b.nii"
    voxels = np.random.default_rng(0).integers(0, 900, (6, 7, 8)).astype(np.int16)
    reader = Medical(select="all").keep(tmp_path / "store", print)
    before = reader.read(Record(write(path, voxels), False, "")).views
    write(other, np.ascontiguousarray(voxels[::-1]))
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    expected = Medical(select="all").read(Record(other, False, "")).views
    other.replace(path)
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert not np.array_equal(before, expected)
    for again in (reader, Medical(select="all")):
        assert_array_equal(again.read(Record(path, False, "")).views, expected)


def test_a_window_is_chosen_when_kept_scans_are_read(record, tmp_path, monkeypatch):
    made = counted(monkeypatch)
    for options in ({}, {"window": "brain"}, {"percentiles": [5, 90]}, {"stride": 2, "neighbours": True}):
        found = Medical(**options).keep(tmp_path / "store", print).read(record)
        assert_array_equal(found.views, Medical(**options).read(record).views)
    assert len(made) == 2  # once with a store, once without
    Medical(axis="coronal").keep(tmp_path / "store", print).read(record)
    assert len(made) == 3


def test_content_names_what_is_kept(record, tmp_path, monkeypatch):
    made = counted(monkeypatch)
    reader = Medical().keep(tmp_path / "store", print)
    reader.read(record)
    other = tmp_path / "renamed.nii.gz"
    record.path.rename(other)
    assert reader.read(Record(other, False, "")).warnings == ()
    assert len(made) == 1
    write(other, np.zeros((3, 4, 5), np.int16))
    assert reader.read(Record(other, False, "")).warnings == (
        f"{other}: one value everywhere, so nothing can stand out.",
    )


def spoiled(known, damage):
    """What a kept scan says of itself, with one thing in it changed."""
    if damage in ("sums", "codes", "counts"):
        known[damage] = known[damage][:-1]
    elif damage == "shape":
        known["shape"][0] -= 2
    elif damage == "scale":
        known["scale"]["first"] += 300
    else:
        known[damage] += 1
    return known


DAMAGE = ["slice", "short", "no json", "half a json", "sums", "codes", "counts", "shape", "scale", "nan", "offset"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_made_again(record, tmp_path, monkeypatch, damage):
    reader = Medical().keep(tmp_path / "store", print)
    before = reader.read(record).views.copy()
    told, codes = kept_files(tmp_path / "store")
    content = bytearray(codes.read_bytes())
    if damage == "slice":
        content[-40] ^= 1
        codes.write_bytes(content)
    elif damage == "short":
        codes.write_bytes(content[:-100])
    elif damage == "no json":
        told.unlink()
    elif damage == "half a json":
        told.write_text(told.read_text()[:50])
    else:
        told.write_text(json.dumps(spoiled(json.loads(told.read_text()), damage)))
    cache._scans.clear()
    made = counted(monkeypatch)
    sample = reader.read(record)
    assert_array_equal(sample.views, before)
    assert sample.counts == {}
    assert len(made) == 1
    cache._scans.clear()
    assert_array_equal(reader.read(record).views, before)
    assert len(made) == 1  # and is whole again


def test_a_slice_reads_and_proves_itself_alone(record, tmp_path):
    reader = Medical(window=[0, 900]).keep(tmp_path / "store", print)
    reader.read(record)
    cache._scans.clear()
    sample = reader.read(Record(record.path, False, "", frame=4))
    assert_array_equal(sample.views, Medical(window=[0, 900]).read(Record(record.path, False, "", frame=4)).views)
    (scan,) = cache._mapped.values()
    assert isinstance(scan.codes, np.memmap)
    assert scan.check.args[2] == {4}


@pytest.mark.parametrize("full", ["no room", "refused"])
def test_a_full_disk_is_told_once_and_reading_goes_on(record, tmp_path, monkeypatch, full):
    lines = []
    if full == "no room":
        monkeypatch.setattr(store, "_ROOM", 10**15)
    else:
        (tmp_path / "store").write_text("a file where the folder should be")
    reader = Medical().keep(tmp_path / "store", lines.append)
    for frame in (None, 3):
        cache._scans.clear()
        assert len(reader.read(Record(record.path, False, "", frame=frame)).views)
    assert len(lines) == 1
    assert lines[0].startswith("cut scans are not kept: ")
    assert "\n" not in lines[0]


def test_nothing_that_names_a_patient_is_kept(record, tmp_path):
    Medical().keep(tmp_path / "store", print).read(record)
    for path in kept_files(tmp_path / "store"):
        content = path.read_bytes()
        for word in (b"Jane", b"ward", str(tmp_path).encode(), b"scan.nii"):
            assert word not in content
            assert word not in path.name.encode()
    json.loads(kept_files(tmp_path / "store")[0].read_text())
