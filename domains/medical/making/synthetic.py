"""A folder of healthy volumes and pictures in; records of these and of spoiled twins, made when they are read, out.

A specimen depends on nothing but its file's content and its frame: a number that holds the seed, the split, the size,
the kind and the slice, so that sets of other options have other fingerprints. Twins share a group.
"""

from __future__ import annotations

import hashlib
import multiprocessing.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domains.medical import geometry, slicing
from domains.medical.making import sizes
from domains.medical.making.frames import KINDS, MOST_SLICES, NUMBERS, SIZES, SPLITS, Frame
from domains.medical.making.parts import of_split, once
from framework.errors import UserError
from framework.files import write_whole
from framework.registry import register, unknown
from framework.types import Domain, Record, Sample

if TYPE_CHECKING:
    from domains.medical.making.sources import Source
    from domains.medical.making.spoiling import Spoiled

SLICES = ("pairs", "all", "none")
_KEPT = 4  # specimens that a process keeps on disk


@register("dataset", "medical/synthetic")
def synthetic(
    root: Path,
    split: str = "train",
    each: int = 2,
    seed: int = 0,
    kinds: list[str] | None = None,
    size: str = "any",
    slices: str = "pairs",
    stride: int = 1,
    axis: str = "axial",
    category: str = "scan",
) -> Iterator[Record]:
    """Healthy scans and pictures beside twins with a lesion or artefact and its mask; nothing is written beside them.

    Layout: NIfTI files and pictures at any depth, all healthy; folders ``masks`` and ``ground_truth`` are left out. The
    patient is that of BIDS, BraTS, IXI, ADNI and OASIS, else the name up to its last ``_``, where that has a digit, or
    the folders where names do not tell; see ``domains.medical.patients``. A quarter of the patients is ``test``.

    In ``train`` the healthy file stands beside each of its twins, so that both labels weigh the same. In ``test`` it
    counts once, whatever ``each`` is, for its score would be the same every time: of a volume each healthy slice once,
    and those slices of a twin that its mask does not mark, copies of healthy ones, are left out.

    Opens volumes, unless ``slices`` is "none": about 0.4 s for each spoiled twin of a brain scan of 1 mm.

    Args:
        root: of the healthy files.
        split: "train" or "test".
        each: spoiled twins of a file.
        seed: of everything.
        kinds: some of blob, ring, foci, texture, mass, missing, artefact; None takes all in turn.
        size: of lesions: "any", "small" or "large"; see ``sizes.py``.
        slices: "pairs": the slices of a volume that a mask marks, and the same of the healthy twin; "all": of both
            twins all that show something, labelled by the mask; "none": whole volumes.
        stride: every how manieth of these slices is taken.
        axis: "axial", "coronal" or "sagittal"; the reader must be told the same, and keep to anatomical orientation.
        category: what the files show.

    Raises:
        UserError: an option that is not known, or no file.
    """
    chosen = checked_kinds(kinds)
    _check({"split": (split, SPLITS), "size": (size, SIZES), "slices": (slices, SLICES)}, seed, each, stride)
    slicing.axis_number(axis)
    constant = (seed, SPLITS.index(split), SIZES.index(size))
    for place, (path, patient) in enumerate(of_split(root, split, seed)):
        records: list[Record] = []
        for number in range(each):
            kind = KINDS.index(chosen[(number + place) % len(chosen)])
            frames = [Frame(None, number, kind, spoiled, *constant) for spoiled in (False, True)]
            twins = [
                Record(path, f.spoiled, category, patient, path, KINDS[kind] if f.spoiled else "", frame=f.encode())
                for f in frames
            ]
            records += _sliced(twins, axis, stride, slices == "all") if _is_cut(path, slices) else twins
        yield from once(records) if split == "test" else records


def _check(words: dict[str, tuple[str, Sequence[str]]], seed: int, each: int, stride: int) -> None:
    """Raise UserError for an option of ``synthetic`` that is not known or out of range."""
    for what, (value, known) in words.items():
        if value not in known:
            raise UserError(unknown(f"{what} of medical/synthetic", value, list(known)))
    if seed < 0 or not 1 <= each <= NUMBERS or stride < 1:
        raise UserError(
            f"medical/synthetic: seed={seed}, each={each}, stride={stride}; need a seed from 0, 1 to {NUMBERS} of each "
            "and a stride from 1."
        )


def checked_kinds(kinds: Sequence[str] | None) -> list[str]:
    """The kinds that are asked for, all where None.

    Raises:
        UserError: one is not known.
    """
    for kind in kinds or ():
        if kind not in KINDS:
            raise UserError(unknown("kind of lesion", kind, list(KINDS)))
    return list(dict.fromkeys(kinds or KINDS))


def is_made(record: Record) -> bool:
    """Whether a record is one of ``synthetic``, whose frame is no slice of a file."""
    return record.frame is not None and record.frame >= MOST_SLICES


def read(record: Record, reader: Domain, fresh: Domain) -> Sample:
    """The sample of one of ``synthetic``'s records.

    Args:
        record: of ``synthetic``.
        reader: of its domain.
        fresh: a reader with the same options that keeps nothing: a spoiled file is made anew for every read.

    Raises:
        UserError: as ``specimen`` and the reader do.
    """
    made = specimen(record)
    shown = replace(record, defect=made.defect)
    if made.frame is None:  # whole: no slice of anything
        shown = replace(shown, frame=None)
    sample = (reader if made.path == record.path else fresh).read(made)
    return replace(sample, record=shown, warnings=told(record, made))


def specimen(record: Record) -> Record:
    """A record of ``synthetic`` as one of files that any reader opens: the healthy file, or a spoiled one and its mask.

    The spoiled file lies in a folder of this process, which keeps the last few and removes them at its end.

    Raises:
        UserError: the file cannot be read, or has no place for a lesion of any kind.
    """
    given = Frame.decode(record.frame or 0)
    if not given.spoiled:
        return replace(record, frame=given.slice, nth=None)
    path, mask, kind = _written(record.path, replace(given, slice=None).encode())
    truth, defect = None if record.truth_path is None else mask, kind if record.defect else ""
    return replace(record, path=path, truth_path=truth, defect=defect, frame=given.slice, nth=None)


def told(record: Record, made: Record) -> tuple[str, ...]:
    """A line where a specimen is of another kind than its record says, because that finds no place in the file."""
    if made.defect == record.defect or not record.defect:
        return ()
    return (
        f"{record.path}: no place for a lesion of kind {record.defect!r} that shows; it has one of {made.defect!r}.",
    )


def _is_cut(path: Path, slices: str) -> bool:
    """Whether the samples of a file are slices of it."""
    from domains.medical.making.sources import is_volume

    return slices != "none" and is_volume(path)


def _sliced(twins: list[Record], axis: str, stride: int, every: bool) -> Iterator[Record]:
    """Slices of a healthy volume and of its twin; of what cannot be cut the whole, so that whoever reads it is told."""
    path, frame = twins[1].path, Frame.decode(twins[1].frame or 0)
    try:
        source, spoiled = _source(path, _stamp(path))[0], _spoiled(path, twins[1].frame or 0)
    except UserError:
        yield twins[1]
        return
    affine = source.grid.affine if source.grid is not None else np.eye(4)
    marked: np.ndarray = np.asarray(slicing.cut(geometry.to_ras(spoiled.mask, affine), axis).any((1, 2)))  # (D,)
    chosen = np.flatnonzero(marked)
    if every:
        host = source.host
        tissue = host.values[..., 0] > host.threshold
        chosen = np.flatnonzero(slicing.cut(geometry.to_ras(tissue, affine), axis).any((1, 2)) | marked)
    for twin in twins:
        for k in chosen[::stride].tolist():
            bad = twin.anomalous and bool(marked[k])
            number = replace(frame, slice=k, spoiled=twin.anomalous).encode()
            yield replace(twin, anomalous=bad, defect=twin.defect if bad else "", frame=number, nth=k, along=axis)


def _stamp(path: Path) -> int:
    """When a file was last written, in nanoseconds; 0 where it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=2)
def _source(path: Path, modified_ns: int) -> tuple[Source, int]:
    """A file, opened, and a number of its content; a file that changes is read anew."""
    from domains.medical.making.sources import opened

    return opened(path), int(hashlib.sha256(path.read_bytes()).hexdigest()[:15], 16)


def _spoiled(path: Path, frame: int) -> Spoiled:
    """The lesion of a spoiled twin, whichever slice the frame says; of the next kind where its own has no place."""
    from domains.medical.making.spoiling import spoil_first

    source, content = _source(path, _stamp(path))
    given = Frame.decode(frame)
    kinds = KINDS[given.kind :] + KINDS[: given.kind]
    return spoil_first(source.host, kinds, (content, frame // MOST_SLICES), sizes.NAMED[SIZES[given.size]])


_LAST: dict[tuple[Path, int, int], tuple[Path, Path, str]] = {}


def _written(path: Path, frame: int) -> tuple[Path, Path, str]:
    """The file of a spoiled twin, its mask and kind, in the order of use; older ones than the last few are removed."""
    key = (path, _stamp(path), frame)
    made = _LAST.pop(key, None)
    if made is None or not all(p.exists() for p in made[:2]):
        spoiled, source = _spoiled(path, frame), _source(path, _stamp(path))[0]
        name = hashlib.sha256(repr((os.getpid(), key)).encode()).hexdigest()[:16]
        ending, mask_ending = (source.suffix, ".png") if source.image is None else (".nii", ".nii")
        made = _scratch() / f"{name}{ending}", _scratch() / f"{name}-mask{mask_ending}", spoiled.kind
        write_whole(made[0], source.encoded(spoiled.values, packed=False))
        write_whole(made[1], source.encoded_mask(spoiled.mask, packed=False))
    _LAST[key] = made
    while len(_LAST) > _KEPT:
        for old in _LAST.pop(next(iter(_LAST)))[:2]:
            old.unlink(missing_ok=True)
    return made


@lru_cache(maxsize=1)
def _scratch() -> Path:
    """A folder that is gone when the process ends, a worker of a loader too."""
    folder = Path(tempfile.mkdtemp(prefix="anomaly-ov-"))
    multiprocessing.util.Finalize(None, shutil.rmtree, (folder, True), exitpriority=0)
    return folder
