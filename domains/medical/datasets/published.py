"""The records of a medical set in; what `datasets check` should say of the set as a whole out, a line each.

Sources of the counts: BMAD's Brain, a public README of it, and the file lists that AA-CLIP ships for the test splits of
Brain, Liver and RESC; BrainMRI, the release; HeadCT, Br35H, ISIC 2016, CVC-ClinicDB, CVC-ColonDB, CVC-300, Kvasir-SEG
and Endo, the lists that published methods test on; TN3K, its paper (614 to test); BraTS and LiTS, the training scans of
each release; a decathlon task, its own ``dataset.json``. Sets whose count is not known here are not compared.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from domains.medical import geometry
from domains.medical.datasets.bmad import MASKED
from domains.medical.datasets.listing import finding_of, folders, listed, some, twice
from domains.medical.pictures import SUFFIXES
from domains.medical.volumes import mask_values
from framework.errors import UnreadableError
from framework.registry import register
from framework.types import Record

Counts = tuple[int, int]  # normal and anomalous samples

MANY = 5  # scans of a patient, on average, above which it is asked whether it is one

_BMAD: dict[tuple[str, str], Counts] = {
    ("brain", "train"): (7500, 0),
    ("brain", "valid"): (39, 44),
    ("brain", "test"): (640, 3075),
    ("liver", "test"): (833, 660),
    ("resc", "test"): (1041, 764),
}
_YES_NO: dict[str, Counts] = {"BrainMRI": (98, 155), "Br35H": (1500, 1500)}
_POLYPS = {"cvc-clinicdb": 612, "cvc-colondb": 380, "cvc-300": 60, "kvasir": 1000, "kvasir-seg": 1000, "endo": 200}
_BRATS = {285: "2018", 335: "2019", 369: "2020", 1251: "2021"}
_LITS = 131
_NO_PATIENT = (
    "nobody knows which of {count} {what} are of one patient: that a patient lies in several splits or sets cannot be "
    "excluded, and intervals resample {what}, so they are narrower than patients would make them."
)


@register("checks", "medical/bmad")
def bmad(records: list[Record], split: str) -> list[str]:
    """Counts of the sets that are published, masks that a set should have, pictures without a patient."""
    lines = []
    for organ in sorted({r.category for r in records}):
        mine = [r for r in records if r.category == organ]
        if (organ, split) in _BMAD:
            lines += _differ(mine, {"BMAD": _BMAD[organ, split]}, f"{organ}, split {split}")
        if organ in MASKED and split != "train" and all(r.truth_path is None for r in mine):
            lines.append(f"{organ}: has no folder of masks (anomaly_mask or label in Ungood), the release has one.")
        lines += no_patient(mine, "pictures", f"{organ}: ")
    return [*lines, *_unnamed(records)]


@register("checks", "medical/yes_no")
def yes_no(records: list[Record], split: str) -> list[str]:
    """Counts of BrainMRI and Br35H, of which this is one where a count fits or the category is brain."""
    known = _YES_NO if {r.category for r in records} == {"brain"} else {}
    return [*_differ(records, known, "the set"), *pictures(records, split)]


@register("checks", "medical/head_ct")
def head_ct(records: list[Record], split: str) -> list[str]:
    """Counts of HeadCT."""
    return [*_differ(records, {"HeadCT": (100, 100)}, "the set"), *pictures(records, split)]


@register("checks", "medical/isic")
def isic(records: list[Record], split: str) -> list[str]:
    """Counts of the test split."""
    known = {"ISIC 2016": (0, 379)} if split == "test" else {}
    return [*_differ(records, known, f"split {split}"), *_unnamed(records), *pictures(records, split)]


@register("checks", "medical/polyps")
def polyps(records: list[Record], split: str) -> list[str]:
    """Counts of the sets that a folder's name says."""
    lines = []
    for name in sorted({r.category for r in records}):
        if name.lower() in _POLYPS:
            mine = [r for r in records if r.category == name]
            lines += _differ(mine, {name: (0, _POLYPS[name.lower()])}, name)
    return [*lines, *_unnamed(records), *pictures(records, split)]


@register("checks", "medical/tn3k")
def tn3k(records: list[Record], split: str) -> list[str]:
    """Counts of the test split."""
    known = {"TN3K": (0, 614)} if split == "test" else {}
    return [*_differ(records, known, f"split {split}"), *_unnamed(records), *pictures(records, split)]


@register("checks", "medical/covid")
@register("checks", "medical/meta_json")
def pictures(records: list[Record], split: str) -> list[str]:
    """That no patient is known, and files that differ in their ending alone."""
    names = twice(r.path for r in records)
    lines = [f"{len(names)} names with several endings: {some(names)}. If they are one picture, keep one."]
    return [*(lines if names else []), *no_patient(records, "pictures")]


@register("checks", "medical/brats")
def brats(records: list[Record], split: str) -> list[str]:
    """Scans of each release, and names that come twice."""
    scans = len({r.path for r in records})
    known = " or ".join(f"{count:,} ({year})" for count, year in _BRATS.items())
    lines = [f"{scans:,} scans are none of the published {known} of a training release."]
    return [*(lines if scans not in _BRATS else []), *volumes(records, split)]


@register("checks", "medical/lits")
def lits(records: list[Record], split: str) -> list[str]:
    """Scans, and names that come twice."""
    scans = len({r.path for r in records})
    lines = [f"{scans:,} scans differ from the published {_LITS} with segmentations."]
    return [*(lines if scans != _LITS else []), *volumes(records, split)]


@register("checks", "medical/decathlon")
def decathlon(records: list[Record], split: str) -> list[str]:
    """Scans as ``dataset.json`` counts them, and names that come twice."""
    scans, table = len({r.path for r in records}), records[0].path.parents[1] / "dataset.json"
    try:
        said = json.loads(table.read_text(encoding="utf-8"))["numTraining"]
    except (OSError, ValueError, KeyError, TypeError):
        said = scans  # nothing is said
    lines = [f"{scans:,} scans differ from the {said} of {table}."]
    return [*(lines if said != scans else []), *volumes(records, split)]


@register("checks", "medical/folder")
def folder(records: list[Record], split: str) -> list[str]:
    """Scans that count as healthy because they have no mask, and names that come twice."""
    bare = list(dict.fromkeys(r.path for r in records if r.truth_path == r.path))
    lines = [f"{len(bare):,} scans have no mask and count as healthy: {some([p.name for p in bare])}."]
    return [*(lines if bare else []), *volumes(records, split)]


@register("checks", "medical/nifti")
@register("checks", "medical/nifti_slices")
def nifti(records: list[Record], split: str) -> list[str]:
    """Masks under which no scan lies, and what is told of any volumes."""
    return [*_lone(records[0].path.parents[1], geometry.SUFFIXES, lambda scan: scan.name), *volumes(records, split)]


@register("checks", "medical/dicom")
def dicom(records: list[Record], split: str) -> list[str]:
    """That names of folders are written, and what is told of patients."""
    note = "names of folders and files are names of samples and stand in results; rename those that name patients."
    return [note, *_few(records)]


@register("checks", "medical/pictures")
def own_pictures(records: list[Record], split: str) -> list[str]:
    """Masks under which no picture lies."""
    return _lone(records[0].path.parents[1], SUFFIXES, lambda picture: f"{picture.stem}.png")


def volumes(records: list[Record], split: str) -> list[str]:
    """Names with several endings, values of masks that are asked for and nowhere, patients who may be none."""
    names = twice(r.path for r in records)
    lines = [f"{len(names)} names with several endings: {some(names)}. If they are one scan, keep one."]
    return [*(lines if names else []), *_absent(records), *_few(records)]


def _few(records: list[Record]) -> list[str]:
    """A line where patients may be none: one for the healthy scans and one for the others, or each of many scans."""
    found = {r.path for r in records if r.anomalous}
    held: dict[str, set[Path]] = defaultdict(set)
    for record in records:
        held[record.group].add(record.path)
    held.pop("", None)
    count, names = sum(map(len, held.values())), some(sorted(held))
    doubt = (
        "If these are no patients but labels or sites, intervals are those of too few; give each patient a name of its "
        "own."
    )
    if len(held) == 2 < count and sorted(len(own & found) / len(own) for own in held.values()) == [0, 1]:
        return [f"of its 2 patients one has all healthy and one all anomalous scans: {names}. {doubt}"]
    if len(held) > 1 and count >= MANY * len(held):
        return [f"{count:,} scans are of {len(held)} patients only: {names}. {doubt}"]
    return []


def _absent(records: list[Record]) -> list[str]:
    """A line where no mask has a value that is asked for, with the values that masks have. Opens them."""
    marks = {mark for r in records for mark in r.marks}
    masks = {r.truth_path for r in records if marks and r.truth_path not in (None, r.path)}
    held: set[int] = set()
    for mask in sorted(filter(None, masks)):
        try:
            held |= mask_values(mask)
        except UnreadableError:  # is told where it is read
            continue
    lost = sorted(marks - held) if held else []
    asked, there = (", ".join(map(str, sorted(values))) for values in (lost, held - {0}))
    return [
        f"no mask has a voxel of the value {asked}, which anomalous asks for; masks have {there or 'none'}."
    ] * bool(lost)


def no_patient(records: list[Record], what: str, who: str = "") -> list[str]:
    """A line where samples have no group."""
    count = sum(not r.group for r in records)
    return [who + _NO_PATIENT.format(count=f"{count:,}", what=what)] if count else []


def _lone(place: Path, endings: tuple[str, ...], mask_of: Callable[[Path], str]) -> list[str]:
    """A line where ``masks/<finding>`` in a split's folder holds masks that are not called as one of its scans needs.

    Args:
        place: of the split.
        endings: of scans and masks.
        mask_of: a scan's path -> the name of its mask.
    """
    found = {masks: listed(masks, endings) for masks in folders(place / "masks")}
    needed = {m: {mask_of(p) for p in listed(place / m.name, endings)} if finding_of(m.name) else set() for m in found}
    return _told([mask for masks, paths in found.items() for mask in paths if mask.name not in needed[masks]])


def _unnamed(records: list[Record]) -> list[str]:
    """A line where the folders of masks hold pictures that no record has as its mask."""
    named = {r.truth_path for r in records if r.truth_path is not None and r.truth_path != r.path}
    return _told(
        [mask for folder in sorted({path.parent for path in named}) for mask in listed(folder) if mask not in named]
    )


def _told(masks: list[Path]) -> list[str]:
    names = [f"{mask.parent.name}/{mask.name}" for mask in masks]
    return [f"no sample has these masks, so they are not read: {some(names)}."] if names else []


def _differ(records: list[Record], published: dict[str, Counts], who: str) -> list[str]:
    """A line where the counts are those of none of the published sets."""
    counted = Counter(r.anomalous for r in records)
    found = (counted[False], counted[True])
    if not published or found in published.values():
        return []
    known = " or ".join(f"{n:,} and {a:,} ({name})" for name, (n, a) in published.items())
    return [f"{who}: {found[0]:,} normal and {found[1]:,} anomalous differ from the published {known}."]
