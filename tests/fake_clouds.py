"""Writes small 3D sets in the folder layouts of the originals: a dome on a tilted table, and balls with a bump."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from domains.pointcloud.making.procedural import write_pcd

FOCAL = 711.11 / 512  # of Eyecandies, for each pixel of a row
SIDE = 64


def scan(side=SIDE, dent=False, noise=1e-4, seed=0):
    """Metres before a camera that looks along z: ``(side, side, 3)`` float32, what is object, and what is dented."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    x, y = (columns - side / 2) / (FOCAL * side), (rows - side / 2) / (FOCAL * side)
    table = 0.45 / (1 + 0.08 * x + 0.12 * y)
    across = np.hypot(x, y) * 0.45 / 0.1  # of the dome's radius, 10 cm
    height = 0.03 * np.sqrt(np.clip(1 - across**2, 0, 1))
    dented = np.hypot(x * 0.45 - 0.03, y * 0.45 + 0.02) < 0.015
    z = table - height + 0.008 * (dented & dent) + rng.normal(0, noise, x.shape)
    xyz = np.stack([x * z, y * z, z], -1).astype(np.float32)
    return xyz, across < 1, dented & dent


def photograph(shown, marked):
    """``(H, W, 3)`` uint8: a brown object with a red spot on grey."""
    rgb = np.full((*shown.shape, 3), 90, np.uint8)
    rgb[shown], rgb[marked] = (150, 100, 60), (220, 30, 30)
    return rgb


def save(path, pixels):
    """A picture, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_scan(folder: Path, name="000", dent=False, scale=1.0, seed=0):
    """``xyz/NAME.tiff``, ``rgb/NAME.png`` and ``gt/NAME.png`` as MVTec 3D-AD has them; the path of the first."""
    import tifffile  # of an extra

    xyz, shown, marked = scan(dent=dent, seed=seed)
    xyz[:2] = 0  # a scanner measures nothing there
    path = folder / "xyz" / f"{name}.tiff"
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, xyz * np.float32(scale))
    save(folder / "rgb" / f"{name}.png", photograph(shown, marked))
    save(folder / "gt" / f"{name}.png", (marked * 255).astype(np.uint8))
    return path


def mvtec3d(root: Path, category="bagel"):
    """MVTec 3D-AD: 2 normal samples of each split, 2 with a hole."""
    for k, part in enumerate(("train/good", "validation/good", "test/good", "test/hole")):
        for n in range(2):
            write_scan(root / category / part, f"{n:03}", dent=part.endswith("hole"), seed=10 * k + n)
    return root


def write_candy(folder: Path, name="00", dent=False, seed=0, labelled=True):
    """All files of one sample of Eyecandies; the path of its depth."""
    xyz, shown, marked = scan(dent=dent, noise=0, seed=seed)
    depth = xyz[..., 2].astype(np.float64)
    low, high = float(depth.min()), float(depth.max())
    path = save(folder / f"{name}_depth.png", ((depth - low) / (high - low) * 65535).round().astype(np.uint16))
    (folder / f"{name}_info_depth.yaml").write_text(yaml.safe_dump({"normalization": {"min": low, "max": high}}))
    np.savetxt(folder / f"{name}_pose.txt", np.eye(4))
    for light in range(6):
        save(folder / f"{name}_image_{light}.png", photograph(shown, marked) // 2 + 10 * light)
    save(folder / f"{name}_normals.png", normals_of(xyz))
    if labelled:
        kinds = {"bumps": 0, "colors": 0, "dents": int(dent), "normals": 0}
        (folder / f"{name}_metadata.yaml").write_text(yaml.safe_dump({"anomalous": int(dent), **kinds}))
        for kind in ("", "bumps_", "colors_", "dents_", "normals_"):
            save(folder / f"{name}_{kind}mask.png", ((marked & (kind in ("", "dents_"))) * 255).astype(np.uint8))
    return path


def normals_of(xyz):
    """The picture of normals of a scan: y up, z towards the camera, 0 to 255 for -1 to 1."""
    down, right = np.gradient(xyz.astype(np.float64), axis=(0, 1))
    normal = np.cross(right, down)
    normal *= -np.sign(normal[..., 2:]) / np.linalg.norm(normal, axis=-1, keepdims=True)  # z is ahead, so < 0
    return ((normal * (1, -1, -1) + 1) * 127.5).round().astype(np.uint8)


def eyecandies(root: Path, category="Confetto"):
    """Eyecandies: 2 samples a split, in ``test_public`` one of them dented, and ``test_private`` without labels."""
    for k, split in enumerate(("train", "val", "test_public", "test_private")):
        for n in range(2):
            name = f"{n:03}" if split == "train" else f"{n:02}"
            spoiled = split.startswith("test") and n == 1
            folder = root / category / split / "data"
            write_candy(folder, name, spoiled, seed=10 * k + n, labelled=split != "test_private")
    return root


def ball(count=600, bump=False, seed=0):
    """``(count, 3)`` points, millimetres, and ``(count,)`` bool, which of them are on the bump."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    points *= 15 / np.linalg.norm(points, axis=1, keepdims=True)
    marked = (points[:, 2] > 12) & bump
    points[marked] *= 1.1
    return points.astype(np.float32), marked


def _write_labels(path: Path, points, marked, delimiter, order=None):
    order = np.arange(len(points)) if order is None else order
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, np.c_[points, marked][order], ["%.6f"] * 3 + ["%d"], delimiter)


def real3d(root: Path, category="duck", copied=False):
    """Real3D-AD: spaces, ``gt`` and ``_prototype``, or as PointAD has it: commas, ``GT`` and ``_template``."""
    for n in range(1, 3):
        name = f"{n}_template" if copied else f"{n}_prototype"
        write_pcd(root / category / "train" / f"{name}.pcd", ball(900, seed=n)[0])
    for n, stem in enumerate(("1_good", "1_good_cut", "2_bulge", "2_bulge_cut", "3_sink")):
        points, marked = ball(bump="good" not in stem, seed=10 + n)
        write_pcd(root / category / "test" / f"{stem}.pcd", points)
        if "good" not in stem:
            labels = root / category / ("GT" if copied else "gt") / f"{stem}.txt"
            _write_labels(labels, points, marked, "," if copied else " ")
    return root


def shapenet(root: Path, category="bowl0"):
    """Anomaly-ShapeNet, the folder ``pcd``: commas, rows in another order than the cloud's points."""
    write_pcd(root / category / "train" / f"{category}_template0.pcd", ball(seed=1)[0])
    for n, stem in enumerate((f"{category}_positive0", f"{category}_bulge0", f"{category}_concavity1")):
        points, marked = ball(bump="positive" not in stem, seed=20 + n)
        write_pcd(root / category / "test" / f"{stem}.pcd", points)
        if "positive" not in stem:
            order = np.random.default_rng(n).permutation(len(points))
            _write_labels(root / category / "GT" / f"{stem}.txt", points, marked, ",", order)
    return root
