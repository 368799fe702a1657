"""The records of a set in; which of the reader's options act on them, and in words what these do, out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from domains.medical import geometry, options, pictures, volumes
from domains.medical.making import synthetic
from framework.errors import UnreadableError, UserError
from framework.types import Record

SCANS, SLICES, PICTURES = "whole scans", "single slices", "pictures"
IDLE: dict[str, tuple[str, ...]] = {  # options that do nothing
    SCANS: (),
    SLICES: ("slices", "stride", "select", "between"),
    PICTURES: (
        *("slices", "stride", "select", "between"),
        *("axis", "neighbours", "orientation", "crop", "spacing", "channel", "reader"),
    ),
}


def kinds(records: Iterable[Record]) -> list[str]:
    """What the samples of a set are, of ``IDLE`` in its order; nothing of files whose DICOM header cannot be read."""
    found = {_kind(record) for record in records}
    return [kind for kind in IDLE if kind in found]


def words(reader: Any, records: Sequence[Record]) -> str:
    """How ``Medical`` makes the views of a set: what acts on its scans, on its single slices and on its pictures.

    Which slices a data set has taken is told by the set's fingerprint, which counts them, and not by the reader.
    """
    say = {SCANS: options.words, SLICES: options.words_of_slices, PICTURES: options.words_of_pictures}
    return "; ".join(say[kind](reader) for kind in kinds(records)) or options.words(reader)


def check(reader: Any, records: Sequence[Record], given: dict[str, Any]) -> None:
    """Raise UserError for an option of ``Medical`` that is not as it is by default and acts on no sample of a set.

    Args:
        reader: ``Medical``.
        records: of the set.
        given: options of the dataset.
    """
    there, plain = kinds(records), type(reader)()
    changed = [name for name in IDLE[PICTURES] if getattr(reader, name) != getattr(plain, name)]
    if reader.slices == reader.asked["slices"]:
        changed.remove("slices")  # nobody need have given it: every set that a language model sees is read so
    idle = [name for name in changed if there and all(name in IDLE[kind] for kind in there)]
    if not idle:
        return
    told = ", ".join(f"{name}={options.yaml(getattr(reader, name))}" for name in idle)
    does, advice = ("changes", "leave it out") if len(idle) == 1 else ("change", "leave them out")
    if SLICES in there:
        own = [name for name in ("stride", "empty") if name in given]
        taken = f"choose slices by the data set's options: {', '.join(own)}" if own else advice
        advice = f"{taken}, or take whole scans"
    raise UserError(f"reader: {told} {does} nothing, for the samples are {' and '.join(there)}; {advice}.")


def _kind(record: Record) -> str:
    """Of one sample; "" where its file cannot be read. Opens DICOM files alone, and of a set of pictures none."""
    ending = record.path.suffix.lower()
    if record.along or (record.frame is not None and not synthetic.is_made(record)):
        return SLICES
    if ending in pictures.SUFFIXES:
        return PICTURES
    if geometry.is_nifti(record.path) or record.beside:
        return SCANS
    try:
        return SCANS if volumes.is_volume(record.path) else PICTURES
    except UnreadableError:
        return ""
