"""The folders of DAGM and of the magnetic tiles -> records. Opens no picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from domains.industrial.datasets.listing import folders, masked, masks_in
from domains.industrial.images import list_images
from framework.registry import register
from framework.types import Record

_NUMBER = re.compile(r"exp\d+_num_(\d+)$")
_FREE = "Free"


@register("dataset", "industrial/dagm")
def dagm(root: Path, split: str = "test") -> Iterator[Record]:
    """DAGM 2007: ten artificial textures, each with a kind of defect, which an ellipse marks roughly.

    Layout: ``Class<N>/{Train,Test}/<NNNN>.PNG``, also with the folder of a class in one of its name, and
    ``Label/<NNNN>_label.PNG`` beside the defective pictures alone, which ``Label/Labels.txt`` counts: a line is number,
    0 or 1, picture, a number, mask. A picture is normal where it has no mask and no line says 1.

    Args:
        root: the folder of the classes.
        split: "test" or "train"; both have both labels.
    """
    for place in folders(root):
        for part in (*folders(place), *folders(place / place.name)):
            if part.name.lower() != split or not place.name.lower().startswith("class"):
                continue
            masks, defective = masks_in(part / "Label"), _defective(part / "Label" / "Labels.txt")
            for path in list_images(part):
                if path.stem in masks or path.stem in defective:
                    record = Record(path, True, place.name, defect="defect")
                    yield masked(record, masks, part / "Label" / f"{path.stem}_label.PNG")
                else:
                    yield Record(path, False, place.name, truth_path=path)


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


def _defective(table: Path) -> set[str]:
    """Stems of the pictures that a list of DAGM says are defective; none where there is no list."""
    if not table.is_file():
        return set()
    lines = (line.split() for line in table.read_text(encoding="utf-8", errors="replace").splitlines())
    return {Path(cells[2]).stem for cells in lines if len(cells) > 2 and cells[1] == "1"}
