"""Options of the reader in, refused where they cannot be meant; in words what they say of how views are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domains.medical import geometry, intensity, readers, slicing
from domains.medical.scans import Cutting
from framework.errors import UnreadableError, UserError
from framework.registry import unknown
from framework.types import Record

ALL = "all"
CHOICES = {
    "select": ("shown", "all"),
    "orientation": ("anatomical", "stored"),
    "crop": ("none", "foreground"),
    "nan": ("error", "zero"),
    "reader": tuple(readers.READERS),
}


def check(options: Any) -> None:
    """Raise UserError for options of ``Medical`` that cannot be meant."""
    if options.axis != ALL and options.axis not in slicing.AXES:
        raise UserError(unknown("axis", options.axis, [*slicing.AXES, ALL]))
    if options.slices < 0:
        raise UserError(f"slices: {options.slices} is below 0; write 0 for all, else how many.")
    if options.stride < 1:
        raise UserError(f"stride: {options.stride} is below 1; 1 takes all slices, 2 every second one.")
    for name, known in CHOICES.items():
        if getattr(options, name) not in known:
            raise UserError(unknown(name, str(getattr(options, name)), list(known)))
    between, ends = options.between, options.percentiles
    if len(between) != 2 or not 0 <= between[0] < between[1] <= 1:
        raise UserError(f"between: {between} is not [low, high] with 0 <= low < high <= 1, shares of the depth.")
    if len(ends) != 2 or not 0 <= ends[0] < ends[1] <= 100:
        raise UserError(f"percentiles: {ends} is not [low, high] with 0 <= low < high <= 100.")
    spacing(options.spacing)
    if len(windows(options.window)) == 3 and options.neighbours:
        raise UserError(
            "window and neighbours both say what red, green and blue are; take one window, or no neighbours."
        )
    if options.channel is not None and options.channel < 0:
        raise UserError(f"channel: {options.channel} is below 0; channels are counted from 0.")


def agree(reader: Any, records: list[Record], given: dict[str, Any]) -> None:
    """Raise UserError where ``Medical`` would read other slices or voxels than a dataset has labelled.

    Args:
        reader: ``Medical``.
        records: of the dataset.
        given: options of the dataset.
    """
    along = next((r.along for r in records if r.along), "")
    if along and reader.axis == ALL:
        raise UserError(
            f"options: one sample a slice along axis={along}, but reader: axis=all cuts whole scans; say axis={along} "
            "in both, or take whole scans."
        )
    if along and reader.axis != along:
        raise UserError(
            f"options: axis={along} counts slices along one axis, but reader: axis={reader.axis} cuts them along "
            "another; say the same in both."
        )
    if along and reader.orientation == "stored":
        raise UserError(
            f"options: axis={along} counts slices from the patient's right, back or feet, but reader: "
            "orientation=stored cuts them in the order of the file; take orientation=anatomical, or whole scans."
        )
    asked = given.get("channel", reader.channel)
    if asked != reader.channel and (path := _with_channels(records)):
        raise UserError(
            f"options: channel={yaml(asked)}, but reader: channel={yaml(reader.channel)}, and {path} holds several "
            "volumes; say the same in both."
        )


def cutting(reader: Any, record: Record) -> Cutting:
    """Those of the options of ``Medical`` that decide how slices are cut from the voxels of a file."""
    if record.frame is not None and reader.axis == ALL:
        raise UserError(f"{record.id}: axis: all cuts whole scans; a slice of one is cut along one axis.")
    crop, lengths = reader.crop != "none", spacing(reader.spacing)
    whole = record.frame is None or not (crop or lengths)
    upright = reader.orientation == "anatomical"
    return Cutting(reader.axis, upright, crop, lengths, reader.channel, reader.reader, reader.nan, whole)


def windows(given: Any) -> tuple[tuple[float, float], ...]:
    """No, one or three windows (low, high): of a name, of two numbers, or of a list of three of these."""
    if given is None:
        return ()
    if isinstance(given, str) or _pair(given):
        return (_window(given),)
    if len(given) != 3:
        raise UserError(f"window: {_written(given)} is not [low, high] with low below high, a name, or three of these.")
    red, green, blue = (_window(one) for one in given)
    return red, green, blue


def spacing(given: Any) -> tuple[float, float, float] | None:
    """Millimetres along right, front and up; one number is all three."""
    if given is None:
        return None
    lengths = [given] * 3 if isinstance(given, (int, float)) else list(given)
    if len(lengths) not in (1, 3) or not all(length > 0 for length in lengths):
        raise UserError(f"spacing: {given} is not one or three lengths above 0, in millimetres.")
    x, y, z = (float(length) for length in (lengths * 3 if len(lengths) == 1 else lengths))
    return x, y, z


def words(options: Any) -> str:
    """How views of whole scans are made: the axis, and whatever is not as it is by default."""
    parts = ["slices of three axes, scores fused by their mean" if options.axis == ALL else f"{options.axis} slices"]
    parts.append("all" if options.select == ALL else "shown ones")
    if list(options.between) != [0, 1]:
        parts.append(f"between {options.between[0]:g} and {options.between[1]:g} of the depth")
    if options.stride > 1:
        parts.append(f"stride {options.stride}")
    if options.slices:
        parts.append(f"at most {options.slices}" + (" an axis" if options.axis == ALL else ""))
    return ", ".join([*parts, *_cut(options)])


def words_of_slices(options: Any) -> str:
    """As ``words``, where a data set has chosen the slices."""
    return ", ".join([f"{options.axis} slices that the data set lists", *_cut(options)])


def words_of_pictures(options: Any) -> str:
    """As ``words``: what is not as it is by default, all of which acts on some pictures only, see ``pictures.load``."""
    shown = _shown(options, "pixels")
    parts = [shown] if shown != _shown(type(options)(), "pixels") else []
    if options.nan == "zero":
        parts.append("NaN as 0")
    return "pictures as they are" + (f"; of DICOM or more than 8 bit: {', '.join(parts)}" if parts else "")


def yaml(value: Any) -> str:
    """As in a YAML file."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cut(options: Any) -> list[str]:
    """What is done to every slice of a scan."""
    parts = ["neighbours as colours"] if options.neighbours else []
    parts.append(_shown(options, "voxels"))
    if options.orientation == "stored":
        parts.append("axes as stored")
    if options.crop != "none":
        parts.append("cropped to the foreground")
    if (lengths := spacing(options.spacing)) is not None:
        parts.append(f"resampled to {' x '.join(f'{n:g}' for n in lengths)} mm")
    if options.channel is not None:
        parts.append(f"channel {options.channel}")
    if options.nan == "zero":
        parts.append("NaN as 0")
    if options.reader != "auto":
        parts.append(f"read by MONAI's {options.reader}")
    return parts


def _shown(options: Any, of: str) -> str:
    """The window or percentiles; ``of`` what these are."""
    if options.window is None:
        low, high = options.percentiles
        return f"percentiles {low:g}-{high:g} of {'the foreground' if options.foreground else f'all {of}'}"
    if isinstance(options.window, str) or _pair(options.window):
        return f"window {_written(options.window)}"
    return f"windows {', '.join(_written(one) for one in options.window)} as colours"


def _with_channels(records: list[Record]) -> str:
    """The first file that holds several volumes; "" where none does. What cannot be read is told by its reading."""
    for path in dict.fromkeys(r.path for r in records if geometry.is_nifti(r.path)):
        try:
            if geometry.read(path, 0).several:
                return str(path)
        except UnreadableError:
            continue
    return ""


def _pair(given: Any) -> bool:
    """Whether this is a list of two numbers."""
    return isinstance(given, Sequence) and len(given) == 2 and all(isinstance(n, (int, float)) for n in given)


def _window(given: Any) -> tuple[float, float]:
    """One window."""
    if isinstance(given, str):
        if given not in intensity.WINDOWS:
            raise UserError(unknown("window", given, list(intensity.WINDOWS)))
        return intensity.window_of(given)
    if not _pair(given) or not given[0] < given[1]:
        raise UserError(f"window: {_written(given)} is not [low, high] with low below high, nor a name.")
    return float(given[0]), float(given[1])


def _written(window: Any) -> str:
    """As in a YAML file: a name, or [low, high]."""
    return window if isinstance(window, str) else str(list(window)) if isinstance(window, Sequence) else str(window)
