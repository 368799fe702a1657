"""Scans to be read by the tests: written on the fly, small, of any orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SPACING = np.array([1.1, 2.3, 3.7])


def oblique(order: tuple[int, ...], signs: tuple[int, ...], spacing: np.ndarray = SPACING) -> np.ndarray:
    """``(4, 4)``: file axes that run near the given RAS axes, 17 and 11 degrees off them."""
    a, b = np.deg2rad(17), np.deg2rad(11)
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ np.eye(3)[:, list(order)] * np.array(signs) * spacing
    affine[:3, 3] = [40, -30, 12]
    return affine


def place_of(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``(*shape, 3)`` mm: where each voxel lies, from the affine alone."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def ball(affine: np.ndarray, shape: tuple[int, ...], centre_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Float32 of that shape: a smooth bright spot of 900 at a point of the world, on 100."""
    away = ((place_of(affine, shape) - centre_mm) ** 2).sum(-1)
    return (100 + 800 * np.exp(-away / (2 * sigma_mm**2))).astype(np.float32)


def centre_of(scores: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """``(3,)`` mm: where scores lie in the world, their mean place."""
    places, weight = place_of(affine, scores.shape), scores.astype(np.float64)
    return (places * weight[..., None]).sum((0, 1, 2)) / weight.sum()


def write(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """A NIfTI file."""
    import nibabel

    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0]) if affine is None else affine), path)
    return path
