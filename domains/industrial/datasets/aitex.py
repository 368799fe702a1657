"""The folder of AITEX, long pictures of fabric, cut in tiles -> records. Opens the masks, and the heads of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from domains.industrial.datasets.listing import by_stem, pictures_below, quarter
from domains.industrial.images import size_of
from domains.industrial.truth import read_truth
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

TILE = 256  # pixels along the fabric
CODES = {
    "002": "broken end", "006": "broken yarn", "010": "broken pick", "016": "weft curling", "019": "fuzzyball",
    "022": "cut selvage", "023": "crease", "025": "warp ball", "027": "knots", "029": "contamination", "030": "nep",
    "036": "weft crack",
}  # fmt: skip


@register("dataset", "industrial/aitex")
def aitex(root: Path, split: str = "test", normals: str = "all") -> Iterator[Record]:
    """AITEX: woven fabrics in pictures of 4096 x 256 pixels, cut in tiles of 256 x 256, with masks.

    Layout: ``NODefect_images/<fabric>/*.png``, ``Defect_images/<picture>_<defect>_<fabric>.png``, masks
    ``Mask_images/<stem>_mask.png`` or ``_mask1`` and ``_mask2``; the copy on Kaggle has each folder in one of its name.
    Of a picture with a defect only the tiles that its mask marks are samples, so one without a mask is left out. A
    picture is the group. One split: test.

    Args:
        root: the folder of these.
        split: only "test" has samples, with ``normals: quarter`` "train" too.
        normals: "all" tests every normal tile; "quarter" as InCTRL a quarter of them, the rest is "train".

    Raises:
        UserError: an unknown choice, or no such folder.
        UnreadableError: a picture or mask is no readable picture.
        TruthError: a mask is of another size than its picture.
    """
    if normals not in ("all", "quarter"):
        raise UserError(unknown("value of normals", normals, ["all", "quarter"]))
    for name in ("NODefect_images", "Defect_images", "Mask_images"):
        if not (root / name).is_dir():
            raise UserError(f"{root}: no folder {name}. Set root to the folder that holds it.")
    if normals == "quarter" and split in ("train", "test"):
        yield from quarter([*_normal(root), *_defective(root)], split)
    elif split == "test":
        yield from _normal(root)
        yield from _defective(root)


def without_tile(root: Path) -> list[str]:
    """Names of the pictures with a defect that no tile is taken of, for they have no mask, or an empty one."""
    tiled = {record.path for record in _defective(root)}
    return [path.name for path in pictures_below(root / "Defect_images") if path not in tiled]


def _normal(root: Path) -> Iterator[Record]:
    """Every tile of every normal picture."""
    for path in pictures_below(root / "NODefect_images"):
        height, width = size_of(path)
        for number, left in enumerate(range(0, width, TILE)):
            box = (left, 0, min(left + TILE, width), height)
            yield Record(path, False, "fabric", path.stem, path, frame=number, box=box)


def _defective(root: Path) -> Iterator[Record]:
    """The tiles of the other pictures that a mask marks."""
    masks = by_stem(pictures_below(root / "Mask_images"))
    for path in pictures_below(root / "Defect_images"):
        if path.stem not in masks:
            continue
        height, width = size_of(path)
        mask = read_truth(masks[path.stem], (height, width), path)  # (H, W)
        code = path.stem.partition("_")[2].partition("_")[0]
        first, *others = masks[path.stem]
        for number, left in enumerate(range(0, width, TILE)):
            box = (left, 0, min(left + TILE, width), height)
            if mask[:, left : box[2]].any():
                yield Record(
                    path, True, "fabric", path.stem, first, CODES.get(code, code), frame=number,
                    more_truth=tuple(others), box=box,
                )  # fmt: skip
