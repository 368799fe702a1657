"""The root of a folder of anybody's clouds, meshes or scans in; its records out. Opens no file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from domains.pointcloud.datasets.clouds import NORMAL
from domains.pointcloud.files import SCANS, SUFFIXES, companions, listed
from framework.registry import register
from framework.types import Record

LABELS = ("{}.txt", "{}_labels.txt", "{}.npy", "{}_labels.npy")  # of a cloud or a mesh
MASKS = ("{}_mask.png",)  # of a scan


@register("dataset", "pointcloud/folder")
def folder(root: Path, split: str = "test") -> Iterator[Record]:
    """Any clouds, meshes or organised scans sorted into folders, with a label per file and, if you like, per point.

    Layout: ``{good,normal}/*`` for normal shapes, ``<any other name>/*`` for anomalous ones, of any ending the domain
    reads; or these folders in a folder for each category. Below ``train`` and ``test`` where the root has such folders,
    else every split is all of it.

    Labels lie beside an anomalous shape: ``<stem>.txt`` with a row "x y z label" a point, or ``<stem>_labels.txt``,
    ``<stem>.npy`` or ``<stem>_labels.npy`` with one number a point; for a scan ``<stem>_mask.png``. Where any shape
    has labels, no point of a normal one is anomalous. Files with one name that ends in ``_pair<number>`` are of one
    object.
    """
    base = root / split if any((root / name).is_dir() for name in (split, "train", "test")) else root
    shapes = [p for p in listed(base, "*/*", "*/*/*") if p.name.lower().endswith(SUFFIXES)]
    labels = {p: _labels(p) for p in shapes if p.parent.name.lower() not in NORMAL}
    labelled = any(labels.values())
    for path in shapes:
        anomalous = path in labels
        truth = labels[path] if anomalous else path if labelled else None
        defect = path.parent.name if anomalous else ""
        category = root.name if path.parent.parent == base else path.parent.parent.name
        pair = re.search(r"_pair\d+$", path.stem)
        group = f"{category}/{path.stem}" if pair else str(path)
        yield Record(path, anomalous, category, group, truth, defect, beside=companions(path))


def _labels(path: Path) -> Path | None:
    """The file with the labels of a shape, or None."""
    stem = path.name[: -len(path.suffix)].removesuffix("_depth")
    forms = MASKS if path.name.lower().endswith(SCANS) else LABELS
    return next((p for form in forms if (p := path.with_name(form.format(stem))).is_file()), None)
