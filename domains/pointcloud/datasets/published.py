"""The records of a 3D set in; what `datasets check` should say of the set as a whole out, a line each.

Sources of the counts: MVTec 3D-AD, Bergmann et al. 2022, table 1 (2656 training, 294 validation, 1197 test scans);
Eyecandies, its page "Download"; Real3D-AD, its README; Anomaly-ShapeNet, its README, which gives no test count.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from domains.pointcloud.files import load
from framework.errors import UnreadableError
from framework.registry import register
from framework.types import Record

Counts = dict[str, tuple[int, int]]  # normal and anomalous samples of each category
FAR = 100.0  # times larger than another of its category: one is in millimetres, the other in metres

_MVTEC3D = {
    "bagel": (244, 22, 22, 88), "cable_gland": (223, 23, 21, 87), "carrot": (286, 29, 27, 132),
    "cookie": (210, 22, 28, 103), "dowel": (288, 34, 26, 104), "foam": (236, 27, 20, 80), "peach": (361, 42, 26, 106),
    "potato": (300, 33, 22, 92), "rope": (298, 33, 32, 69), "tire": (210, 29, 25, 87),
}  # fmt: skip
_EYECANDIES = (
    "CandyCane", "ChocolateCookie", "ChocolatePraline", "Confetto", "GummyBear", "HazelnutTruffle", "LicoriceSandwich",
    "Lollipop", "Marshmallow", "PeppermintCandy",
)  # fmt: skip
_REAL3D = (
    "airplane", "candybar", "car", "chicken", "diamond", "duck", "fish", "gemstone", "seahorse", "shell", "starfish",
    "toffees",
)  # fmt: skip
_SHAPENET = {
    "ashtray": "0", "bag": "0", "bottle": "013", "bowl": "012345", "bucket": "01", "cap": "0345", "cup": "01",
    "eraser": "0", "headset": "01", "helmet": "0123", "jar": "0", "microphone": "0", "shelf": "0", "tap": "01",
    "vase": "012345789",
}  # fmt: skip


@register("checks", "pointcloud/mvtec3d")
def mvtec3d(records: list[Record], split: str) -> list[str]:
    """Counts of MVTec 3D-AD, or of M3DM's copy of Eyecandies, and units."""
    if {r.category for r in records} <= set(_EYECANDIES):
        eyes = {"train": (1000, 0), "test": (25, 25)}
        return [*_compare(records, split, dict.fromkeys(_EYECANDIES, eyes.get(split, (0, 0)))), *units(records)]
    column = ("train", "validation", "test").index(split)
    counts = {c: (n[column], n[3] if split == "test" else 0) for c, n in _MVTEC3D.items()}
    return [*_compare(records, split, counts), *units(records)]


@register("checks", "pointcloud/eyecandies")
def eyecandies(records: list[Record], split: str) -> list[str]:
    """Counts of Eyecandies, and units."""
    counts = {"train": (1000, 0), "val": (100, 0), "test_public": (25, 25)}[split]
    return [*_compare(records, split, dict.fromkeys(_EYECANDIES, counts)), *units(records)]


@register("checks", "pointcloud/real3d")
def real3d(records: list[Record], split: str) -> list[str]:
    """Counts of Real3D-AD, and units."""
    test = dict.fromkeys(_REAL3D, (50, 50)) | {"chicken": (52, 54), "shell": (52, 48)}
    return [*_compare(records, split, dict.fromkeys(_REAL3D, (4, 0)) if split == "train" else test), *units(records)]


@register("checks", "pointcloud/shapenet")
def shapenet(records: list[Record], split: str) -> list[str]:
    """Counts of Anomaly-ShapeNet's 40 categories as far as they are published, labels of another name, and units."""
    known = [f"{name}{digit}" for name, digits in _SHAPENET.items() for digit in digits]
    told = _compare(records, split, dict.fromkeys(known, (4, 0))) if split == "train" else _missing(records, known)
    renamed = [(r.path, r.truth_path) for r in records if r.truth_path and r.truth_path.stem != r.path.stem]
    spelt = [f"{path}: its labels are taken from {labels.name}, which is spelt otherwise." for path, labels in renamed]
    return [*told, *spelt, *units(records)]


@register("checks", "pointcloud/folder")
def folder(records: list[Record], split: str) -> list[str]:
    """Units."""
    return units(records)


def units(records: list[Record]) -> list[str]:
    """A line for each category whose shapes are of such different size that their units must differ."""
    sizes: dict[str, dict[float, Record]] = defaultdict(dict)
    for record in records:
        try:
            shape = load(record.path, background="keep")
        except UnreadableError:
            continue  # `datasets check` has told it
        sizes[record.category][float(np.ptp(shape.points[shape.finite], axis=0).max())] = record
    lines = []
    for category, found in sizes.items():
        small, large = min(found), max(found)
        if large > FAR * small:
            lines.append(
                f"{category}: {found[large].path} is {large / small:.0f} times as large as {found[small].path}; "
                "if one is in millimetres and the other in metres, convert one."
            )
    return lines


def _compare(records: list[Record], split: str, published: Counts) -> list[str]:
    """A line for each category whose counts differ, and for the categories that are missing or not known."""
    counts = {c: Counter(r.anomalous for r in records if r.category == c) for c in {r.category for r in records}}
    lines = [
        f"{category}: {counts[category][False]} normal and {counts[category][True]} anomalous differ from the "
        f"published {normal} and {anomalous} of split {split}."
        for category, (normal, anomalous) in published.items()
        if category in counts and (counts[category][False], counts[category][True]) != (normal, anomalous)
    ]
    return [*lines, *_missing(records, list(published))]


def _missing(records: list[Record], known: list[str]) -> list[str]:
    """What the set lacks of the published categories, and has beyond them; nothing where it shares none of them."""
    found = {r.category for r in records}
    if not found & set(known):
        return []  # a set of one's own in the same layout
    lacking, beyond = sorted(set(known) - found), sorted(found - set(known))
    lines = (
        [f"{len(lacking)} of {len(known)} published categories are not here: {', '.join(lacking)}."] if lacking else []
    )
    return (
        [*lines, f"not among the categories that results are published for: {', '.join(beyond)}."] if beyond else lines
    )
