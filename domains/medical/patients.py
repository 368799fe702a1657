"""Paths of files in, whose each is by its name out; where names do not tell, by folders. Opens nothing.

Two visits of a patient are one patient: what follows the patient in the names of BIDS (``_ses-02``), BraTS since 2023
(a time point), IXI, OASIS and ADNI is left out. Two patients are never one because names alone are equal: of files that
are called the same in several folders the folders count.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from os.path import commonpath
from pathlib import Path

from domains.medical import geometry

_KNOWN = re.compile(
    r"(sub-[a-z0-9]+)(?:_.*)?"  # BIDS: sub-01_ses-02_T1w
    r"|(IXI\d+)(?:-.*)?"  # IXI002-Guys-0828-T1
    r"|(BraTS-[a-z]+-\d+)(?:-.*)?"  # since 2023: BraTS-GLI-00000-000-t1c
    r"|(BraTS\d+_.+?)(?:_(?:flair|t1|t1ce|t2|segm?))?"  # to 2021: BraTS20_Training_001_flair
    r"|(?:.*\D)?(\d{3}_S_\d{4,5})(?:_.*)?"  # ADNI: ADNI_002_S_0413_MR_...
    r"|(OAS[12]_\d{4}|OAS3\d{4})(?:_.*)?",  # OAS1_0001_MR1, OAS30001_MR_d0129
    re.IGNORECASE,
)
_WORDS = re.compile(  # of what is the same of every patient
    r"ses-.*|session.*|visit.*|anat|func|dwi|fmap|perf|derivatives|sourcedata|rawdata|images?|imgs?|scans?|volumes?"
    r"|mri?|ct|pet|flair|t1(?:w|n|c|ce|gd)?|t2(?:w|f)?|pdw?|adc|swi|mra|brain|head|nifti|nii|data|train|test|val|valid",
    re.IGNORECASE,
)


def known(path: Path) -> str:
    """Whose a file is that is called as those of BIDS, IXI, BraTS, ADNI or OASIS; "" of any other."""
    match = _KNOWN.fullmatch(_stem(path))
    return next(group for group in match.groups() if group) if match else ""


def patients(paths: Sequence[Path]) -> list[str]:
    """Whose each file is.

    As data sets that are ``known`` call their files, else the name up to its last ``_`` where that has a digit
    (``p1_a``), else the whole without the ending (``volume-10``, ``no_7``). A name of words that are those of any
    patient (``p1/T1.nii.gz``) is that of the folders, without such words. Where folders hold files of one name, they
    are part of whose these are (``a/sub-01``), but for such words: ``T1/001.nii`` and ``T2/001.nii`` are of one
    patient. Below ``derivatives`` lies no other patient than beside it.

    Args:
        paths: of all files; the folders that all share do not count.
    """
    top = len(Path(commonpath([p.parent for p in paths])).parts) if paths else 0
    places = [_place(path.parent.parts[top:]) for path in paths]
    names = ["" if _says_nothing(_stem(path)) else known(path) or _first(_stem(path)) for path in paths]
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, place, name in zip(paths, places, names, strict=True):
        held[name, _stem(path)].add(place)
    several = {name for (name, _), found in held.items() if len(found) > 1}
    return [
        "/".join(filter(None, (place, name))) or _stem(path) if name in several or not name else name
        for path, place, name in zip(paths, places, names, strict=True)
    ]


def _place(folders: Sequence[str]) -> str:
    """The folders that may tell patients of one name apart; those of a patient of BIDS, and below it, do not."""
    kept: list[str] = []
    before = ""
    for folder in folders:
        if re.fullmatch(r"sub-[A-Za-z0-9]+", folder):
            break
        if not _WORDS.fullmatch(folder) and before.lower() != "derivatives":
            kept.append(folder)
        before = folder
    return "/".join(kept)


def _first(stem: str) -> str:
    """Up to the last ``_`` where that has a digit, else all of it."""
    first = stem.rpartition("_")[0]
    return first if any(c.isdigit() for c in first) else stem


def _says_nothing(stem: str) -> bool:
    """Whether all words of a name are those of any patient."""
    return all(_WORDS.fullmatch(word) for word in re.split(r"[_. -]+", stem) if word)


def _stem(path: Path) -> str:
    """The name without its ending, ``.nii.gz`` being one."""
    low = path.name.lower()
    ending = next((s for s in sorted(geometry.SUFFIXES, key=len, reverse=True) if low.endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(ending)]
