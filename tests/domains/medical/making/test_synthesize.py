import gzip
import re
import shutil
from pathlib import Path

import fake_medical as fake
import numpy as np
import pytest
from fake_cli import mistake
from numpy.testing import assert_array_equal
from PIL import Image
from scipy import ndimage

from domains.medical import datasets, pictures
from domains.medical.datasets import findings
from domains.medical.making import sources, synthesize
from domains.medical.making.frames import KINDS
from framework.cli import main

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
SHAPE, SPACING = (40, 36, 14), (1.2, 1.3, 4.0)


def scan(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Tissue with structure and noise, about 600, in an ellipsoid; 0 around."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*((np.arange(n) - (n - 1) / 2) / (0.45 * n) for n in shape), indexing="ij", sparse=True)
    inside = sum(a * a for a in axes) < 1
    rough = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    return np.where(inside, (600 + 120 * rough / rough.std() + rng.normal(0, 15, shape)).clip(100, 1500), 0)


def write_scan(path: Path, seed: int, dtype=np.int16, slope: float = 1.0) -> Path:
    """An oblique scan whose header tells whose it is."""
    affine = np.array([[0, -1.3, 0.2, 5], [1.2, 0, 0.1, -7], [0.02, 0, -4, 3], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(scan(SHAPE, seed).astype(dtype), affine)
    image.header["descrip"], image.header["db_name"] = b"Jane Doe 1970", b"Jane"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe was here"))
    image.header.set_xyzt_units("mm")
    if slope != 1:
        image.header.set_slope_inter(slope, -3)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    """Two scans of one patient, one of another, two pictures, and a mask that is no source."""
    root = tmp_path_factory.mktemp("healthy")
    write_scan(root / "scans/pat1_a.nii.gz", 1)
    write_scan(root / "scans/pat1_b.nii", 2, np.float32)
    write_scan(root / "scans/pat2_a.nii.gz", 3, np.int16, slope=0.5)
    for name, seed in (("eye7_1.png", 4), ("eye9_1.png", 5)):
        Image.fromarray(np.rint(scan((80, 72), seed) / 6).astype(np.uint8)).save(root / "scans" / name)
    (root / "masks").mkdir()
    shutil.copy(root / "scans/pat1_a.nii.gz", root / "masks/pat1_a.nii.gz")
    return root


def run(*arguments) -> int:
    return main(["synthesize", "medical", *map(str, arguments)])


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(healthy, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "set"
    assert run(healthy, "--out", out, "--each", 2, "--seed", 3) == 0
    return out


def test_each_source_gives_a_healthy_file_and_its_spoiled_twins(made):
    scans, flat = list(datasets.nifti(made)), list(findings(made))
    assert (len(scans), len(flat)) == (9, 6)
    assert sum(r.anomalous for r in scans) == 6 and sum(r.anomalous for r in flat) == 4
    assert {r.defect for r in (*scans, *flat) if r.anomalous} <= set(KINDS)
    groups = {r.group: [s.anomalous for s in scans if s.group == r.group] for r in scans}
    assert sorted((sum(labels), len(labels)) for labels in groups.values()) == [(2, 3), (4, 6)]
    names = {r.path.name for r in (*scans, *flat)}
    assert all(re.fullmatch(r"case000\d_\d\.(nii\.gz|png)", name) for name in names)


def test_a_scan_keeps_grid_type_and_scale_but_no_text(made, healthy):
    originals = [nib.load(p) for p in sorted((healthy / "scans").glob("*.nii*"))]
    for record in datasets.nifti(made):
        image = nib.load(record.path)
        source = min(originals, key=lambda o: np.mean(o.dataobj.get_unscaled() != image.dataobj.get_unscaled()))
        assert image.get_data_dtype() == source.get_data_dtype()
        np.testing.assert_allclose(image.affine, source.affine, atol=1e-6)
        assert image.header.get_xyzt_units()[0] == "mm" and not image.header.extensions
        assert (image.dataobj.slope, image.dataobj.inter) == (source.dataobj.slope, source.dataobj.inter)
        raw, was = image.dataobj.get_unscaled(), source.dataobj.get_unscaled()
        mask = np.zeros(SHAPE, bool)
        if record.anomalous:
            mask = np.asarray(nib.load(record.truth_path).dataobj) > 0
            assert mask.any() and (raw != was)[mask].mean() > 0.5
        assert_array_equal(raw[~mask], was[~mask])
    assert not any(b"Jane" in gzip.decompress(p.read_bytes()) for p in made.rglob("*.nii.gz"))


def test_a_picture_is_its_twin_outside_of_the_mask(made, healthy):
    twins = {r.group: pictures.load(r.path) for r in findings(made) if not r.anomalous}
    for record in findings(made):
        if record.anomalous:
            values = pictures.load(record.path)
            mask = pictures.load_mask(record.truth_path, *values.shape[:2])
            assert_array_equal(values[~mask], twins[record.group][~mask])
            assert (values != twins[record.group])[mask].any()


def test_a_set_on_disk_passes_its_check(made, capsys):
    assert main(["datasets", "check", "medical/nifti", str(made)]) == 0
    assert "6 of 6 anomalous samples mark a voxel" in capsys.readouterr().out
    assert main(["datasets", "check", "medical/pictures", str(made)]) == 0
    assert "4 of 4 anomalous samples mark a voxel" in capsys.readouterr().out


def test_the_seed_decides_every_byte(healthy, made, tmp_path, capsys):
    assert run(healthy, "--out", tmp_path / "again", "--each", 2, "--seed", 3) == 0
    told = (
        "15 samples, spoiled ones beside their healthy twins; medical/nifti reads the scans, medical/pictures reads the"
    )
    assert capsys.readouterr().out == f"{tmp_path}/again: {told} pictures\n"
    one = synthesize.synthesize([healthy / "scans/eye7_1.png"], tmp_path / "one")
    assert one.remark == "medical/pictures reads the pictures"
    assert run(healthy, "--out", tmp_path / "other", "--each", 2, "--seed", 4) == 0
    assert contents(made) == contents(tmp_path / "again")
    lesions = [{v for k, v in contents(root).items() if "good" not in k} for root in (made, tmp_path / "other")]
    assert not lesions[0] & lesions[1]


def test_an_interrupted_set_goes_on_where_it_was(healthy, made, tmp_path, monkeypatch):
    out = tmp_path / "out"
    begun = iter(synthesize.synthesize([healthy], out, each=2, seed=3))
    first = [next(begun) for _ in range(7)]
    begun.close()
    assert not out.exists() and len(first) == 7
    written, kept = [], sources.Source.encoded
    monkeypatch.setattr(sources.Source, "encoded", lambda *given: written.append(1) or kept(*given))
    assert run(healthy, "--out", out, "--each", 2, "--seed", 3) == 0
    assert len(written) == 15 - 7
    assert contents(out) == contents(made)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.nii"], r"none\.nii: no such file"),
        (["notes.md"], r"notes\.md: not a volume or picture; known endings: \.nii"),
        (["nothing"], r"nothing: holds no volume or picture"),
        (["junk.nii.gz"], r"junk\.nii\.gz: not a readable NIfTI file"),
        (["cut.nii.gz"], r"cut\.nii\.gz: truncated or corrupt"),
        (["black.png"], r"black\.png: all values are equal"),
        (["tiny.png"], r"tiny\.png: 4 x 4 x 3 voxels; a lesion shows on 8 x 8"),
        (["fine_1.nii.gz", "--kinds", "blob,rign"], r"no kind of lesion called 'rign'\. Did you mean 'ring'\?"),
        (["fine_1.nii.gz", "--size", "8 cm"], r"size '8 cm': write \"20 mm\""),
        (
            ["fine_1.nii.gz", "--size", "8..30 px"],
            r"fine_1\.nii\.gz: a size of '8..30 px' is one of pictures.*write mm",
        ),
        (["series"], r"series: DICOM; lesions are made on NIfTI files and pictures only\. Save the series as NIfTI"),
        (["series/IM0"], r"series/IM0: DICOM; lesions are made on NIfTI files"),
        (
            ["four.nii"],
            r"four\.nii: 4 dimensions \(8, 9, 6, 2\); lesions are made on a file of one volume\. Save one of",
        ),
        (["fine_1.nii.gz", "--size", "900 mm"], r"fine_1\.nii\.gz: no place for a lesion of kind 'blob' that shows"),
        (["fine_1.nii.gz", "--each", "0"], r"each=0: need a seed from 0 and 1 to 99"),
        (["fine_1.nii.gz", "--seed", "-1"], r"seed=-1"),
        (["fine_1.nii.gz", "--samples", "9"], r"synthesize 'medical' called 'samples'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_set(healthy, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "series").mkdir()
    (tmp_path / "series/IM0").write_bytes(bytes(128) + b"DICM")
    fake.volume(tmp_path / "four.nii", channels=2)
    (tmp_path / "notes.md").write_text("no scan")
    (tmp_path / "junk.nii.gz").write_bytes(b"no scan" * 100)
    data = (healthy / "scans/pat1_a.nii.gz").read_bytes()
    (tmp_path / "fine_1.nii.gz").write_bytes(data)
    (tmp_path / "cut.nii.gz").write_bytes(data[: len(data) // 2])
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "tiny.png")
    assert re.search(message, mistake(capsys, "synthesize", "medical", *arguments, "--out", "set"))
    assert not (tmp_path / "set").exists()
    assert not list(tmp_path.rglob("*case0*")) and not list(tmp_path.rglob(".partial*"))


def test_dicom_files_beside_scans_are_told(tmp_path, capsys):
    write_scan(tmp_path / "mixed/a/pat1_a.nii.gz", 1)
    for name in ("b/IM0", "b/IM1", "masks/IM2", ".trash/IM3"):
        (tmp_path / "mixed" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mixed" / name).write_bytes(bytes(128) + b"DICM")
    assert main(["synthesize", "medical", str(tmp_path / "mixed"), "--out", str(tmp_path / "out")]) == 0
    told = f"; medical/nifti reads the scans; 2 DICOM files were left out, such as {tmp_path / 'mixed/b/IM0'}: save"
    assert told in capsys.readouterr().out


def test_a_folder_that_is_there_is_told(healthy, tmp_path, capsys):
    told = mistake(capsys, "synthesize", "medical", healthy, "--out", tmp_path)
    assert f"{tmp_path}: is there already" in told
