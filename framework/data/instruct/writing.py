"""A labelled set of any domain -> a file of conversations about its samples, in the published format."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from framework.data.inspection import open_set
from framework.data.instruct.conversations import IMAGE
from framework.data.instruct.describe import describe, normal
from framework.data.instruct.views import choose, marked
from framework.data.questions.words import captioned, what_and_where, yes_or_no
from framework.errors import TruthError, UnreadableError, UserError
from framework.files import write_whole
from framework.pictures import FORMATS, write_png
from framework.progress import say, track
from framework.types import Record, Sample


@dataclass(frozen=True, slots=True)
class Written:
    """What ``write`` made.

    Attributes:
        path: of the conversations.
        entries: conversations in it, two for each sample, or for each view where they are apart.
        yes: entries about anomalous samples, or views.
        no: entries about normal ones; the set is not balanced.
        pictures: PNG files written beside it.
        skipped: samples that cannot be read.
    """

    path: Path
    entries: int
    yes: int
    no: int
    pictures: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Look:
    """Views of a sample that share a conversation.

    Attributes:
        part: begins the ids of its entries.
        record: of the sample, as these views show it.
        pictures: absolute paths.
        masks: ``(H, W)`` of each picture, not 0 where anomalous; none of a normal sample or one without truth.
        captions: of each picture, or none.
        drawn: how many pictures were written.
    """

    part: str
    record: Record
    pictures: list[str]
    masks: list[np.ndarray]
    captions: list[str]
    drawn: int


def write(
    name: str,
    root: Path,
    out: Path,
    split: str | None = None,
    options: dict[str, Any] | None = None,
    reader: dict[str, Any] | None = None,
    views: int = 4,
    apart: bool = False,
    captions: bool = True,
) -> Written:
    """Write ``out/conversations.json``: for each sample a Yes/No question, and one that asks what and where.

    A sample with a single view that Pillow reads from its file as it is refers to that file; of any other up to
    ``views`` views become ``out/images/*.png``. Paths are absolute: ``load`` finds the pictures whatever its folder of
    images, so files of several sets can stand in one list. After a set or ``out`` was moved, write again.

    Args:
        name: ``domain/dataset``, as ``anomaly-ov datasets`` lists them.
        root: folder of the set.
        out: folder to write to.
        split: of the dataset; None takes the dataset's default.
        options: of the dataset.
        reader: options of the domain's reader.
        views: how many pictures of a sample at most, evenly spread; one of them shows the most of its anomaly.
        apart: each view is asked about alone, and labelled by what it shows, as ``optim.labels=view`` trains the
            expert; by its sample where the set has labels only. Else all views of a sample share a conversation.
        captions: whether questions say what each picture shows, where the domain does, and answers name by it the
            pictures that show the anomaly.

    Raises:
        UserError: unknown name, option or folder; no sample, or none that can be read; ``out`` cannot be written.
    """
    if views < 1:
        raise UserError(f"views: {views} is below 1; a conversation shows at least one picture.")
    index = open_set(name, root, split, options or {}, reader or {}, asked=True)
    entries: list[dict[str, Any]] = []
    unreadable: list[str] = []
    drawn = 0
    for number, record in enumerate(track(index.records, len(index.records), f"conversations of {name}")):
        try:
            sample = index.reader.read(record)
        except (UnreadableError, TruthError) as error:  # a missing package is not a fault of the sample
            unreadable.append(str(error))
            say(f"left out: {error}")
            continue
        looks = _looks(sample, record, views, apart, captions, Path(os.path.abspath(out)) / "images" / f"{number:06d}")
        for look in looks:
            entries += _conversations(name, look, index.reader.element)
            drawn += look.drawn
    if not entries:
        raise UserError(f"{name}: none of {len(unreadable)} samples can be read. The first: {unreadable[0]}")
    path = write_whole(out / "conversations.json", json.dumps(entries, indent=1).encode())
    yes = sum(entry["metadata"]["anomaly"] for entry in entries)
    return Written(path, len(entries), yes, len(entries) - yes, drawn, len(unreadable))


def _looks(sample: Sample, record: Record, views: int, apart: bool, captions: bool, stem: Path) -> Iterator[Look]:
    """What is asked about of a sample: its chosen views together, or each alone; their pictures are written."""
    masks = marked(sample) if record.anomalous else None
    chosen = choose(len(sample.views), views, masks)
    pictures, drawn = _pictures(sample, chosen, stem)
    for group in [[i] for i in range(len(chosen))] if apart else [list(range(len(chosen)))]:
        shown = [] if masks is None else [masks[chosen[i]] for i in group]
        yield Look(
            part=f"{stem.name}_{chosen[group[0]]:03d}" if apart else stem.name,
            record=_told(record, shown) if apart else record,
            pictures=[pictures[i] for i in group],
            masks=shown,
            captions=[sample.captions[chosen[i]] for i in group] if captions and sample.captions else [],
            drawn=min(drawn, len(group)),
        )


def _pictures(sample: Sample, chosen: list[int], stem: Path) -> tuple[list[str], int]:
    """Absolute paths of the pictures of the chosen views, and how many were written for that."""
    if len(sample.views) == 1 and _shows(sample.record.path, sample.views[0]):
        return [os.path.abspath(sample.record.path)], 0
    paths = [stem.with_name(f"{stem.name}_{view:03d}.png") for view in chosen]
    for path, view in zip(paths, chosen, strict=True):
        write_png(path, np.ascontiguousarray(sample.views[view].transpose(1, 2, 0)))
    return [str(path) for path in paths], len(paths)


def _shows(path: Path, view: np.ndarray) -> bool:
    """Whether Pillow opens the file as just these ``(3, H, W)`` pixels: no scan, no 16-bit grey, no other reading."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return np.array_equal(np.asarray(image.convert("RGB")), view.transpose(1, 2, 0))
    except (OSError, SyntaxError, ValueError):
        return False


def _told(record: Record, masks: list[np.ndarray]) -> Record:
    """The record of a sample as one of its views shows it: normal where its mask is empty."""
    return replace(record, anomalous=False, defect="") if masks and not masks[0].any() else record


def _conversations(name: str, look: Look, element: str) -> list[dict[str, Any]]:
    """The two entries of a sample, or a view, in the published format. The first question is the published one."""
    record, pictures, captions = look.record, look.pictures, look.captions
    if record.anomalous:
        description = describe(look.masks, record.defect, record.category, element, captions)
    else:
        description = normal(record.category, element)
    asked = {
        "answer": (yes_or_no(element, len(pictures) > 1), "Yes" if record.anomalous else "No"),
        "description": (what_and_where(element, len(pictures) > 1), description),
    }
    return [
        {
            "id": f"{look.part}-{kind}",
            "image": pictures[0] if len(pictures) == 1 else pictures,
            "conversations": [
                {"from": "human", "value": f"{IMAGE}\n" * len(pictures) + captioned(question, captions)},
                {"from": "gpt", "value": answer},
            ],
            "metadata": {
                "anomaly": record.anomalous,
                "category": record.category,
                "defect": record.defect,
                "dataset": name,
                "sample": os.path.abspath(record.path) + record.id.removeprefix(str(record.path)),
            },
        }
        for kind, (question, answer) in asked.items()
    ]
