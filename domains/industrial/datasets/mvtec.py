"""A folder in the layout of MVTec AD or a kin of it -> records. Opens no picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from domains.industrial.datasets.listing import folders, labelled
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

NORMAL = ("good", "normal", "ok")  # names of a folder of normal pictures in a plain set
MASKS = ("ground_truth", "masks")  # and of the folder of its masks
AD2 = ("train", "validation", "test_public")


@register("dataset", "industrial/mvtec")
def mvtec(root: Path, split: str = "test", categories: list[str] | None = None) -> Iterator[Record]:
    """MVTec AD and every set in its layout (MPDD, DTD-Synthetic, VisA's and others' reorganised copies), with masks.

    Layout: ``<category>/<split>/<good or defect>/*.png``, masks in
    ``<category>/ground_truth/<defect>/<stem>_mask.png``, or ``<stem>.png`` of any ending; the root may be one category.
    A category without ``ground_truth`` has labels only.

    Args:
        root: the folder of the categories, or one category.
        split: "test", or "train" (normal pictures only).
        categories: read only these; None reads all.

    Raises:
        UserError: a category that is not there.
        TruthError: a picture with two masks.
    """
    for category, place in _places(root, split, categories):
        masks = place / "ground_truth"
        yield from labelled(place / split, masks if masks.is_dir() else None, category, ("good",))


@register("dataset", "industrial/mvtec_loco")
def mvtec_loco(root: Path, split: str = "test", categories: list[str] | None = None) -> Iterator[Record]:
    """MVTec LOCO AD: structural and logical anomalies, with masks. The defect is "structural" or "logical".

    Layout: ``<category>/{train,validation}/good/*.png``,
    ``<category>/test/{good,logical_anomalies,structural_anomalies}/*.png``, masks in
    ``<category>/ground_truth/<kind>/<stem>/000.png, 001.png, ...``: a picture's truth is the union of its masks, and
    any value above 0 marks, for each kind of defect has a value of its own.

    Args:
        root: the folder of the categories, or one category.
        split: "test", "train" or "validation" (normal pictures only).
        categories: read only these; None reads all.

    Raises:
        UserError: a category that is not there.
    """
    for record in mvtec(root, split, categories):
        yield replace(record, defect=record.defect.removesuffix("_anomalies"))


@register("dataset", "industrial/mvtec_ad2")
def mvtec_ad2(root: Path, split: str = "test_public", categories: list[str] | None = None) -> Iterator[Record]:
    """MVTec AD 2: hard cases under changing light, with masks for its public test split.

    Layout: ``<category>/{train,validation}/good/*.png``, ``<category>/test_public/{good,bad}/<number>_<light>.png``,
    masks in ``<category>/test_public/ground_truth/bad/<number>_<light>_mask.png``. Pictures of one number show one
    object, which is the group. ``test_private`` and ``test_private_mixed`` have no labels.

    Args:
        root: the folder of the categories, or one category.
        split: "test_public", or "train" or "validation" (normal pictures only).
        categories: read only these; None reads all.

    Raises:
        UserError: a category or split that is not there, or a split without labels.
    """
    if split.startswith("test_private"):
        raise UserError(
            f"{root}: the labels of {split} are not published, only MVTec's evaluation server has them. Test on "
            "test_public; `anomaly-ov predict` writes maps of any picture."
        )
    if split not in AD2:
        raise UserError(f"{root}: {unknown('split', split, list(AD2))}")
    for category, place in _places(root, split, categories):
        masks = place / "test_public" / "ground_truth"
        known = masks if masks.is_dir() else None
        for record in labelled(place / split, known, category, ("good",), skip=("ground_truth",)):
            number = record.path.stem.partition("_")[0]
            yield replace(record, group=f"{category}/{split}/{record.path.parent.name}/{number}")


@register("dataset", "industrial/btad")
def btad(root: Path, split: str = "test", categories: list[str] | None = None) -> Iterator[Record]:
    """BTAD: three products of beanTech, with masks.

    Layout: ``{01,02,03}/<split>/{ok,ko}/*``, masks of the same stem in ``{01,02,03}/ground_truth/ko``, whatever their
    ending: 01 has BMP pictures and PNG masks, 02 PNG alone, 03 BMP alone. Without ``ground_truth`` labels only.

    Args:
        root: the folder of the products, or one product.
        split: "test", or "train" (normal pictures only).
        categories: read only these; None reads all.

    Raises:
        UserError: a category that is not there.
        TruthError: a picture with two masks.
    """
    for category, place in _places(root, split, categories):
        masks = place / "ground_truth"
        yield from labelled(place / split, masks if masks.is_dir() else None, category, ("ok",))


@register("dataset", "industrial/folder")
def folder(root: Path, split: str = "test") -> Iterator[Record]:
    """Your own pictures: a folder of normal ones beside folders of defective ones, with masks or without.

    Layout: ``{good,normal,ok}/*.png``, ``<defect>/*.png``, and where there are masks
    ``{ground_truth,masks}/<defect>/<stem>_mask.png``, or ``<stem>.png`` of any ending; or folders of these folders, at
    any depth, each a category called by its path. One split: test.

    Args:
        root: the folder of these folders; its name is the category.
        split: only "test" has samples.

    Raises:
        UserError: a folder has the layout of MVTec AD.
        TruthError: a picture with two masks.
    """
    if split == "test":
        yield from _own(root, root.resolve().name, "")


def _own(place: Path, category: str, above: str) -> Iterator[Record]:
    """Records of one category, or of those below it where no folder in it holds normal pictures."""
    inside = {p.name: p for p in folders(place)}
    if not any(name.lower() in NORMAL for name in inside):
        if "test" in inside:
            raise UserError(f"{place}: has a folder called test, as MVTec AD has. Read it as industrial/mvtec.")
        deeper = [p for name, p in inside.items() if name not in MASKS]
        if any(folders(p) for p in deeper):
            for below in deeper:
                yield from _own(below, above + below.name, f"{above}{below.name}/")
            return
    masks = next((p for name, p in inside.items() if name in MASKS), None)
    yield from labelled(place, masks, category, NORMAL, skip=MASKS)


def _places(root: Path, split: str, categories: list[str] | None) -> list[tuple[str, Path]]:
    """Names and folders of the categories that have the split: those asked for, or all."""
    present = {place.name: place for place in folders(root) if (place / split).is_dir()}
    if not present and (root / split).is_dir():
        present = {root.resolve().name: root}
    for category in categories or ():
        if category not in present:
            raise UserError(f"{root}: {unknown('category', category, sorted(present))}")
    return [(category, present[category]) for category in categories or present]
