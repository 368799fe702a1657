"""What a header says of a patient: planted, then looked for in every byte that is written and printed."""

import gzip
import io
import json
import re
import zipfile
import zlib

import numpy as np
import pytest
from fake_dicom import dataset, frames, save, series
from fake_predict import SMALL
from pyarrow import parquet

from framework.cli import main

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")

SECRETS = {
    "PatientName": "Quixote^Alonso",
    "PatientID": "MRN0815471199",
    "PatientBirthDate": "15470929",
    "PatientAddress": "La Mancha Lane 7",
    "AccessionNumber": "ACC99887766",
    "InstitutionName": "Hospital Esquivias",
    "ReferringPhysicianName": "Panza^Sancho",
    "StudyDate": "16050116",
    "StudyTime": "031415.92",
    "StudyID": "STUDY31337",
    "StudyDescription": "windmill trauma",
    "SeriesDescription": "lance follow-up",
    "ImageComments": "seen by Dulcinea",
    "StationName": "ROCINANTE3",
    "DeviceSerialNumber": "SN5550123",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.11112222333344",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.55556666777788",
}
UID = "1.2.826.0.1.3680043.8.498.99990000111122"
INSTANCE = "1.2.826.0.1.3680043.10.474"  # of pydicom: begins the UIDs it makes
NIFTI = {"descrip": b"Quixote CT windmill", "db_name": b"MRN0815471199", "aux_file": b"La Mancha.txt"}
WORDS = [
    "Quixote", "Alonso", "MRN0815", "15470929", "Mancha", "ACC9988", "Esquivias", "Panza", "Sancho", "16050116",
    "031415", "STUDY31337", "windmill", "lance follow", "Dulcinea", "ROCINANTE", "SN555", "1.2.826.0.1.3680043",
    "1547-09-29", "1605-01-16",
]  # fmt: skip
EXPERIMENT = """
name: private
model: {{backbone: {{name: embedded}}, expert: {{options: {sizes}}}, crops: base, pool: max}}
train: {{scans: {{domain: medical, dataset: dicom, root: {root}, reader: {{slices: 2}}}}}}
test: {{scans: {{domain: medical, dataset: dicom, root: {root}, reader: {{slices: 2}}}}}}
store: {{mode: always, path: {out}/store}}
trainer: {{accelerator: cpu, max_epochs: 1, enable_progress_bar: false}}
out: {out}/runs
"""


def leaks(content, depth=0):
    """The words that some bytes hold, as they are, packed or as text of two or four bytes a letter."""
    found = {
        w for w in WORDS for code in ("utf-8", "utf-16-le", "utf-32-le") if w.lower().encode(code) in content.lower()
    }
    if depth < 2:
        if content[:2] == b"\x1f\x8b":
            found |= leaks(gzip.decompress(content), depth + 1)
        if content[:4] == b"PAR1":
            found |= leaks(str(parquet.read_table(io.BytesIO(content)).to_pylist()).encode(), depth + 1)
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as file:
                found |= {w for name in file.namelist() for w in leaks(file.read(name), depth + 1)}
        for match in re.finditer(rb"(?s)FlateDecode.*?stream\r?\n(.*?)endstream|(?:zTXt|iTXt|IDAT)(.{20,})", content):
            for part in filter(None, match.groups()):
                try:
                    found |= leaks(zlib.decompressobj().decompress(part), depth + 2)
                except zlib.error:
                    continue
    return found


def test_what_looks_for_secrets_finds_them(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", text=np.array("of Quixote"))
    assert leaks((tmp_path / "a.npz").read_bytes()) == {"Quixote"}
    assert leaks(gzip.compress(b"x Dulcinea")) == {"Dulcinea"}
    assert leaks(b"PANZA") == {"Panza"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A set of DICOM series, an enhanced file and an X-ray, every one full of secrets, with masks that are too."""
    root = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    for k, finding in enumerate(["good", "good", "tumour", "tumour"]):
        voxels = rng.integers(500, 1500, (4, 24, 24)).astype(np.int16)
        voxels[1:3, 8:14, 8:14] += 1500 * (finding == "tumour")
        tags = SECRETS | {"PatientID": f"{SECRETS['PatientID']}{k}"}
        series(root / f"test/{finding}/{k}", voxels, series=f"{UID}.{k}", **tags)
        if finding == "tumour":
            mask = nib.Nifti1Image((voxels > 1600).transpose(2, 1, 0).astype(np.uint8), grid(root / f"test/tumour/{k}"))
            for name, text in NIFTI.items():
                mask.header[name] = text
            mask.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Quixote of La Mancha"))
            (root / "test/masks/tumour").mkdir(parents=True, exist_ok=True)
            nib.save(mask, root / f"test/masks/tumour/{k}.nii.gz")
    return root


def grid(folder):
    from domains.medical import dicom

    return dicom.read(folder / "00.dcm").affine


def assert_private(capfd, *folders):
    printed = capfd.readouterr()
    files = [p for folder in folders for p in folder.rglob("*") if p.is_file()]
    assert files
    found = {str(p): words for p in files if (words := leaks(p.read_bytes()) | leaks(p.name.encode()))}
    assert not found
    assert not leaks((printed.out + printed.err).encode())
    return printed


def test_no_secret_of_a_header_is_written_or_printed(root, tmp_path, capfd, caplog):
    out, experiment = tmp_path / "out", tmp_path / "x.yaml"
    experiment.write_text(EXPERIMENT.format(root=root, out=out, sizes=json.dumps(SMALL)))
    (tmp_path / "more").mkdir()
    pixels = np.random.default_rng(1).integers(0, 4000, (30, 40)).astype(np.uint16)
    save(dataset(pixels, "DX", series=f"{UID}.8", **SECRETS), tmp_path / "more/xray")
    frames(tmp_path / "more/enhanced", np.stack([pixels.astype(np.int16)] * 2), [0, 1], series=f"{UID}.9", **SECRETS)
    broken = dataset(pixels, "DX", series=f"{UID}.7", **SECRETS)
    broken.Rows = 31
    save(broken, tmp_path / "more/broken.dcm")
    scan = nib.Nifti1Image(np.random.default_rng(2).integers(0, 99, (20, 20, 3)).astype(np.int16), np.eye(4))
    for name, text in NIFTI.items():
        scan.header[name] = text
    scan.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Quixote of La Mancha"))
    nib.save(scan, tmp_path / "more/scan.nii.gz")
    with caplog.at_level("DEBUG"):
        assert main(["datasets", "check", "medical/dicom", str(root)]) in (0, 2)
        assert main(["fit", str(experiment)]) == 0
        (checkpoint,) = out.glob("runs/*/expert.ckpt")
        assert main(["test", str(experiment), f"checkpoint={checkpoint}"]) == 0
        files = [str(root / "test/tumour/2"), str(tmp_path / "more"), str(tmp_path / "more/scan.nii.gz")]
        status = main(
            ["predict", "--checkpoint", str(checkpoint), "--out", str(out / "maps"), "--device", "cpu", *files]
        )
    assert status == 2  # broken.dcm
    printed = assert_private(capfd, out)
    lines = [json.loads(line) for line in (out / "maps/predictions.jsonl").read_text().splitlines()]
    assert len(lines) == 5 and sum("error" in line for line in lines) == 1
    assert "broken.dcm: its pixels cannot be read" in printed.err
    assert not leaks("\n".join(record.getMessage() for record in caplog.records).encode())
