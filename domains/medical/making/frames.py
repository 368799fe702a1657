"""What a specimen of ``medical/synthetic`` is in, one number out, and back. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from domains.medical.making import sizes

KINDS = ("blob", "ring", "foci", "texture", "mass", "missing", "artefact")  # of spoiling.py, which needs SciPy
SIZES = tuple(sizes.NAMED)
SPLITS = ("train", "test")
NUMBERS = 1_000  # specimens of a file
MOST_SLICES = 1 << 14


@dataclass(frozen=True, slots=True)
class Frame:
    """What a sample is, written as one number, which is larger than any slice of a file.

    Attributes:
        slice: of the volume; None for a whole volume or a picture.
        number: of the specimen among those of its file.
        kind: of lesion, a place in ``KINDS``; the healthy twin has it too.
        spoiled: False for the healthy twin.
        seed, split, size: of the set; split and size are places in the lists above.
    """

    slice: int | None
    number: int
    kind: int
    spoiled: bool
    seed: int
    split: int
    size: int

    def encode(self) -> int:
        """Mixed radix, so that slices of one specimen follow each other."""
        high = ((self.seed + 1) * len(SPLITS) + self.split) * len(SIZES) + self.size
        high = ((high * NUMBERS + self.number) * len(KINDS) + self.kind) * 2 + self.spoiled
        return high * MOST_SLICES + (0 if self.slice is None else self.slice + 1)

    @staticmethod
    def decode(frame: int) -> Frame:
        """The reverse of ``encode``."""
        rest, part = divmod(frame, MOST_SLICES)
        rest, spoiled = divmod(rest, 2)
        rest, kind = divmod(rest, len(KINDS))
        rest, number = divmod(rest, NUMBERS)
        rest, size = divmod(rest, len(SIZES))
        seed, split = divmod(rest, len(SPLITS))
        return Frame(part - 1 if part else None, number, kind, bool(spoiled), seed - 1, split, size)
