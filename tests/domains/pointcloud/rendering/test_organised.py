import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.pointcloud.geometry import face_normals, to_unit_sphere, vertex_normals
from domains.pointcloud.rendering.cameras import tilts
from domains.pointcloud.rendering.drawing import draw
from domains.pointcloud.rendering.organised import jump, smooth_normals, triangulate

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


def plane(height: int = 5, width: int = 6, step: float = 0.5) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] * step
    return np.stack([columns, rows, np.full((height, width), 40.0)], -1)


def cookie(size: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A round cookie in metres as a scanner sees it from above, which pixels are valid, which are a dent or a crack."""
    rng = np.random.default_rng(0)
    y, x = (np.mgrid[:size, :size] - size / 2) / (1.25 * size) * 0.45
    radius = np.hypot(x, y)
    tall = np.where(radius < 0.1, 0.03 * np.sqrt(np.clip(1 - (radius / 0.1) ** 2, 0, 1)), 0)
    away = np.hypot(x - 0.03, y + 0.02)
    tall = tall - np.exp(-((away / 0.008) ** 2)) * 0.008
    crack = (np.abs(y - 0.03 - 0.004 * np.sin(400 * x)) < 0.0024) & (np.abs(x + 0.02) < 0.03)
    z = 0.45 - tall + np.where(crack, 0.006, 0) + rng.normal(0, 0.0001, x.shape)
    valid = (radius < 0.098) & (rng.random(x.shape) > 0.01)
    return np.stack([x * z / 0.45, y * z / 0.45, z], -1), valid, away < 0.012, crack


def test_a_square_becomes_two_triangles_wound_alike() -> None:
    xyz = plane()
    faces = triangulate(xyz, np.ones((5, 6), bool))
    assert len(faces) == 2 * 4 * 5
    normals = face_normals(xyz.reshape(-1, 3), faces)
    assert_allclose(np.abs(normals[:, 2]), 0.25)
    assert len(np.unique(np.sign(normals[:, 2]))) == 1


def test_three_valid_pixels_become_one_triangle_and_a_lone_gap_is_closed() -> None:
    valid = np.ones((5, 6), bool)
    valid[0, 0] = False
    xyz = np.where(valid[..., None], plane(), np.nan)
    faces = triangulate(xyz, valid)
    assert len(faces) == 2 * 4 * 5 - 1 and 0 not in faces
    valid[2, 3] = False
    xyz[2, 3] = np.nan
    faces = triangulate(xyz, valid)
    area = np.abs(face_normals(np.nan_to_num(xyz).reshape(-1, 3), faces)[:, 2]).sum() / 2
    assert_allclose(area, 4 * 5 * 0.25 - 0.125)
    assert len(np.unique(np.sign(face_normals(np.nan_to_num(xyz).reshape(-1, 3), faces)[:, 2]))) == 1


def test_no_triangle_spans_a_jump_whatever_the_unit() -> None:
    for unit in (1e-3, 1.0, 1e3):
        xyz = plane() * unit
        xyz[:, 3:, 2] += 30 * unit
        faces = triangulate(xyz, np.ones((5, 6), bool))
        assert len(faces) == 2 * 4 * 4
        assert_array_equal(np.ptp(faces % 6 // 3, axis=1), 0)
        assert_allclose(jump(xyz, np.ones((5, 6), bool)), 20 * unit)


@pytest.mark.parametrize("valid", [np.zeros((4, 4), bool), np.eye(4, dtype=bool), np.ones((1, 1), bool)])
def test_a_scan_without_neighbours_has_no_triangles(valid: np.ndarray) -> None:
    assert triangulate(np.zeros((*valid.shape, 3)), valid).shape == (0, 3)


def test_a_scanners_noise_does_not_show() -> None:
    xyz = plane(60, 60)
    xyz[..., 2] += np.random.default_rng(0).normal(0, 0.05, (60, 60))
    faces = triangulate(xyz, np.ones((60, 60), bool))
    rough, smooth = (
        np.degrees(np.arccos(np.abs(normals(xyz.reshape(-1, 3), faces)[:, 2]).clip(0, 1)))
        for normals in (vertex_normals, smooth_normals)
    )
    assert np.median(smooth) < 0.7 * np.median(rough)


def test_every_point_of_a_defect_is_seen_and_cracks_are_kept() -> None:
    xyz, valid, dent, crack = cookie()
    faces = triangulate(xyz, valid)
    number = np.full(valid.size, -1)
    number[valid.ravel()] = np.arange(valid.sum())
    points, faces = to_unit_sphere(xyz[valid]), number[faces]
    drawn = draw(points, tilts(9), 384, faces=faces, normals=smooth_normals(points, faces))
    seen = drawn.place >= 0
    assert seen.any(0)[(dent | crack)[valid]].mean() > 0.999
    assert seen[0].mean() > 0.999  # the scanner saw them all
    front = drawn.owner[0]
    inside = crack[valid][front.clip(0)] & (front >= 0)
    assert_allclose(inside.sum() / (front >= 0).sum(), crack[valid].mean(), rtol=0.15)
    disc = np.hypot(*(np.mgrid[:384, :384] - 191.5)) < 0.9 * np.sqrt((front >= 0).sum() / np.pi)
    assert (front[disc] >= 0).mean() > 0.998  # lone gaps are closed
