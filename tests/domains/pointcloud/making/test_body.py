from pathlib import Path

import numpy as np
import pytest
from fake_bodies import WALL, body, mesh_of

from domains.pointcloud.files import Shape
from domains.pointcloud.geometry import face_normals
from domains.pointcloud.making.body import body_of
from framework.errors import UnreadableError

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


@pytest.mark.parametrize("form", ["mesh", "cloud"])
def test_normals_of_both_walls_of_a_shell_point_out_of_its_material(form) -> None:
    shape = body("shell", form)
    points = shape.skin.points * shape.radius + shape.centre
    radius = np.linalg.norm(points, axis=1)
    wall = points[:, 2] < -0.2  # away from the rim
    outward = (shape.skin.normals * points).sum(1) * np.where(radius > 1 - WALL / 2, 1, -1)
    assert (outward[wall] > 0).mean() > 0.99


@pytest.mark.parametrize("wound", ["out", "in", "one part in"])
def test_faces_come_out_wound_outwards_however_they_were(wound) -> None:
    vertices, faces = mesh_of("ball")
    both = np.concatenate([faces, faces + len(vertices)])
    turned = {"out": 0, "in": len(both), "one part in": len(faces)}[wound]
    both[:turned] = both[:turned, ::-1]
    beside = np.concatenate([vertices, vertices + np.array([3, 0, 0])])
    shape = body_of(Path("two.obj"), Shape(beside, faces=both), 8_000)
    points, faces = shape.mesh
    points = points * shape.radius + shape.centre
    middle = points[faces].mean(1)
    middle[:, 0] -= np.where(middle[:, 0] > 1.5, 3, 0)
    assert ((face_normals(points, faces) * middle).sum(1) > 0).all()


def test_the_pitch_is_that_of_the_points_and_the_skin_is_what_is_seen() -> None:
    vertices, faces = mesh_of("ball")
    both = Shape(np.concatenate([vertices, 0.5 * vertices]), faces=np.concatenate([faces, faces + len(vertices)]))
    skin = body_of(Path("core.obj"), both, 20_000).skin
    np.testing.assert_allclose(np.linalg.norm(skin.points, axis=1), 1, atol=0.01)
    assert skin.pitch == pytest.approx(np.sqrt(4 * np.pi / len(skin)), rel=0.03)


@pytest.mark.parametrize("faces", [None, np.array([[0, 1, 2], [0, 2, 3]])])
def test_what_is_flat_is_no_body(faces) -> None:
    rng = np.random.default_rng(0)
    points = np.c_[rng.random((40, 2)), np.zeros(40)] @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    with pytest.raises(UnreadableError, match=r"flat\.ply: is flat, without a volume; defects are made on bodies"):
        body_of(Path("flat.ply"), Shape(points, faces=faces), 1_000)


def test_faces_without_area_are_told() -> None:
    line = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 3, 0], [0, 0, 4], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 5, 3], [4, 0, 4]])
    with pytest.raises(UnreadableError, match=r"line\.obj: (its faces have no area|is flat)"):
        body_of(Path("line.obj"), Shape(line, faces=faces), 1_000)


def test_a_cloud_too_small_to_show_a_defect_is_refused(tmp_path) -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(UnreadableError, match=r"few\.xyz: 20 points and no faces; a defect shows on 500 or more"):
        body_of(tmp_path / "few.xyz", Shape(points), 1000)
