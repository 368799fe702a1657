"""Small industrial sets in the layouts the originals ship, written where a test wants them."""

import itertools
import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

_VALUES = itertools.count(1)
SIZE = (6, 8)


def picture(path: Path, size: tuple[int, int] = SIZE) -> Path:
    """A grey picture like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(next(_VALUES)).integers(0, 255, size, np.uint8)).save(path)
    return path


def mask(path: Path, *marked: int, size: tuple[int, int] = SIZE, white: int = 255) -> Path:
    """A mask of which these pixels, counted row by row, are marked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = np.zeros(size, np.uint8)
    content.flat[list(marked)] = white
    Image.fromarray(content).save(path)
    return path


def mvtec_loco(root: Path, category: str = "pushpins") -> Path:
    """A picture of each kind; the logical one has two masks, of small values."""
    for place in ("train/good", "validation/good", "test/good", "test/logical_anomalies", "test/structural_anomalies"):
        picture(root / category / place / "000.png")
    truth = root / category / "ground_truth"
    mask(truth / "logical_anomalies/000/000.png", 3, white=1)
    mask(truth / "logical_anomalies/000/001.png", 7, white=254)
    mask(truth / "structural_anomalies/000/000.png", 5, white=240)
    return root


def mvtec_ad2(root: Path) -> Path:
    """Object 000 good and 000 bad, each under two lights; private pictures without labels."""
    for place, light in itertools.product(
        ("train/good", "validation/good", "test_public/good"), ("regular", "shift_1")
    ):
        picture(root / "can" / place / f"000_{light}.png")
    for light in ("regular", "overexposed"):
        picture(root / f"can/test_public/bad/000_{light}.png")
        mask(root / f"can/test_public/ground_truth/bad/000_{light}_mask.png", 2, 3)
        for split in ("test_private", "test_private_mixed"):
            picture(root / f"can/{split}/000_{light}.png")
    return root


def btad(root: Path) -> Path:
    """Product 01 has BMP pictures and PNG masks, 02 PNG alone, 03 BMP alone."""
    for product, ending, of_masks in (("01", "bmp", "png"), ("02", "png", "png"), ("03", "bmp", "bmp")):
        for place in ("train/ok", "test/ok", "test/ko"):
            picture(root / product / place / f"0000.{ending}")
        mask(root / product / f"ground_truth/ko/0000.{of_masks}", 4)
    return root


def aitex(root: Path, nested: bool = False, tiles: int = 4) -> Path:
    """Two normal pictures, one marked in tiles 0 and 3, one by two masks in tile 1, one without a mask, one empty."""
    size = (256, 256 * tiles)
    for number in (1, 2):
        picture(root / f"NODefect_images/2306881-210020u/000{number}_000_00.png", size)
    places = [root / name / name if nested else root / name for name in ("Defect_images", "Mask_images")]
    for stem in ("0003_002_00", "0044_019_04", "0100_025_08", "0106_010_03"):
        picture(places[0] / f"{stem}.png", size)
    mask(places[1] / "0003_002_00_mask.png", 255, 3 * 256, size=size)
    mask(places[1] / "0044_019_04_mask1.png", 256, size=size)
    mask(places[1] / "0044_019_04_mask2.png", 257, size=size)
    mask(places[1] / "0106_010_03_mask.png", size=size)
    return root


def dagm(root: Path) -> Path:
    """Two classes of a normal and a defective picture in each split."""
    for name, split in itertools.product(("Class1", "Class10"), ("Train", "Test")):
        place = root / name / split
        picture(place / "0001.PNG")
        picture(place / "0002.PNG")
        mask(place / "Label/0002_label.PNG", 1, 2)
        (place / "Label/Labels.txt").write_text("1\n1\t0\t0001.PNG\t0\t0\n2\t1\t0002.PNG\t0\t0002_label.PNG\n")
    return root


def ksdd(root: Path) -> Path:
    """Three commutators of two parts; Part1 of kos02 is marked in its last third. The folds lie beside them."""
    for commutator, part in itertools.product(("kos01", "kos02", "kos03"), (0, 1)):
        picture(root / commutator / f"Part{part}.jpg")
        mask(root / commutator / f"Part{part}_label.bmp", *([47] if (commutator, part) == ("kos02", 1) else []))
    folds = [["kos02", "kos03"], ["kos01"]], [["kos01"], ["kos02", "kos03"]], ["kos01", "kos02", "kos03"]
    (root / "split.pyb").write_bytes(pickle.dumps(folds))
    return root


def ksdd2(root: Path) -> Path:
    """A normal and a defective picture in each split, and the two copies that the release has."""
    for split, number in itertools.product(("train", "test"), (0, 1)):
        picture(root / split / f"1000{number}.png")
        mask(root / split / f"1000{number}_GT.png", *[9] * number)
    picture(root / "train/10301 (copy).png")
    mask(root / "train/10301_GT (copy).png")
    return root


def mtd(root: Path) -> Path:
    """A tile without a defect, and one with a crack that is seen twice."""
    for place, name in (("MT_Free", "exp1_num_7"), ("MT_Crack", "exp1_num_8"), ("MT_Crack", "exp2_num_8")):
        picture(root / place / f"Imgs/{name}.jpg")
        mask(root / place / f"Imgs/{name}.png", *([6] if place == "MT_Crack" else []))
    (root / "MT_Uneven").mkdir()
    (root / "README.md").touch()
    return root


def realiad(root: Path, size: int = 256, views: int = 5) -> Path:
    """One normal and one scratched sample of a mint seen by several cameras, a normal one to train on."""
    place, held = root / f"realiad_{size}/mint", {"train": [], "test": []}
    for split, kind, inside in (("train", "OK", "OK/S0001"), ("test", "OK", "OK/S0002"), ("test", "HS", "NG/HS/S0001")):
        for view in range(1, views + 1):
            name = f"{inside}/mint_{inside[-4:]}_{kind}_C{view}_20230101000000"
            picture(place / f"{name}.jpg")
            marks = kind != "OK" and view == 1  # in the other views a defect may not be seen, and these are normal
            if marks:
                mask(place / f"{name}.png", 10)
            entry = {"category": "mint", "anomaly_class": kind if marks else "OK", "image_path": f"{name}.jpg"}
            held[split].append(entry | {"mask_path": f"{name}.png" if marks else None})
    meta = {"prefix": "mint/", "normal_class": "OK", "pre_transform": True}
    for lists, kept in (("realiad_jsons", held), ("realiad_jsons_sv", {k: v[:1] for k, v in held.items()})):
        (root / lists).mkdir(parents=True, exist_ok=True)
        (root / lists / "mint.json").write_text(json.dumps({"meta": meta, **kept}))
    return root


def deeppcb(root: Path, boxes: str = "1 1 3 3 1\n4,2,8,6,6\n") -> Path:
    """A pair in each split, with two boxes."""
    base = root / "PCBData"
    for number, name in ((20085000, "trainval.txt"), (20085291, "test.txt")):
        for which in ("test", "temp"):
            picture(base / f"group20085/20085/{number}_{which}.jpg")
        (base / "group20085/20085_not").mkdir(exist_ok=True)
        (base / f"group20085/20085_not/{number}.txt").write_text(boxes)
        (base / name).write_text(f"group20085/20085/{number}.jpg group20085/20085_not/{number}.txt\n")
    return root


def visa_copy(root: Path) -> Path:
    """VisA as its own script reorganises it: JPEG pictures, masks of the same stem."""
    for place in ("train/good", "test/good", "test/bad"):
        picture(root / "candle" / place / "000.JPG")
    mask(root / "candle/ground_truth/bad/000.png", 11, white=1)
    return root


def meta_json(root: Path) -> Path:
    """A normal and a marked picture of one class, listed under Test, and the list in its own list."""
    picture(root / "dagm/Class1/1.png"), picture(root / "dagm/Class1/2.png")
    mask(root / "dagm/Class1/Label/2.png", 12)
    entries = [
        {"img_path": f"dagm/Class1/{n}.png", "mask_path": m, "cls_name": "Class1", "specie_name": s, "anomaly": a}
        for n, m, s, a in ((1, "", "good", 0), (2, "dagm/Class1/Label/2.png", "defect", 1))
    ]
    entries.append(entries[0] | {"img_path": "meta.json"})
    (root / "meta.json").write_text(json.dumps({"Train": {"Class1": []}, "Test": {"Class1": entries}}))
    return root
