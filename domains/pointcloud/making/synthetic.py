"""A folder of clean meshes and clouds in; records of specimens with and without a defect, made when they are read, out.

A specimen depends on nothing but its file's content and its frame: a number that holds the seed, the split, the
amplitude, the form and the kind of defect, so that sets of other options have other fingerprints. Twins, frames 2 j and
2 j + 1, share everything but the defect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domains.pointcloud.making import amplitude as amplitudes
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record

if TYPE_CHECKING:
    from domains.pointcloud.files import Shape
    from domains.pointcloud.making.body import Body

KINDS = ("bulge", "dent", "crack", "hole", "bite", "bend", "roughness")  # of spoiling.py, which needs SciPy
SUFFIXES = (".pcd", ".ply", ".obj", ".stl")
AMPLITUDES = tuple(amplitudes.NAMED)
FORMS = ("cloud", "mesh")
SPLITS = ("train", "test")
NUMBERS = 100_000  # specimens of a kind, of one file
POINTS = (12_000, 24_000)
SKIN = 80_000  # points of a mesh that clouds are drawn from


@dataclass(frozen=True, slots=True)
class Frame:
    """What a specimen is, written as one number.

    Attributes:
        number: of the specimen among those of its kind.
        kind: of defect, a place in ``KINDS``; the healthy twin has it too.
        spoiled: False for the healthy twin.
        seed, split, amplitude, form: of the set; all but the seed are places in the lists above.
    """

    number: int
    kind: int
    spoiled: bool
    seed: int
    split: int
    amplitude: int
    form: int

    def encode(self) -> int:
        """Mixed radix, so that frames of one set follow each other."""
        high = ((self.seed * len(SPLITS) + self.split) * len(AMPLITUDES) + self.amplitude) * len(FORMS) + self.form
        return ((high * NUMBERS + self.number) * len(KINDS) + self.kind) * 2 + self.spoiled

    @staticmethod
    def decode(frame: int) -> Frame:
        """The reverse of ``encode``."""
        rest, spoiled = divmod(frame, 2)
        rest, kind = divmod(rest, len(KINDS))
        rest, number = divmod(rest, NUMBERS)
        rest, form = divmod(rest, len(FORMS))
        rest, amplitude = divmod(rest, len(AMPLITUDES))
        seed, split = divmod(rest, len(SPLITS))
        return Frame(number, kind, bool(spoiled), seed, split, amplitude, form)


@register("dataset", "pointcloud/synthetic")
def synthetic(
    root: Path,
    split: str = "test",
    samples: int = 60,
    seed: int = 0,
    kinds: list[str] | None = None,
    amplitude: str = "any",
    form: str = "cloud",
) -> Iterator[Record]:
    """Scans of clean shapes, every second one with a defect and a label per point; nothing is written.

    Layout: ``*.{pcd,ply,obj,stl}``, or ``<any folder>/*``; each file is a category. ``train`` and ``test`` are other
    scans of the same shapes. The healthy twin of a spoiled scan is equal to it but for the defect; twins form a group.

    Args:
        root: of the clean shapes.
        split: "train" or "test".
        samples: over all shapes, half of them spoiled.
        seed: of everything.
        kinds: some of bulge, dent, crack, hole, bite, bend, roughness; None takes all in turn.
        amplitude: "any", "faint" or "plain"; see ``amplitude.py``.
        form: "cloud", or "mesh" to keep meshes meshes, with finer faces where the defect lies and a label per vertex.
    """
    chosen = checked_kinds(kinds)
    for what, value, known in (("split", split, SPLITS), ("amplitude", amplitude, AMPLITUDES), ("form", form, FORMS)):
        if value not in known:
            raise UserError(unknown(f"{what} of pointcloud/synthetic", value, list(known)))
    if seed < 0 or samples < 2:
        raise UserError(
            f"pointcloud/synthetic: seed={seed}, samples={samples}; need a seed from 0 and 2 samples or more."
        )
    from domains.pointcloud.files import listed

    paths = [p for p in listed(root, "*", "*/*") if p.suffix.lower() in SUFFIXES]
    constant = (seed, SPLITS.index(split), AMPLITUDES.index(amplitude), FORMS.index(form))
    for pair in range(samples // 2 if paths else 0):
        turn, place = divmod(pair, len(paths))
        kind = chosen[(turn + place) % len(chosen)]
        path, name = paths[place], paths[place].stem
        for spoiled in (False, True):
            frame = Frame(turn, KINDS.index(kind), spoiled, *constant).encode()
            group, defect = f"{path.relative_to(root)}/{turn}", kind if spoiled else ""
            yield Record(path, spoiled, name, group, truth_path=path, defect=defect, frame=frame)


def checked_kinds(kinds: Sequence[str] | None) -> list[str]:
    """The kinds that are asked for, all where None.

    Raises:
        UserError: one is not known.
    """
    for kind in kinds or ():
        if kind not in KINDS:
            raise UserError(unknown("kind of defect", kind, list(KINDS)))
    return list(dict.fromkeys(kinds or KINDS))


def called(record: Record) -> str:
    """What a person calls a sample: its file, and of a made one which of the pairs of that file, counted from 1."""
    if record.frame is None:
        return record.path.name
    frame = Frame.decode(record.frame)
    twin = "" if frame.spoiled else "healthy twin of "
    return f"{record.path.name}, {twin}made {frame.number + 1}"


def specimen(path: Path, frame: int) -> tuple[Shape, np.ndarray]:
    """What a record of ``synthetic`` stands for, and ``(E,)`` bool, its spoiled points: none in a healthy twin.

    Raises:
        UserError: the file cannot be read, is flat, or has no place for the defect.
    """
    from domains.pointcloud.files import Shape
    from domains.pointcloud.making.making import Wish, cloud
    from domains.pointcloud.making.meshes import mesh

    status = path.stat() if path.exists() else None
    body, content = _body(path, status.st_mtime_ns if status else 0)
    given = Frame.decode(frame)
    amounts = amplitudes.parse(AMPLITUDES[given.amplitude])
    wish = Wish(KINDS[given.kind], amounts, (content, frame // 2))
    if FORMS[given.form] == "mesh" and body.mesh is not None:
        (vertices, faces), labels = mesh(body, wish, POINTS[1], given.spoiled)
        return Shape(vertices, faces=faces), labels
    points, labels = cloud(body, wish, POINTS, given.spoiled)
    return Shape(points), labels


@lru_cache(maxsize=16)
def _body(path: Path, modified_ns: int) -> tuple[Body, int]:
    """The body of a file and a number of its content; a file that changes is read anew."""
    from domains.pointcloud import files
    from domains.pointcloud.making import body

    shape = files.load(path)
    return body.body_of(path, shape, SKIN), int(hashlib.sha256(path.read_bytes()).hexdigest()[:15], 16)
