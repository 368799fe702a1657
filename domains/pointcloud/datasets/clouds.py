"""The root of a set of clouds with a label per point in; its records out. Opens no file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from domains.pointcloud.files import listed
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

NORMAL = ("good", "positive", "normal")
TEMPLATES = ("template", "prototype")  # some copies keep them among the test clouds, where they are not counted
CUTS = ("all", "none", "only")
_ALIKE = 0.8  # of difflib: "microphone0_bulge2" and "micophone0_bulge2" reach 0.97


@register("dataset", "pointcloud/real3d")
def real3d(root: Path, split: str = "test", cut: str = "all") -> Iterator[Record]:
    """Real3D-AD: scanned objects with a label per point.

    Layout: ``<category>/{train,test}/*.pcd`` and ``<category>/{gt,GT}/<stem>.txt`` with a row "x y z label", spaces or
    commas, for every point of a test cloud, unless its stem says "good". ``train`` holds the prototypes, all normal,
    whether their names say "prototype" or "template". Clouds of one numbered object, ``12_bulge`` and ``12_bulge_cut``,
    form a group.

    A cloud whose label file is missing still names it, so that it cannot be read without.

    Args:
        root: the folder.
        split: "train" or "test".
        cut: "all" clouds, "none" or "only" of those that were cut from others, ``*_cut`` and ``*_copy``.

    Raises:
        UserError: another split, or another word for ``cut``.
    """
    if cut not in CUTS:
        raise UserError(unknown("pointcloud/real3d cut", cut, list(CUTS)))
    for path in _clouds(root, split, "pointcloud/real3d"):
        made = {"cut", "copy"} & set(path.stem.lower().split("_"))
        if cut == "all" or bool(made) == (cut == "only"):
            yield _record(path, split)


@register("dataset", "pointcloud/shapenet")
def shapenet(root: Path, split: str = "test") -> Iterator[Record]:
    """Anomaly-ShapeNet: sampled models with a label per point.

    Layout: the folder ``pcd`` of the release: ``[new*/]<category>/{train,test}/*.pcd`` and ``<category>/GT/<stem>.txt``
    with a row "x,y,z,label" for every point of a test cloud, in any order, unless its stem says "positive" or "good".
    ``train`` holds templates, all normal.

    Where a cloud has no labels of its name, those of the same number whose name is spelt alike and fits no other cloud
    are taken ("sink" and "concavity" mean the same), and ``datasets check`` says so.

    Raises:
        UserError: the split is neither "train" nor "test".
    """
    for path in _clouds(root, split, "pointcloud/shapenet"):
        yield _record(path, split)


def _clouds(root: Path, split: str, name: str) -> Iterator[Path]:
    """The .pcd files of a split, category by category; a test split without templates."""
    if split not in ("train", "test"):
        raise UserError(f"{name}: no split {split!r}; use train or test.")
    for path in listed(root, f"*/{split}/*.pcd", f"new*/*/{split}/*.pcd"):
        if split == "train" or not any(word in path.stem.lower() for word in TEMPLATES):
            yield path


def _record(path: Path, split: str) -> Record:
    """A normal cloud is its own truth; an anomalous one names its labels, whether or not they are there."""
    category = path.parent.parent
    defect = _defect(path.stem, category.name)
    if split == "train" or defect in NORMAL:
        return Record(path, False, category.name, _group(path), truth_path=path)
    folder = next((f for f in (category / "gt", category / "GT") if f.is_dir()), category / "gt")
    labels = folder / f"{path.stem}.txt"
    if not labels.is_file():
        labels = _misspelt(path, folder) or labels
    return Record(path, True, category.name, _group(path), truth_path=labels, defect=defect)


def _misspelt(path: Path, folder: Path) -> Path | None:
    """Labels of no other cloud whose name has the numbers of this one's and nearly its words."""
    stems = {_sense(p.stem): p for p in folder.glob("*.txt") if not (path.parent / f"{p.stem}.pcd").is_file()}
    near = difflib.get_close_matches(_sense(path.stem), list(stems), n=9, cutoff=_ALIKE)
    same = [stem for stem in near if _numbers(stem) == _numbers(_sense(path.stem))]
    return stems[same[0]] if len(same) == 1 else None


def _sense(stem: str) -> str:
    """The README of Anomaly-ShapeNet itself calls the labels of ``2_concavity`` ``2_sink``."""
    return stem.lower().replace("sink", "concavity")


def _numbers(stem: str) -> list[str]:
    return re.findall(r"\d+", stem)


def _defect(stem: str, category: str) -> str:
    """``12_bulge_cut`` and ``bowl0_bulge3`` are a "bulge"."""
    words = [re.sub(r"\d+$", "", word) for word in stem.removeprefix(f"{category}_").split("_")]
    words = [word for word in words if word and word not in ("cut", "copy")]
    normal = [word for word in words if word in NORMAL]
    return (normal or words or ["anomaly"])[-1]


def _group(path: Path) -> str:
    """The object that was scanned: its number in its category where the name starts with one, else the file."""
    number = re.match(r"\d+(?=_)", path.stem)
    return f"{path.parent.parent.name}/{number[0]}" if number else str(path)
