import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from domains.pointcloud import PointCloud
from domains.pointcloud.geometry import to_unit_sphere
from domains.pointcloud.making.procedural import write_pcd
from domains.pointcloud.making.shapes import SHAPES, sample
from domains.pointcloud.rendering.cameras import LAYOUTS, focal_px
from framework import registry
from framework.errors import UnreadableError, UserError
from framework.lift import lift
from framework.types import Record

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


@pytest.fixture
def torus(tmp_path: Path) -> Record:
    """8,000 points, every third labelled place: a spot of radius 0.3 on the ring."""
    points, _ = sample(SHAPES["torus"](np.random.default_rng(0)), 8_000, np.random.default_rng(1))
    points = (points * 30 + [5, -7, 100]).astype(np.float32)
    spot = np.linalg.norm(points - points[0], axis=1) < 9
    write_pcd(tmp_path / "torus.pcd", points)
    np.savetxt(tmp_path / "torus.txt", np.c_[points, spot], "%.6f")
    return Record(tmp_path / "torus.pcd", True, "torus", truth_path=tmp_path / "torus.txt")


def test_a_cloud_becomes_views_owners_truth_and_stand_ins(torus) -> None:
    reader = registry.build("domain", "pointcloud", views=6, size=160)
    given = reader.read(torus)
    assert given.views.shape == (6, 3, 160, 160) and given.elements == 8_000
    assert 0.1 < (given.owner >= 0).mean() < 0.6
    assert 0.01 < given.truth.mean() < 0.1 and given.regions.max() == 1
    shown = np.flatnonzero((given.place >= 0).any(0))
    assert_array_equal(given.stand_in[shown], shown)
    assert np.isin(given.stand_in, shown).all() and given.counts.get("unseen", 0) == 8_000 - len(shown)
    assert given.weight is None and given.fuse == "mean" and len(given.captions) == 6
    again = reader.read(torus)
    assert_array_equal(given.views, again.views)
    assert_array_equal(given.owner, again.owner)


def test_exact_masks_of_the_views_come_back_as_the_truth(torus) -> None:
    given = PointCloud(14, 224).read(torus)
    masks = given.truth[given.owner.clip(0)] & (given.owner >= 0)
    back = lift(torch.from_numpy(masks).float(), given).numpy() > 0.5
    assert f1(back, given.truth) > 0.95


@pytest.mark.parametrize(("shape", "count"), [("torus", 10_000), ("gear", 10_000), ("bowl", 30_000)])
def test_masks_ray_cast_from_the_true_surface_come_back_as_the_truth(tmp_path, shape, count) -> None:
    vertices, faces = SHAPES[shape](np.random.default_rng(0))
    points, _ = sample((vertices, faces), count, np.random.default_rng(1))
    centre, radius = points[17], 0.25
    write_pcd(tmp_path / "x.pcd", points)
    given = PointCloud(14, 256).read(Record(tmp_path / "x.pcd", False, shape))
    middle = (points.min(0) + points.max(0)) / 2
    scale = np.linalg.norm(points - middle, axis=1).max()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(((vertices - middle) / scale).astype(np.float32), faces.astype(np.uint32))
    masks = []
    for pose in LAYOUTS["fibonacci"](14):
        lens = np.array([[focal_px(256), 0, 128], [0, focal_px(256), 128], [0, 0, 1.0]])
        rays = scene.create_rays_pinhole(o3d.core.Tensor(lens), o3d.core.Tensor(pose), 256, 256)
        depth = scene.cast_rays(rays)["t_hit"].numpy()[..., None]
        hit = rays.numpy()[..., :3] + np.nan_to_num(depth, posinf=0) * rays.numpy()[..., 3:]
        masks.append((np.linalg.norm(hit * scale + middle - centre, axis=-1) < radius) & np.isfinite(depth[..., 0]))
    truth = np.linalg.norm(points - centre, axis=1) < radius
    back = lift(torch.from_numpy(np.stack(masks)).float(), given).numpy() > 0.5
    assert f1(back, truth) > 0.93


def test_points_without_a_place_are_counted_and_stood_in_for(tmp_path, torus) -> None:
    points = np.frombuffer(torus.path.read_bytes()[-8_000 * 12 :], "<f4").reshape(-1, 3).copy()
    points[[0, 100, 4_000]] = np.nan
    points[200] = np.inf
    write_pcd(tmp_path / "nan.pcd", points)
    given = PointCloud(4, 96).read(Record(tmp_path / "nan.pcd", False, "torus"))
    assert given.elements == 8_000 and not np.isin([0, 100, 200, 4_000], given.owner).any()
    shown = np.isfinite(points).all(1)
    assert shown[given.stand_in].all() and (given.place[:, given.stand_in] >= 0).any(0).all()
    assert (given.place[:, ~shown] == -1).all() and given.counts["without a place"] == 4
    assert given.stand_in[100] == given.stand_in[99]
    scores = np.linspace(0, 1, 8_000, dtype=np.float32)
    told = PointCloud(4, 96).save(given, scores, tmp_path / "scored")
    assert told == {"map": tmp_path / "scored.ply", "unscored": 4}
    saved = o3d.t.io.read_point_cloud(str(told["map"]))
    assert_array_equal(saved.point["score"].numpy()[:, 0], np.where(shown, scores, np.nan))
    assert (saved.point.colors.numpy()[~shown] == 128).all() and np.isfinite(scores).all()
    # owners index the points of the file: the middle of view 0 shows what lies there
    place = to_unit_sphere(points[shown])
    pose = LAYOUTS["fibonacci"](4)[0]
    rows, columns = np.nonzero(given.owner[0] >= 0)
    position = np.full(8_000, -1)
    position[shown] = np.arange(shown.sum())
    seen = place[position[given.owner[0, rows, columns]]] @ pose[:3, :3].T + pose[:3, 3]
    column = seen[:, 0] / seen[:, 2] * focal_px(96) + 48
    assert np.abs(column - columns - 0.5).max() < 4


def test_a_mesh_is_drawn_and_scored_by_its_vertices(tmp_path) -> None:
    ball = o3d.geometry.TriangleMesh.create_sphere(3, 25)
    o3d.io.write_triangle_mesh(str(tmp_path / "ball.ply"), ball)
    path = tmp_path / "ball.ply"
    reader = PointCloud(6, 128)
    given = reader.read(Record(path, False, "ball", truth_path=path))
    assert given.elements == len(ball.vertices) and not given.truth.any()
    scores = np.linspace(0, 1, given.elements, dtype=np.float32)
    saved = tmp_path / "out" / "ball.v1.ply"
    assert reader.save(given, scores, tmp_path / "out" / "ball.v1") == {"map": saved}
    assert_array_equal(o3d.t.io.read_point_cloud(str(saved)).point["score"].numpy()[:, 0], scores)
    assert_array_equal(np.asarray(o3d.io.read_triangle_mesh(str(saved)).triangles), np.asarray(ball.triangles))


def test_a_mesh_file_without_faces_is_a_cloud(tmp_path) -> None:
    points, _ = sample(SHAPES["torus"](np.random.default_rng(0)), 3_000, np.random.default_rng(1))
    (tmp_path / "cloud.obj").write_text("".join(f"v {x} {y} {z}\n" for x, y, z in points))
    given = PointCloud(3, 96).read(Record(tmp_path / "cloud.obj", True, "torus"))
    assert given.elements == 3_000 and given.truth is None and given.regions is None
    assert (given.owner >= 0).mean() > 0.1


def test_faces_without_area_are_refused(tmp_path) -> None:
    (tmp_path / "line.obj").write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\nf 1 1 2\n")
    with pytest.raises(UnreadableError, match=r"line\.obj: its faces have no area"):
        PointCloud(1, 64).read(Record(tmp_path / "line.obj", False, "line"))


def test_scores_are_saved_in_the_order_and_place_of_the_file(tmp_path, torus) -> None:
    reader = PointCloud(2, 64)
    given = reader.read(torus)
    scores = np.random.default_rng(0).random(8_000, dtype=np.float32)
    scores[:2] = 0, 1
    saved = o3d.t.io.read_point_cloud(str(reader.save(given, scores, tmp_path / "scored")["map"]))
    assert_array_equal(saved.point["score"].numpy()[:, 0], scores)
    assert_array_equal(
        saved.point.positions.numpy(), o3d.t.io.read_point_cloud(str(torus.path)).point.positions.numpy()
    )
    assert_array_equal(saved.point.colors.numpy()[:2], [[68, 1, 84], [253, 231, 37]])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scored.ply", "torus.pcd", "torus.txt"]


def test_a_full_disk_leaves_no_half_written_scores(tmp_path, torus) -> None:
    reader = PointCloud(2, 64)
    given = reader.read(torus)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))  # a write beyond fails as on a full disk
    try:
        with pytest.raises(UserError, match=r"scored\.ply: cannot be written"):
            reader.save(given, np.zeros(8_000, np.float32), tmp_path / "scored")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob("scored*"))


def test_scores_of_another_cloud_are_a_broken_promise(torus, tmp_path) -> None:
    reader = PointCloud(2, 64)
    with pytest.raises(ValueError, match=r"scores must be \(8000,\), got \(5,\)"):
        reader.save(reader.read(torus), np.zeros(5, np.float32), tmp_path / "scored")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"views": -1}, "views=-1"), ({"size": 16}, "size=16"), ({"cameras": "rings"}, "Did you mean 'ring'"),
     ({"style": "shade"}, "Did you mean 'shaded'"), ({"cameras": "tilts", "views": 10}, "9 views at most"),
     ({"modality": "rbg"}, "Did you mean 'rgb'"), ({"fuse": "average"}, "no pointcloud fuse called 'average'"),
     ({"light": 6}, "light=6 is none of 0, 1"), ({"background": "drop"}, "no pointcloud background"),
     ({"backend": "spat"}, "Did you mean 'splat'")],
)  # fmt: skip
def test_options_that_cannot_be_drawn_are_refused(options, message) -> None:
    with pytest.raises(UserError, match=message):
        PointCloud(**options)


class Clouds(torch.utils.data.Dataset):
    def __init__(self, record: Record) -> None:
        self.record = record

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> np.ndarray:
        return PointCloud(2, 64).read(self.record).views


@pytest.mark.parametrize("fuse", ["mean", "max", "cosine"])
def test_views_join_as_asked(torus, fuse) -> None:
    given = PointCloud(4, 96, fuse=fuse).read(torus)
    maps = torch.rand(4, 96, 96, generator=torch.manual_seed(0))
    found = lift(maps, given).numpy()
    seen = [[float(maps[v].flatten()[p]) for v, p in enumerate(given.place[:, e]) if p >= 0] for e in range(50)]
    weight = PointCloud(4, 96, fuse="cosine").read(torus).weight
    for e in np.flatnonzero(given.stand_in[:50] == np.arange(50)):
        squarely = [float(weight[v, e]) for v, p in enumerate(given.place[:, e]) if p >= 0]
        wanted = {"mean": np.mean, "max": np.max, "cosine": lambda x, w=squarely: np.average(x, weights=w)}[fuse]
        assert found[e] == pytest.approx(wanted(seen[e]), abs=1e-4)
    assert (given.weight is None) == (fuse != "cosine")


def test_stacked_styles_are_views_with_captions_of_their_own(torus) -> None:
    given = PointCloud(3, 64, style="shaded+normals").read(torus)
    assert len(given.views) == len(given.place) == 6
    assert given.captions[0].endswith(", shaded") and given.captions[1].endswith(", normals")
    assert_array_equal(given.place[0], given.place[1])


def test_options_that_change_no_pixel_leave_stored_features_valid() -> None:
    plain = repr(PointCloud())
    assert plain == repr(PointCloud(fuse="max", grid=0)) and plain != repr(PointCloud(style="depth"))
    assert PointCloud(fuse="max").protocol != PointCloud().protocol != PointCloud(modality="rgb").protocol


def test_forked_workers_draw_after_the_parent_did(torus) -> None:
    here = Clouds(torus)[0]
    loader = torch.utils.data.DataLoader(Clouds(torus), batch_size=None, num_workers=2, multiprocessing_context="fork")
    for views in loader:
        assert_array_equal(views, here)


def f1(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def test_what_does_not_fit_the_file_names_it(torus) -> None:
    for options, line in (({"style": "rgb"}, "has no colours"), ({"backend": "mesh"}, "has no faces")):
        with pytest.raises(UserError, match=rf"torus\.pcd: .*{line}"):
            PointCloud(2, 64, **options).read(torus)


def test_libraries_keep_quiet_about_a_broken_file(tmp_path, capfd) -> None:
    ball = o3d.geometry.TriangleMesh.create_sphere(3, 25)
    o3d.io.write_triangle_mesh(str(tmp_path / "ball.ply"), ball, write_ascii=True)
    text = (tmp_path / "ball.ply").read_text().splitlines()
    (tmp_path / "ball.ply").write_text("\n".join([*text[:-5], "3 x y z"]))
    capfd.readouterr()
    with pytest.raises(UnreadableError, match=r"ball\.ply: truncated or corrupt"):
        PointCloud(1, 64).read(Record(tmp_path / "ball.ply", False, "ball"))
    assert capfd.readouterr().err == ""
