from typing import Any

import numpy as np
import pytest
import torch

from domains.pointcloud.rendering.cameras import fibonacci
from domains.pointcloud.rendering.drawing import draw
from domains.pointcloud.rendering.styles import parse
from framework.errors import UserError

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
FACES = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])


def test_faces_choose_the_back_end() -> None:
    mesh = draw(TETRAHEDRON, fibonacci(1), 64, faces=FACES)
    cloud = draw(TETRAHEDRON, fibonacci(1), 64)
    chosen = draw(TETRAHEDRON, fibonacci(1), 64, faces=FACES, backend="splat")
    assert (mesh.owner != cloud.owner).any()
    assert (chosen.owner == cloud.owner).all()


@pytest.mark.parametrize("faces", [None, FACES])
def test_what_is_drawn_has_its_shapes_and_types(faces: np.ndarray | None) -> None:
    drawn = draw(TETRAHEDRON, fibonacci(3), 64, faces=faces, style="shaded|depth|facing+normals")
    assert (drawn.views.shape, drawn.views.dtype) == ((6, 3, 64, 64), np.uint8)
    assert (drawn.owner.shape, drawn.owner.dtype) == ((6, 64, 64), np.int32)
    assert (drawn.place.shape, drawn.place.dtype) == ((6, 4), np.int32)
    assert (drawn.facing.shape, drawn.facing.dtype) == ((6, 4), np.float16)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"backend": "open3d"}, "no pointcloud backend called 'open3d'"),
        ({"backend": "mesh"}, "the file has no faces"),
        ({"style": "rgb"}, "the file has no colours"),
        ({"style": "shady"}, "no pointcloud style called 'shady'"),
        ({"device": "quantum"}, "device 'quantum'"),
        ({"backend": "visualizer", "style": "depth"}, "styles shaded and rgb alone"),
    ],
)
def test_what_cannot_be_drawn_is_a_users_mistake(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        draw(TETRAHEDRON, fibonacci(1), 64, **given)
    assert "\n" not in str(error.value)


def test_the_visualizer_shows_what_we_show() -> None:
    points = np.random.default_rng(0).normal(size=(30_000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points[:, 2] *= 0.6
    try:
        theirs = draw(points, fibonacci(2), 96, backend="visualizer")
    except UserError as error:
        pytest.skip(str(error))
    ours = draw(points, fibonacci(2), 96)
    assert (theirs.owner == ours.owner).all() and (theirs.place == ours.place).all()
    seen, known = theirs.views.min(1) < 240, ours.owner >= 0
    assert (seen & known).sum() / (seen | known).sum() > 0.9


def test_pictures_of_a_style() -> None:
    assert parse("shaded") == (("shaded",),)
    assert parse("shaded|depth|facing + rgb") == (("shaded", "depth", "facing"), ("rgb",))


@pytest.mark.parametrize(
    "style", ["shaded|depth", "shaded|rgb|depth", "normals|normals|normals", "depth+depth", "", "+"]
)
def test_nonsense_is_no_style(style: str) -> None:
    with pytest.raises(UserError, match="style"):
        parse(style)


@pytest.mark.parametrize("wrong", [np.nan, 1.2])
def test_points_outside_the_unit_sphere_are_a_broken_promise(wrong: float) -> None:
    points = TETRAHEDRON.copy()
    points[2] = wrong
    with pytest.raises(ValueError, match="points must lie in the unit sphere"):
        draw(points, fibonacci(1), 64)


def test_a_machine_without_windows_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import open3d as o3d

    monkeypatch.setattr(o3d.visualization.Visualizer, "create_window", lambda self, **given: False)
    with pytest.raises(UserError, match="backend visualizer: Open3D cannot make a window here") as error:
        draw(TETRAHEDRON, fibonacci(1), 64, backend="visualizer")
    assert "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_machine_without_a_gpu_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match="device 'cuda': this machine has no GPU"):
        draw(TETRAHEDRON, fibonacci(1), 64, device="cuda")
