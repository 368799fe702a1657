"""Healthy volumes and pictures in; a labelled set of them on disk, each beside spoiled twins with masks, out."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from domains.medical.making import sizes
from domains.medical.making.synthetic import checked_kinds
from domains.medical.patients import patients
from framework.errors import UserError
from framework.files import check_new, make_folder, write_whole
from framework.registry import register

if TYPE_CHECKING:
    from domains.medical.making.sources import Source

MOST_EACH = 99


@dataclass(frozen=True, slots=True)
class Twin:
    """One file of the set.

    Attributes:
        source: that it is made of.
        case: number of the patient, from 1.
        scan: number among the files of the patient, from 1; whether it is healthy does not show.
        number: of the lesion among those of its source.
        kind: of lesion, "" where it is healthy.
    """

    source: Path
    case: int
    scan: int
    number: int
    kind: str

    @property
    def name(self) -> str:
        """Of the file, without its ending."""
        return f"case{self.case:04}_{self.scan}"

    @property
    def stem(self) -> Path:
        """Of the file, below the folder of the set."""
        return Path("test") / (self.kind or "good") / self.name


@dataclass(frozen=True, slots=True)
class Making:
    """Twins that are made one after the other; the set is there once all are."""

    twins: list[Twin]
    kinds: list[str]
    out: Path
    part: Path
    seed: int
    size: sizes.Size
    left_out: str

    @property
    def remark(self) -> str:
        """Which datasets read the set, and what of the sources is not in it, in words."""
        from domains.medical.making.sources import is_volume

        volumes = {is_volume(twin.source) for twin in self.twins}
        names = ("medical/nifti reads the scans", "medical/pictures reads the pictures")
        read_by = ", ".join(name for name, kind in zip(names, (True, False), strict=True) if kind in volumes)
        return "; ".join(filter(None, (read_by, self.left_out)))

    def __len__(self) -> int:
        return len(self.twins)

    def __iter__(self) -> Iterator[Path]:
        """The path of each file, once it is written."""
        from domains.medical.making.sources import opened

        make_folder(self.part)
        for left in self.part.rglob(".partial-*"):  # by a kill in the middle of a file
            left.unlink()
        source, path = None, None
        for twin in self.twins:
            found = list(self.part.glob(f"{twin.stem}.*"))
            if not found:
                try:
                    source = opened(twin.source) if path != twin.source or source is None else source
                    found, path = [self._write(twin, source)], twin.source
                except UserError:  # the files must be others then, and so must the set
                    shutil.rmtree(self.part, ignore_errors=True)
                    raise
            yield self.out / found[0].relative_to(self.part)
        try:
            self.part.rename(self.out)
        except OSError as error:
            raise UserError(f"{self.out}: cannot be written ({error.strerror}). Choose another folder.") from None

    def _write(self, twin: Twin, source: Source) -> Path:
        """Make a twin and save it; the mask first, so that a file that is there is whole."""
        from domains.medical.making.spoiling import spoil_first

        values = source.host.values
        if twin.kind:
            first = self.kinds.index(twin.kind)
            kinds = self.kinds[first:] + self.kinds[:first]
            spoiled = spoil_first(source.host, kinds, (self.seed, twin.case, twin.number), self.size)
            twin = replace(twin, kind=spoiled.kind)
            values, ending = spoiled.values, source.suffix if source.image is not None else ".png"
            mask = self.part / "test" / "masks" / twin.kind / f"{twin.name}{ending}"
            write_whole(mask, source.encoded_mask(spoiled.mask))
        path = self.part / twin.stem.with_name(f"{twin.name}{source.suffix}")
        return write_whole(path, source.encoded(values))


@register("synthesize", "medical")
def synthesize(
    sources: Sequence[Path],
    out: Path,
    each: int = 1,
    seed: int = 0,
    kinds: list[str] | None = None,
    size: str = "any",
) -> Making:
    """Write a set, whole or not at all; what was made before an interruption is not made again.

    ``test/good/case0001_1.nii.gz`` and ``test/<kind>/case0001_2.nii.gz`` with the mask in ``test/masks/<kind>/``, as
    ``medical/nifti``, or for pictures ``medical/pictures``, read them. A case is a patient, see
    ``domains.medical.patients``. Every file is written anew, also the healthy one, so that the way it is stored
    says nothing; text in headers is left out.

    Args:
        sources: healthy NIfTI files and pictures, or folders of them; in folders, ``masks`` are left out, and DICOM
            files, which are told.
        out: folder to make.
        each: spoiled twins of a source, beside one that is healthy.
        seed: of everything; the same seed writes the same bytes.
        kinds: some of ``frames.KINDS``; None takes all in turn.
        size: of lesions, see ``sizes.py``.

    Returns:
        What makes a file at a time when it is looped over.

    Raises:
        UserError: a source cannot be read or shows nothing, a kind is not known, a lesion has no place, ``out`` is
            there already or cannot be written.
    """
    from domains.medical.making.sources import is_volume, left_out, listed, volume

    chosen, reach = checked_kinds(kinds), sizes.parse(size)
    if seed < 0 or not 1 <= each <= MOST_EACH:
        raise UserError(f"seed={seed}, each={each}: need a seed from 0 and 1 to {MOST_EACH} spoiled twins of each.")
    check_new(out)
    paths = listed(sources)
    for path in paths:
        if is_volume(path):
            if sizes.in_pixels(size):
                raise UserError(f"{path}: a size of {size!r} is one of pictures, but this is a volume; write mm.")
            volume(path)  # what is wrong with a header shows before the first file
    wanted = [str(path.resolve()) for path in paths], each, seed, chosen, size
    part = out.with_name(f".partial-{out.name}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]}")
    twins = _twins(paths, patients(paths), each, seed, chosen)
    return Making(twins, chosen, out, part, seed, reach, left_out(sources))


def _twins(paths: list[Path], whose: list[str], each: int, seed: int, kinds: list[str]) -> list[Twin]:
    """Every file of the set, those of a source together."""
    cases = {who: number for number, who in enumerate(sorted(set(whose)), 1)}
    rng = np.random.default_rng([seed, 1])
    # a patient's files are numbered by chance: neither first nor last is the healthy one
    numbers = {who: iter(rng.permutation(whose.count(who) * (each + 1)) + 1) for who in cases}
    twins, lesions = [], dict.fromkeys(cases, 0)
    for place, (path, who) in enumerate(zip(paths, whose, strict=True)):
        twins.append(Twin(path, cases[who], int(next(numbers[who])), 0, ""))
        for i in range(each):
            kind, lesions[who] = kinds[(place * each + i) % len(kinds)], lesions[who] + 1
            twins.append(Twin(path, cases[who], int(next(numbers[who])), lesions[who], kind))
    return twins
