"""The root of a data set in; one record per cloud or mesh out. Opens no file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from framework.errors import UserError
from framework.registry import register
from framework.types import Record

SUFFIXES = (".pcd", ".ply", ".obj", ".stl")
NORMAL = ("good", "positive", "normal")


@register("dataset", "pointcloud/real3d")
def real3d(root: Path, split: str = "test") -> Iterator[Record]:
    """Clouds with a label per point: Real3D-AD, and Anomaly-ShapeNet (its folder ``pcd``).

    Layout: ``<category>/{train,test}/*.pcd`` and ``<category>/{gt,GT}/<stem>.txt`` with a row "x y z label", spaces or
    commas, for every point of a test cloud, unless the stem says "good" or "positive". ``train`` holds prototypes,
    all normal. Clouds of one numbered object, ``12_bulge`` and ``12_bulge_cut``, form a group.

    A cloud whose label file is missing still names it, so that it cannot be read without.

    Raises:
        UserError: the split is neither "train" nor "test".
    """
    if split not in ("train", "test"):
        raise UserError(f"pointcloud/real3d: no split {split!r}; use train or test.")
    for path in sorted(root.glob(f"*/{split}/*.pcd")):
        category = path.parent.parent
        defect = _defect(path.stem, category.name)
        if split == "train" or defect in NORMAL:
            yield Record(path, False, category.name, _group(path), truth_path=path)
            continue
        labels = [category / folder / f"{path.stem}.txt" for folder in ("gt", "GT")]
        found = next((label for label in labels if label.is_file()), labels[0])
        yield Record(path, True, category.name, _group(path), truth_path=found, defect=defect)


@register("dataset", "pointcloud/folder")
def folder(root: Path, split: str = "test") -> Iterator[Record]:
    """Any clouds or meshes sorted into folders, with a label per file.

    Layout: ``{good,normal}/*.{pcd,ply,obj,stl}`` for normal shapes, ``<any other name>/*`` for anomalous ones. There is
    no split: train and test list the same files.
    """
    for path in sorted(root.glob("*/*")):
        if path.suffix.lower() in SUFFIXES:
            name = path.parent.name
            anomalous = name.lower() not in NORMAL
            yield Record(path, anomalous, root.name, str(path), defect=name if anomalous else "")


def _defect(stem: str, category: str) -> str:
    """``12_bulge_cut`` and ``bowl0_bulge3`` are a "bulge"."""
    words = [re.sub(r"\d+$", "", word) for word in stem.removeprefix(f"{category}_").split("_")]
    words = [word for word in words if word and word != "cut"]
    normal = [word for word in words if word in NORMAL]
    return (normal or words or ["anomaly"])[-1]


def _group(path: Path) -> str:
    """The object that was scanned: its number in its category where the name starts with one, else the file."""
    number = re.match(r"\d+(?=_)", path.stem)
    return f"{path.parent.parent.name}/{number[0]}" if number else str(path)
