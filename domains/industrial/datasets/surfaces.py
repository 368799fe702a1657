"""The folders of DAGM and of the magnetic tiles -> records. Opens no picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from domains.industrial.datasets.listing import folders, masks_in
from domains.industrial.images import list_images
from framework.registry import register
from framework.types import Record

_NUMBER = re.compile(r"exp\d+_num_(\d+)$")
_FREE = "Free"


@register("dataset", "industrial/dagm")
def dagm(root: Path, split: str = "test") -> Iterator[Record]:
    """DAGM 2007: ten artificial textures, each with a kind of defect, which an ellipse marks roughly.

    Layout: ``Class<N>/{Train,Test}/<NNNN>.PNG``, masks ``Class<N>/{Train,Test}/Label/<NNNN>_label.PNG`` of the
    defective pictures alone: a picture without one is normal.

    Args:
        root: the folder of the classes.
        split: "test" or "train"; both have both labels.
    """
    for place in folders(root):
        for part in (p for p in folders(place) if p.name.lower() == split and place.name.lower().startswith("class")):
            masks = masks_in(part / "Label")
            for path in list_images(part):
                truth, *others = masks.get(path.stem, [path])
                anomalous = truth != path
                yield Record(
                    path, anomalous, place.name, truth_path=truth, defect="defect" if anomalous else "",
                    more_truth=tuple(others),
                )  # fmt: skip


@register("dataset", "industrial/mtd")
def mtd(root: Path, split: str = "test") -> Iterator[Record]:
    """Magnetic tile defects: blowholes, breaks, cracks, frays and uneven tiles, with masks.

    Layout: ``MT_{Blowhole,Break,Crack,Fray,Free,Uneven}/Imgs/exp<E>_num_<N>.jpg`` and a mask of the same stem, PNG;
    the number is the group. One split: test.

    Args:
        root: the folder of these.
        split: only "test" has samples.
    """
    if split != "test":
        return
    for place in folders(root):
        if not place.name.startswith("MT_"):
            continue
        defect = place.name.removeprefix("MT_")
        for path in list_images(place / "Imgs") if (place / "Imgs").is_dir() else ():
            if path.suffix.lower() == ".png":
                continue
            number = _NUMBER.match(path.stem)
            normal = defect == _FREE
            yield Record(
                path,
                not normal,
                "tile",
                group=number[1] if number else "",
                truth_path=path if normal else path.with_suffix(".png"),
                defect="" if normal else defect.lower(),
            )
