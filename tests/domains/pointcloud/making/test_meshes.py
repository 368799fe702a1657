import numpy as np
import pytest
from fake_bodies import body, mesh_of

from domains.pointcloud.geometry import face_normals
from domains.pointcloud.making import amplitude, tessellate
from domains.pointcloud.making.body import scene_of, weld
from domains.pointcloud.making.making import Wish
from domains.pointcloud.making.meshes import mesh
from domains.pointcloud.making.spoiling import KINDS

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
COUNT = 12_000


def wish(kind, text="0.08 size") -> Wish:
    return Wish(kind, amplitude.parse(text), (7,))


def border(faces) -> int:
    """Edges of one face only."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1)
    return int((np.unique(ends, axis=0, return_counts=True)[1] == 1).sum())


def volume(vertices, faces) -> float:
    return float(np.einsum("fc,fc->f", vertices[faces[:, 0]], face_normals(vertices, faces)).sum() / 6)


def cube(side=1.0) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float) * side
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return corners, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])


@pytest.mark.parametrize("kind", ["bulge", "dent", "crack", "bend", "roughness"])
@pytest.mark.parametrize("name", ["bolt", "ball", "vase"])
def test_mesh_twins_share_faces_and_all_vertices_that_are_not_labelled(name, kind) -> None:
    shape = body(name)
    (before, faces), none = mesh(shape, wish(kind), COUNT, False)
    (after, same), labels = mesh(shape, wish(kind), COUNT, True)
    assert not none.any() and labels.any()
    assert (faces == same).all()
    assert ((before == after).all(1) == ~labels).all()
    assert 0.02 * shape.radius < np.linalg.norm(after - before, axis=1).max() < 0.09 * shape.radius


@pytest.mark.parametrize("kind", KINDS)
def test_a_solid_stays_wound_outwards_and_as_large_as_the_defect_lets_it(kind) -> None:
    (before, faces), _ = mesh(body("ball"), wish(kind), COUNT, False)
    (after, spoiled), _ = mesh(body("ball"), wish(kind), COUNT, True)
    change = volume(after, spoiled) / volume(before, faces) - 1
    least, most = {"bulge": (1e-4, 0.02), "bend": (-0.05, 0.05), "roughness": (-0.01, 0.01)}.get(kind, (-0.03, -1e-4))
    assert least < change < most


def test_a_bite_of_a_mesh_has_a_wall_that_meets_what_is_left() -> None:
    shape = body("ball")
    (vertices, faces), _ = mesh(shape, wish("bite"), COUNT, True)
    vertices = (vertices - shape.centre) / shape.radius
    assert np.linalg.norm(vertices, axis=1).max() < 1 + 1e-3
    assert border(faces) > 0  # rim and wall are not sewn together, but there is no gap to be seen:
    scene = scene_of((vertices, faces))
    rng = np.random.default_rng(0)
    out = rng.normal(size=(20_000, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    rays = np.concatenate([np.zeros_like(out), out], 1).astype(np.float32)
    assert (scene.count_intersections(o3d.core.Tensor(rays)).numpy() == 0).mean() < 0.001


def test_a_hole_of_a_mesh_is_open_and_its_rim_is_round() -> None:
    shape = body("ball")
    (vertices, faces), _ = mesh(shape, wish("hole"), COUNT, True)
    ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1)
    edges, count = np.unique(ends, axis=0, return_counts=True)
    rim = vertices[np.unique(edges[count == 1])]
    assert len(rim) > 20
    flat = (rim - rim.mean(0)) @ np.linalg.svd(rim - rim.mean(0))[2][:2].T
    centre = np.linalg.lstsq(np.c_[2 * flat, np.ones(len(flat))], (flat**2).sum(1), rcond=None)[0][:2]
    far = np.linalg.norm(flat - centre, axis=1)
    assert far.std() < 0.02 * far.mean()


@pytest.mark.parametrize("place", [(0.0, 0.3, 0.6), (0.5, 0.5, 0.0), (1.0, 1.0, 1.0)])
def test_refining_leaves_no_gap_and_changes_no_surface(place) -> None:
    vertices, faces = tessellate.refine(cube(), np.array([place]), 0.2, 0.05)
    assert border(faces) == 0
    assert volume(vertices, faces) == pytest.approx(1)
    np.testing.assert_array_equal(vertices[:8], cube()[0])
    corners = vertices[faces]
    close = (np.linalg.norm(corners - place, axis=2) < 0.2).any(1)
    assert close.any() and np.linalg.norm(np.roll(corners, -1, 1) - corners, axis=2)[close].max() <= 0.05
    assert len(faces) < 3_000


def test_refining_far_from_any_face_does_nothing() -> None:
    vertices, faces = tessellate.refine(cube(), np.array([[3.0, 0, 0]]), 0.5, 0.01)
    assert len(vertices) == 8 and (faces == cube()[1]).all()


def test_an_icosphere_is_closed_round_and_wound_inwards() -> None:
    vertices, faces = tessellate.icosphere(np.array([1.0, 2, 3]), 2.0, 0.3)
    np.testing.assert_allclose(np.linalg.norm(vertices - [1, 2, 3], axis=1), 2)
    assert border(faces) == 0
    assert volume(vertices - [1, 2, 3], faces) == pytest.approx(-4 / 3 * np.pi * 8, rel=0.02)
    assert np.linalg.norm(vertices[faces[:, 0]] - vertices[faces[:, 1]], axis=1).max() < 0.33


def test_welding_joins_places_and_drops_what_no_face_uses() -> None:
    points = np.array(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [9, 9, 9], [np.nan, 0, 0]], float
    )
    faces = np.array([[0, 1, 2], [3, 5, 4], [0, 1, 7], [1, 3, 5]])
    vertices, welded = weld(points, faces)
    assert len(vertices) == 4 and len(welded) == 2
    np.testing.assert_array_equal(vertices[welded], points[faces[:2]])


def test_shapes_of_the_test_are_what_they_are_called() -> None:
    assert border(weld(*mesh_of("ball"))[1]) == 0 and border(weld(*mesh_of("vase"))[1]) > 0
