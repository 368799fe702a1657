"""The folder of DeepPCB, whose truth is boxes in text files -> records. Opens the texts, and no picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from domains.industrial.truth import read_boxes
from framework.errors import UserError
from framework.registry import register
from framework.types import Record

KINDS = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}  # of DeepPCB, as it numbers them
LISTS = {"train": "trainval.txt", "test": "test.txt"}


@register("dataset", "industrial/deeppcb")
def deeppcb(root: Path, split: str = "test", templates: bool = True) -> Iterator[Record]:
    """DeepPCB: circuit boards in black and white beside a template without defects; boxes are the truth.

    Layout: ``test.txt`` and ``trainval.txt``, lines of ``group<G>/<G>/<N>.jpg group<G>/<G>_not/<N>.txt``, in the root
    or in ``PCBData`` below it. The picture with defects is ``<N>_test.jpg``, its template ``<N>_temp.jpg``; both are
    one group. The text has a line a box: ``left top right bottom kind`` in pixels. Element truth is what boxes hold.

    Args:
        root: the folder.
        split: "test" or "train" (trainval).
        templates: whether templates are samples, which are the only normal ones.

    Raises:
        UserError: no list of the split, or a line of it that is wrong, which is named.
        TruthError: a line of a text that is no box, which is named.
    """
    if split not in LISTS:
        return
    base = root / "PCBData" if (root / "PCBData").is_dir() else root
    table = base / LISTS[split]
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{table}: cannot be read ({error}). Set root to the folder that holds it.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match line.split():
            case [picture, boxes] if picture.endswith(".jpg") and boxes.endswith(".txt"):
                pass
            case _:
                raise UserError(f"{table}, line {number}: expected a .jpg and a .txt, found {line.strip()!r}.")
        stem, truth = base / picture.removesuffix(".jpg"), base / boxes
        kinds = sorted({KINDS.get(box[4], str(box[4])) for box in read_boxes(truth)})
        tested, template = (stem.with_name(f"{stem.name}_{which}.jpg") for which in ("test", "temp"))
        yield Record(tested, True, "pcb", stem.name, truth, ", ".join(kinds))
        if templates:
            yield Record(template, False, "pcb", stem.name, template)
