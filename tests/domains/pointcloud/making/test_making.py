import numpy as np
import pytest
from fake_bodies import NAMES, WALL, body

from domains.pointcloud.making import amplitude
from domains.pointcloud.making.making import VISIBLE_PITCH, NoPlaceError, Wish, cloud, place, thinned
from domains.pointcloud.making.spoiling import KINDS

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
COUNT = (15_000, 18_000)
MOVES = ("bulge", "dent", "crack", "bend", "roughness")  # no point is taken away


def wish(kind, text="0.06 size", seed=4) -> Wish:
    return Wish(kind, amplitude.parse(text), (seed,))


def rows(points) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(points)}


@pytest.mark.parametrize("form", ["mesh", "cloud"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_twins_are_equal_but_for_the_defect(name, kind, form) -> None:
    """On every shape, as a mesh and as a cloud: a few percent are labelled, the rest is the twin's to the bit."""
    shape = body(name, form)
    healthy, none = cloud(shape, wish(kind), COUNT, False)
    spoiled, labels = cloud(shape, wish(kind), COUNT, True)
    assert len(healthy) == len(spoiled) and not none.any()
    assert 0.001 < labels.mean() < (0.2 if kind == "bend" else 0.1)
    same, rest = rows(healthy), rows(spoiled[~labels])
    assert not rows(spoiled[labels]) & same
    if kind in MOVES:
        assert rest < same and len(same - rest) == labels.sum()
    else:  # as many of the same scan fill up what is gone
        gone = len(same - rest)
        assert len(rest - same) <= gone <= 0.15 * len(same)


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("text", ["3 pitch", "6 pitch", "0.05 size", "0.1 size"])
def test_points_move_as_far_as_the_amplitude_says(kind, text) -> None:
    shape = body("ball")
    drawn = thinned(shape.skin, 20_000, np.random.default_rng(0))
    value, unit = float(text.split()[0]), text.split()[1]
    depth = value * (drawn.pitch if unit == "pitch" else 1)
    effect = place(shape, wish(kind, text), drawn, drawn.pitch, np.random.default_rng(1))[1]
    far = np.linalg.norm(effect.points - drawn.points, axis=1)
    assert (far[~effect.labels] == 0).all() and far[effect.labels].min() > VISIBLE_PITCH * drawn.pitch
    most = max(depth, 3 * drawn.pitch) / 3 if kind == "roughness" else depth
    assert 0.85 * most < far.max() < 1.1 * most


@pytest.mark.parametrize(("kind", "sign"), [("bulge", 1), ("dent", -1), ("crack", -1), ("hole", -1), ("bite", -1)])
@pytest.mark.parametrize("inverted", [False, True])
def test_hills_rise_and_hollows_sink_however_the_faces_are_wound(kind, sign, inverted) -> None:
    from pathlib import Path

    from fake_bodies import mesh_of

    from domains.pointcloud.files import Shape
    from domains.pointcloud.making.body import body_of

    vertices, faces = mesh_of("ball")
    shape = body_of(Path("x.obj"), Shape(vertices, faces=faces[:, ::-1] if inverted else faces), 20_000)
    drawn = thinned(shape.skin, 15_000, np.random.default_rng(0))
    effect = place(shape, wish(kind), drawn, drawn.pitch, np.random.default_rng(1))[1]
    points = np.concatenate([effect.points[effect.kept & effect.labels], effect.fresh])
    assert (sign * (np.linalg.norm(points, axis=1) - 1) > -1e-3).mean() > 0.99


@pytest.mark.parametrize("form", ["mesh", "cloud"])
@pytest.mark.parametrize("kind", ["bulge", "crack", "roughness"])
def test_a_defect_of_one_wall_leaves_the_other(kind, form) -> None:
    shape = body("shell", form)
    drawn = thinned(shape.skin, 20_000, np.random.default_rng(0))
    radius = np.linalg.norm(drawn.points * shape.radius + shape.centre, axis=1)
    outer = radius > 1 - WALL / 2
    for seed in range(5):
        effect = place(shape, wish(kind, "0.04 size"), drawn, drawn.pitch, np.random.default_rng(seed))[1]
        share = outer[effect.labels].mean()
        away_from_the_rim = (drawn.points[effect.labels, 2] * shape.radius + shape.centre[2]).max() < -0.25
        assert not away_from_the_rim or share in (0, 1)


def test_a_dent_deeper_than_a_wall_moves_both_its_sides() -> None:
    shape = body("shell")
    drawn = thinned(shape.skin, 20_000, np.random.default_rng(0))
    effect = place(shape, wish("dent", "0.12 size"), drawn, drawn.pitch, np.random.default_rng(2))[1]
    radius = np.linalg.norm(drawn.points * shape.radius + shape.centre, axis=1)
    assert 0.3 < (radius[effect.labels] > 1 - WALL / 2).mean() < 0.7


def test_a_bite_into_a_solid_exposes_a_new_surface_within_it() -> None:
    shape = body("ball")
    assert shape.scene is not None
    drawn = thinned(shape.skin, 20_000, np.random.default_rng(0))
    defect, effect = place(shape, wish("bite", "0.15 size"), drawn, drawn.pitch, np.random.default_rng(1))
    assert len(effect.fresh) > 100 and not effect.labels.any()
    far = np.linalg.norm(effect.fresh - defect.ball.centre, axis=1)
    np.testing.assert_allclose(far, defect.ball.radius)
    assert np.linalg.norm(effect.fresh, axis=1).max() < 1.001
    gone = ~effect.kept  # a scoop exposes about as much as it takes away
    assert 0.7 < len(effect.fresh) / gone.sum() < 2


@pytest.mark.parametrize("name", ["vase", "bowl"])
def test_an_open_wall_encloses_nothing(name) -> None:
    assert body(name).scene is None
    assert all(body(solid).scene is not None for solid in ("ball", "bolt", "gear", "torus", "shell"))


def test_the_seed_decides_every_bit_and_streams_do_not_mix() -> None:
    shape = body("bolt")
    first, again, other = (cloud(shape, wish("dent", seed=seed), COUNT, True) for seed in (1, 1, 2))
    assert first[0].tobytes() == again[0].tobytes() and first[1].tobytes() == again[1].tobytes()
    assert first[0].tobytes() != other[0].tobytes()
    healthy = [cloud(shape, wish(kind, text), COUNT, False)[0] for kind, text in (("dent", "any"), ("bite", "faint"))]
    assert healthy[0].tobytes() == healthy[1].tobytes()


def test_number_of_points_does_not_tell() -> None:
    shape = body("bottle")
    for kind in ("hole", "bite"):
        healthy, spoiled = (cloud(shape, wish(kind), COUNT, which)[0] for which in (False, True))
        assert len(healthy) == len(spoiled)


def test_a_body_without_a_place_for_a_defect_is_told(monkeypatch) -> None:
    monkeypatch.setattr("domains.pointcloud.making.making.LABELLED", (0.9, 1.0))
    with pytest.raises(NoPlaceError, match=r"torus.obj: no place for a dent; leave the kind out, or try another"):
        cloud(body("torus"), wish("dent"), COUNT, True)
