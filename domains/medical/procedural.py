"""A seed in, two folders of head phantoms as NIfTI scans with masks out, in the layout of ``medical/nifti``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domains.medical import geometry, volumes
from framework.registry import register

_TRAIN = 4  # healthy scans beside the test ones, as the layout has them
_CONTRASTS = {"source": "t1", "target": "flair"}
_CODES = ("LPS", "RAS", "LAS", "PSR", "ASL")  # how scanners order their axes; the last two number slices sideways


@dataclass(frozen=True, slots=True)
class Plan:
    """One scan to draw. ``finding`` "" is healthy; ``seed`` names the patient, ``scan`` the pose and the noise."""

    name: str
    seed: tuple[int, ...]
    scan: int
    finding: str


@register("procedural", "medical")
def write(root: Path, seed: int = 0, samples: int = 72) -> None:
    """Write ``root/source`` (T1-like) and ``root/target`` (FLAIR-like), each a whole set of ``medical/nifti``.

    A test folder has ``samples`` scans, two a patient: one with a finding and its healthy twin, equal to it to the bit
    wherever the mask of the finding is not true. A train folder has a few healthy ones of other patients. Sets share no
    patient. The same arguments write the same bytes.

    Raises:
        MissingPackageError: nibabel or MONAI is not installed.
    """
    geometry.require_packages()
    for number, (name, contrast) in enumerate(_CONTRASTS.items()):
        for plan in plans((seed, number), samples):
            _write_scan(plan, contrast, root / name / "test")
        for scan in range(_TRAIN):
            plan = Plan(f"healthy{scan // 2 + 1:02}_{scan % 2 + 1}", (seed, number, 1, scan // 2), scan % 2, "")
            _write_scan(plan, contrast, root / name / "train")


def plans(seed: tuple[int, ...], samples: int) -> Iterator[Plan]:
    """Which scans a test folder has: twins, one of them with a finding, as often the first; findings take turns."""
    from domains.medical.findings import FINDINGS

    turns, patients = itertools.cycle(FINDINGS), (samples + 1) // 2
    sick = np.random.default_rng([*seed, 2]).permutation(np.arange(patients) % 2)
    for patient in range(patients):
        for number in range(min(2, samples - 2 * patient)):
            finding = next(turns) if number == sick[patient] else ""
            yield Plan(f"patient{patient + 1:02}_{number + 1}", (*seed, 0, patient), 0, finding)


def draw(plan: Plan, contrast: str) -> tuple[np.ndarray, np.ndarray]:
    """Voxels int16 and mask bool, both ``phantom.SHAPE`` in RAS order.

    Patient, pose and scanner, finding and noise have streams of their own, so a plan with another finding, or none,
    gives the same voxels wherever no mask is true.
    """
    from domains.medical import findings, phantom

    patient = np.random.default_rng([*plan.seed, 0])
    scanner, finding, noise = (np.random.default_rng([*plan.seed, 1 + plan.scan, i]) for i in range(3))
    head = phantom.head(patient, scanner, phantom.CONTRASTS[contrast])
    signal, mask = head.signal, np.zeros(phantom.SHAPE, np.bool_)
    if plan.finding:
        signal, mask = findings.add(plan.finding, head, findings.LOOKS[contrast], finding)
    return phantom.acquire(signal, patient, scanner, noise), mask


def affine(plan: Plan) -> np.ndarray:
    """``(4, 4)`` float64 of the file: axes in one of several orders, then turned by some degrees, as scanners do."""
    from nibabel import orientations

    from domains.medical.phantom import SHAPE, SPACING_MM

    rng = np.random.default_rng([*plan.seed, 1 + plan.scan, 3])
    codes = orientations.axcodes2ornt(_CODES[rng.integers(len(_CODES))])
    a, b = rng.normal(0, 0.08, 2)  # radians: tilted about the left-right axis, then about the vertical one
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    ras = np.eye(4)
    ras[:3, :3] = turn @ tilt * np.array(SPACING_MM)
    ras[:3, 3] = rng.uniform(-15, 15, 3) - ras[:3, :3] @ (np.array(SHAPE) - 1) / 2
    from_ras = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), codes)
    return ras @ orientations.inv_ornt_aff(from_ras, SHAPE)


def _write_scan(plan: Plan, contrast: str, folder: Path) -> None:
    """Write one scan and, where it has a finding, its mask."""
    voxels, mask = draw(plan, contrast)
    placed, name = affine(plan), f"{plan.name}.nii.gz"
    volumes.create(voxels, placed, folder / (plan.finding or "good") / name)
    if plan.finding:
        volumes.create(mask.astype(np.uint8), placed, folder / "masks" / plan.finding / name)
