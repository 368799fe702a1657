import numpy as np
import pytest

from domains.pointcloud.making.defects import DEFECTS, spoil
from domains.pointcloud.making.shapes import SHAPES, sample


@pytest.fixture(scope="module")
def plate() -> tuple[np.ndarray, np.ndarray]:
    """A flat disc of 20,000 points with its normals up."""
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 20_000), np.sqrt(rng.random(20_000))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(20_000)], 1)
    return points, np.tile([0.0, 0, 1], (20_000, 1))


@pytest.mark.parametrize("kind", DEFECTS)
def test_only_labelled_points_move_and_about_as_many_as_asked(kind, plate) -> None:
    points, spoiled = spoil(kind, *plate, 0.02, 0.7, np.random.default_rng(3))
    assert 0.01 < spoiled.mean() < 0.035
    assert np.abs(points[~spoiled, 2]).max() < 0.005
    assert np.abs(points[spoiled, 2]).max() > 0.03


@pytest.mark.parametrize(("kind", "sign"), [("bulge", 1), ("dent", -1), ("bite", -1), ("crack", -1), ("hole", -1)])
def test_hills_rise_and_hollows_sink(kind, sign, plate) -> None:
    points, spoiled = spoil(kind, *plate, 0.02, 0.7, np.random.default_rng(3))
    assert (sign * points[spoiled, 2] > -1e-9).all()


@pytest.mark.parametrize("kind", ["bulge", "dent", "bite", "crack", "roughness"])
def test_severity_leads_from_faint_to_plain(kind, plate) -> None:
    faint, plain = (spoil(kind, *plate, 0.02, s, np.random.default_rng(3))[0] for s in (0.25, 1.0))
    assert np.abs(plain[:, 2]).max() > 1.5 * np.abs(faint[:, 2]).max()


def test_a_hole_takes_points_away_inside_its_rim(plate) -> None:
    points, spoiled = spoil("hole", *plate, 0.02, 0.7, np.random.default_rng(3))
    assert 0.98 * 20_000 < len(points) < 0.999 * 20_000
    centre = points[spoiled].mean(0)
    distance = np.linalg.norm((points - centre)[:, :2], axis=1)
    assert distance.min() > 0.4 * distance[spoiled].max()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_have_outward_unit_normals(shape) -> None:
    rng = np.random.default_rng(0)
    points, normals = sample(SHAPES[shape](rng), 4_000, rng)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    axis = np.hypot(points[:, 0], points[:, 1])
    outward = normals[:, :2] * points[:, :2]
    outer = axis > np.quantile(axis, 0.9)  # the widest part faces away from the axis
    assert (outward.sum(1)[outer] > -1e-6).mean() > 0.85
