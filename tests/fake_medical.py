"""Small medical sets in the layouts the originals ship, written where a test wants them."""

import itertools
import json
from pathlib import Path

import numpy as np
from PIL import Image

_VALUES = itertools.count(1)


def picture(path: Path, value: int | None = None, size: tuple[int, int] = (6, 8)) -> Path:
    """A grey picture like no other, unless ``value`` says which."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = np.random.default_rng(next(_VALUES) if value is None else value).integers(0, 255, size, np.uint8)
    Image.fromarray(content).save(path)
    return path


def mask(path: Path, size: tuple[int, int] = (6, 8), marked: int = 5, white: int = 255) -> Path:
    """A mask of which the first pixels are marked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = np.zeros(size, np.uint8)
    content.flat[:marked] = white
    Image.fromarray(content).save(path, **({"quality": 100} if path.suffix == ".jpg" else {}))
    return path


def litter(folder: Path, *names: str) -> None:
    """Files that systems and scripts leave beside pictures."""
    for name in ("Thumbs.db", ".DS_Store", "._1.png", "meta.json", *names):
        (folder / name).write_bytes(b"junk")


def bmad(root: Path, masks: str = "anomaly_mask", img: bool = True, patients: tuple[str, ...] = ("7", "8")) -> Path:
    """One set of BMAD: patients 1 and 2 in train, the first of ``patients`` healthy in test, the second not."""
    inner = "img/" if img else ""
    for patient, number in itertools.product((1, 2), (10, 20)):
        picture(root / f"train/good/{inner}{patient}_{number}.png")
    for split in ("valid", "test"):
        for label, patient in zip(("good", "Ungood"), patients if split == "test" else ("5", "6"), strict=True):
            for number in (60, 68):
                picture(root / split / label / f"{inner}{patient}_{number}.png")
                if masks and label == "Ungood":
                    mask(root / split / label / masks / f"{patient}_{number}.png")
        litter(root / split / "good" / inner)
    return root


def head_ct(root: Path, header: str = "id, hemorrhage") -> Path:
    """HeadCT as released: every other of four slices bleeds."""
    for number in range(4):
        picture(root / f"head_ct/head_ct/{number:03}.png")
    (root / "labels.csv").write_text("\n".join([header, *(f"{n},{n % 2}" for n in range(4))]) + "\n")
    return root


def masked(images: Path, masks: Path, stems: str | list[str], image: str = ".png", ending: str = ".png") -> None:
    """Pictures and their masks; the k-th mask marks k + 1 pixels."""
    for number, stem in enumerate(stems):
        picture(images / f"{stem}{image}")
        mask(masks / f"{stem}{ending}", marked=number + 1)


def meta_json(root: Path, split: str = "test") -> Path:
    """A set as AdaCLIP lists it, with an entry for the list itself, as a script that is run twice makes."""

    def entry(path: str, mask_path: str, anomaly: int) -> dict[str, object]:
        return {
            "img_path": path, "mask_path": mask_path, "cls_name": "colon", "specie_name": "defect", "anomaly": anomaly,
        }  # fmt: skip

    picture(root / "colon/test/good/0.png")
    masked(root / "colon/test/defect", root / "colon/ground_truth/defect", ["1"])
    lines = [
        entry("colon/test/good/0.png", "", 0),
        entry("colon/test/defect/1.png", "colon/ground_truth/defect/1.png", 1),
        entry("meta.json", "", 1),
    ]
    (root / "meta.json").write_text(json.dumps({split: {"colon": lines}}))
    return root


def volume(path: Path, marked: dict[int, float] | None = None, dtype: type = np.int16, channels: int = 0) -> Path:
    """A NIfTI scan of (8, 9, 6) voxels that is empty in its first and last axial slice; or where ``marked`` a mask.

    Args:
        path: to write.
        marked: axial slice -> value of two of its voxels.
        dtype: of the file.
        channels: of a scan with four dimensions.
    """
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((8, 9, 6), dtype)
    if marked is None:
        values[2:6, 2:7, 1:5] = np.random.default_rng(next(_VALUES)).integers(500, 1000, (4, 5, 4))
    for index, value in (marked or {}).items():
        values[3, 3:5, index] = value
    if channels:
        values = np.stack([values * (k + 1) for k in range(channels)], -1)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, 1.0, 2.0, 1.0])), path)
    return path
