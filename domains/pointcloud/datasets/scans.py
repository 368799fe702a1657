"""The root of a set of organised scans in; its records out. Opens nothing but the labels of Eyecandies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from domains.pointcloud.files import companions, listed
from framework.errors import TruthError, UserError
from framework.registry import register
from framework.types import Record

KINDS = ("bumps", "colors", "dents", "normals")  # of anomalies of Eyecandies; several in one object


@register("dataset", "pointcloud/mvtec3d")
def mvtec3d(root: Path, split: str = "test") -> Iterator[Record]:
    """MVTec 3D-AD: organised scans with a photograph and a label per pixel; also M3DM's copy of Eyecandies.

    Layout: ``<category>/{train,validation,test}/<defect>/{xyz/NNN.tiff,rgb/NNN.png,gt/NNN.png}``; ``good`` is normal.

    Raises:
        UserError: another split.
    """
    if split not in ("train", "validation", "test"):
        raise UserError(f"pointcloud/mvtec3d: no split {split!r}; use train, validation or test.")
    for path in listed(root, f"*/{split}/*/xyz/*.tiff"):
        folder = path.parent.parent
        normal = folder.name == "good"
        truth = path if normal else folder / "gt" / f"{path.stem}.png"
        defect = "" if normal else folder.name
        yield Record(
            path, not normal, folder.parent.parent.name, truth_path=truth, defect=defect, beside=companions(path)
        )


@register("dataset", "pointcloud/eyecandies")
def eyecandies(root: Path, split: str = "test_public") -> Iterator[Record]:
    """Eyecandies: rendered sweets as depth, normals and photographs under six lights, with a label per pixel.

    Layout: ``<Category>/{train,val,test_public}/data/NN_{depth,normals,image_0..5,mask}.png`` and
    ``NN_{info_depth,metadata}.yaml``. ``train`` and ``val`` are normal; what ``test_public`` is, ``NN_metadata.yaml``
    says, or the mask where it does not. Which light colours the points is an option of the reader.

    Raises:
        UserError: ``test_private``, which was published without labels, or another split.
        TruthError: a test sample has neither labels nor mask.
    """
    if split == "test_private":
        raise UserError("pointcloud/eyecandies: test_private was published without labels; use test_public.")
    if split not in ("train", "val", "test_public"):
        raise UserError(f"pointcloud/eyecandies: no split {split!r}; use train, val or test_public.")
    for path in listed(root, f"*/{split}/data/*_depth.png"):
        stem = path.name.removesuffix("_depth.png")
        kinds = _kinds(path, stem) if split == "test_public" else []
        truth = path.with_name(f"{stem}_mask.png") if kinds else path
        category = path.parent.parent.parent.name
        yield Record(path, bool(kinds), category, truth_path=truth, defect="+".join(kinds), beside=companions(path))


def _kinds(path: Path, stem: str) -> list[str]:
    """What is wrong with a test sample: ``KINDS``, or "anomaly" where that is all that is known; nothing if normal."""
    told, mask = path.with_name(f"{stem}_metadata.yaml"), path.with_name(f"{stem}_mask.png")
    try:
        labels: Any = yaml.safe_load(told.read_text()) if told.is_file() else {}
        if "anomalous" in labels:
            return ([k for k in KINDS if labels.get(k)] or ["anomaly"]) if int(labels["anomalous"]) else []
    except (OSError, ValueError, TypeError, yaml.YAMLError):
        raise TruthError(f"{told}: must read 'anomalous: 0' or 'anomalous: 1'.") from None
    try:
        with Image.open(mask) as image:
            return ["anomaly"] if np.asarray(image).any() else []
    except (OSError, ValueError, SyntaxError) as error:
        raise TruthError(f"{path}: neither {told.name} nor {mask.name} says what it is ({error}).") from None
