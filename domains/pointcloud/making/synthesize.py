"""Clean meshes or clouds in; a labelled set of them on disk, every second one with a defect, out."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domains.pointcloud.making import amplitude as amplitudes
from domains.pointcloud.making.amplitude import Amount
from domains.pointcloud.making.procedural import PROTOTYPES, pcd
from domains.pointcloud.making.synthetic import SUFFIXES, checked_kinds
from domains.pointcloud.ply import encoded
from framework.errors import UserError
from framework.files import check_new, make_folder, write_whole
from framework.registry import register, unknown

if TYPE_CHECKING:
    from domains.pointcloud.making.body import Body

RANGE = (0.67, 1.33)  # least and most points of a cloud, of what is asked for
SKIN = 2.5  # points of a mesh that clouds are drawn from, for each that is asked for
FEWEST_POINTS = 1_000


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made of one shape.

    Attributes:
        path: of the shape.
        amounts: amplitude of the defects.
        seed: of the set, and the place of the shape in it.
        points: of a cloud.
        meshes: whether meshes stay meshes.
    """

    path: Path
    amounts: tuple[Amount, ...]
    seed: tuple[int, int]
    points: int
    meshes: bool


@dataclass(frozen=True, slots=True)
class Made:
    """One specimen: a cloud, or a mesh where it has faces; ``labels (N,)`` bool."""

    points: np.ndarray
    faces: np.ndarray | None
    labels: np.ndarray


@register("synthesize", "pointcloud")
def synthesize(
    shapes: Sequence[Path],
    out: Path,
    samples: int = 60,
    seed: int = 0,
    kinds: list[str] | None = None,
    amplitude: str = amplitudes.DEFAULT,
    format: str = "real3d",
    points: int = 18_000,
) -> Iterator[Path]:
    """Write a set, whole or not at all; what was made before an interruption is not made again.

    "real3d": ``<shape>/{train,test,gt}`` as ``pointcloud/real3d`` reads it, two healthy clouds in ``train``. "folder":
    ``<shape>/{good,bulge,...}/<shape>_pair<number>``, where a mesh stays a mesh, and ``.txt`` beside with the labels,
    as ``pointcloud/folder`` reads it. Twins, a spoiled one and the same without the defect, have one number.

    Args:
        shapes: .obj .ply .stl .pcd; each is a category.
        out: folder to make.
        samples: over all shapes, at least two of each; half are spoiled.
        seed: of everything; the same seed writes the same bytes.
        kinds: some of ``synthetic.KINDS``; None takes all in turn.
        amplitude: how far defects move the surface, see ``amplitude.py``.
        format: "real3d" or "folder".
        points: of a cloud, a third more or less; of a mesh, the pitch is that of so many.

    Yields:
        The path of each sample, once it is written.

    Raises:
        UserError: a shape cannot be read or is flat, two have one name, a kind is not known, a defect has no place,
            ``out`` is there already or cannot be written.
    """
    chosen, amounts = checked_kinds(kinds), amplitudes.parse(amplitude)
    if format not in FORMATS:
        raise UserError(unknown("format", format, list(FORMATS)))
    _check(shapes, samples, seed, points)
    check_new(out)
    bodies = [_body(path, points) for path in shapes]  # what is wrong with any shows before the first sample
    wanted = [str(path.resolve()) for path in shapes], samples, seed, chosen, amplitude, format, points
    part = out.with_name(f".partial-{out.name}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]}")
    make_folder(part)
    for left in part.rglob(".partial-*"):  # by a kill in the middle of a file
        left.unlink()
    for k, (path, body) in enumerate(zip(shapes, bodies, strict=True)):
        order = Order(path, amounts, (seed, k), points, meshes=format == "folder")
        for number in range(PROTOTYPES if format == "real3d" else 0):
            _write(part, order, body, "template", number, chosen[0], FORMATS[format])
        for i in range(k, samples // 2, len(shapes)):
            number = i // len(shapes)
            kind = chosen[(number + k) % len(chosen)]
            for name in ("good", kind):
                path_in_part = _write(part, order, body, name, number, kind, FORMATS[format])
                yield out / path_in_part.relative_to(part)
    try:
        part.rename(out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}). Choose another folder.") from None


def _check(shapes: Sequence[Path], samples: int, seed: int, points: int) -> None:
    """Refuse what needs no file to be refused."""
    names: dict[str, Path] = {}
    for path in shapes:
        if path.stem in names:
            raise UserError(f"{path}: {names[path.stem]} is called {path.stem!r} too; rename one of them.")
        names[path.stem] = path
    if samples < 2 * len(shapes):
        raise UserError(f"samples: {len(shapes)} shapes need at least {2 * len(shapes)}, got {samples}.")
    if samples % 2:
        raise UserError(f"samples: spoiled ones and their healthy twins make an even number, got {samples}.")
    if seed < 0:
        raise UserError(f"seed: is a whole number from 0, got {seed}.")
    if points < FEWEST_POINTS:
        raise UserError(f"points: a cloud of fewer than {FEWEST_POINTS} shows no defect, got {points}.")


def _body(path: Path, points: int) -> Body:
    from domains.pointcloud import files
    from domains.pointcloud.making import body

    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: not a mesh or cloud; known endings: {', '.join(SUFFIXES)}.")
    return body.body_of(path, files.load(path), int(SKIN * points))


def _write(part: Path, order: Order, body: Body, name: str, number: int, kind: str, save: Save) -> Path:
    """Make a specimen and save it, unless it is there already.

    Args:
        part: folder of the set.
        order: what is wanted.
        body: of the shape.
        name: kind of defect, "good", or "template".
        number: of the specimen, the same for twins.
        kind: of defect that it has, or its twin.
        save: of the format.
    """
    from domains.pointcloud.making import making, meshes

    def make() -> Made:
        wish = making.Wish(kind, order.amounts, (*order.seed, int(name == "template"), number))
        if order.meshes and body.mesh is not None:
            (vertices, faces), labels = meshes.mesh(body, wish, order.points, name == kind)
            return Made(vertices, faces, labels)
        counts = int(RANGE[0] * order.points), int(RANGE[1] * order.points)
        points, labels = making.cloud(body, wish, counts, name == kind)
        return Made(points, None, labels)

    try:
        return save(part, order.path.stem, name, number, ".ply" if order.meshes and body.mesh else ".pcd", make)
    except making.NoPlaceError:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _real3d(part: Path, shape: str, name: str, number: int, suffix: str, make: Callable[[], Made]) -> Path:
    folder = part / shape / ("train" if name == "template" else "test")
    path = folder / f"{number}_{name}{suffix}"
    if not path.exists():
        made = make()
        if made.labels.any():
            write_whole(part / shape / "gt" / f"{path.stem}.txt", _rows(made))
        write_whole(path, pcd(made.points))
    return path


def _folder(part: Path, shape: str, name: str, number: int, suffix: str, make: Callable[[], Made]) -> Path:
    path = part / shape / name / f"{shape}_pair{number}{suffix}"
    if not path.exists():
        made = make()
        write_whole(path.with_suffix(".txt"), _rows(made))
        # doubles, so that small halved faces keep their shape
        write_whole(
            path, pcd(made.points) if made.faces is None else encoded(made.points.astype(np.float64), made.faces)
        )
    return path


def _rows(made: Made) -> bytes:
    """Rows "x y z label", as many digits as a float32 has."""
    text = io.BytesIO()
    np.savetxt(text, np.c_[made.points, made.labels], ["%.9g"] * 3 + ["%d"])
    return text.getvalue()


Save = Callable[[Path, str, str, int, str, Callable[[], Made]], Path]
FORMATS: dict[str, Save] = {"real3d": _real3d, "folder": _folder}
