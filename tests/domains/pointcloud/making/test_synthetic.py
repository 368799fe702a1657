import shutil

import numpy as np
import pytest
from fake_bodies import mesh_of

from domains.pointcloud import PointCloud
from domains.pointcloud.making import spoiling, synthetic
from domains.pointcloud.making.synthetic import KINDS, Frame, specimen
from framework.data.fingerprint import fingerprint
from framework.errors import UserError
from framework.types import Record

o3d = pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)


def write_mesh(path, name) -> None:
    vertices, faces = mesh_of(name)
    rows = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices]
    rows += [f"f {a} {b} {c}" for a, b, c in faces + 1]
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("clean")
    for name in ("bolt", "torus"):
        write_mesh(root / f"{name}.obj", name)
    return root


def records(root, **options) -> list:
    return list(synthetic.synthetic(root, **options))


def test_kinds_are_those_that_can_be_made() -> None:
    assert tuple(spoiling.KINDS) == KINDS


def test_half_of_a_set_is_spoiled_and_twins_form_a_group(root) -> None:
    found = records(root, samples=56)
    assert len(found) == 56 and len({r.id for r in found}) == 56
    assert [r.anomalous for r in found] == [False, True] * 28
    for healthy, spoiled in zip(found[::2], found[1::2], strict=True):
        assert (healthy.path, healthy.group) == (spoiled.path, spoiled.group)
        assert spoiled.frame == healthy.frame + 1 and healthy.defect == ""
    for category in ("bolt", "torus"):
        assert {r.defect for r in found if r.category == category and r.anomalous} == set(KINDS)


def test_samples_have_names_for_people(root) -> None:
    named = [PointCloud.called(r) for r in records(root, samples=8) if r.category == "bolt"]
    first, second = "bolt.obj, made 1", "bolt.obj, made 2"
    twins = [f"bolt.obj, healthy twin of made {number}" for number in (1, 2)]
    assert named == [twins[0], first, twins[1], second]
    assert PointCloud.called(Record(root / "torus.obj", False, "torus")) == "torus.obj"


def test_a_frame_is_a_number_and_back() -> None:
    for frame in (Frame(3, 6, True, 11, 1, 2, 1), Frame(0, 0, False, 0, 0, 0, 0)):
        assert Frame.decode(frame.encode()) == frame
    assert Frame(3, 6, True, 11, 1, 2, 1).encode() < 2**53


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"split": "train"},
        {"amplitude": "faint"},
        {"form": "mesh"},
        {"kinds": ["dent"]},
        {"samples": 10},
    ],
)
def test_every_option_changes_the_identity_of_the_set(root, options) -> None:
    assert fingerprint(records(root, samples=8)) != fingerprint(records(root, **{"samples": 8, **options}))


@pytest.mark.parametrize("form", ["cloud", "mesh"])
def test_a_record_is_read_with_its_labels(root, form) -> None:
    for record in records(root, samples=4, form=form):
        given = PointCloud(2, 64).read(record)
        assert given.truth is not None and given.truth.any() == record.anomalous
        assert len(given.truth) == given.elements
    shape, _ = specimen(record.path, record.frame)
    assert (shape.faces is not None) == (form == "mesh")


def test_a_specimen_depends_on_content_and_frame_alone(root, tmp_path) -> None:
    record = records(root, samples=4)[1]
    copy = tmp_path / "other name.obj"
    shutil.copy(record.path, copy)
    (first, labels), (again, same) = specimen(record.path, record.frame), specimen(copy, record.frame)
    assert first.points.tobytes() == again.points.tobytes() and labels.tobytes() == same.tobytes()
    write_mesh(copy, "ball")
    assert specimen(copy, record.frame)[0].points.shape != first.points.shape


def test_amplitudes_by_name_are_faint_and_plain(root) -> None:
    far = {}
    for name in ("faint", "plain"):
        healthy, spoiled = records(root, samples=4, kinds=["bulge"], amplitude=name)[:2]
        (before, _), (after, labels) = (specimen(r.path, r.frame) for r in (healthy, spoiled))
        far[name] = np.linalg.norm(after.points - before.points, axis=1)[labels].max()
    assert far["plain"] > 1.3 * far["faint"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["bulg"]}, "no kind of defect called 'bulg'. Did you mean 'bulge'?"),
        ({"amplitude": "plane"}, "no amplitude of pointcloud/synthetic called 'plane'. Did you mean 'plain'?"),
        ({"form": "clouds"}, "Did you mean 'cloud'?"),
        ({"split": "tets"}, "Did you mean 'test'?"),
        ({"seed": -1}, "seed=-1"),
        ({"samples": 1}, "samples=1"),
    ],
)
def test_options_that_are_not_known_are_told(root, options, message) -> None:
    with pytest.raises(UserError) as told:
        records(root, **options)
    assert message in str(told.value)


def test_a_file_that_cannot_be_spoiled_is_named(tmp_path) -> None:
    flat = tmp_path / "flat.pcd"
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0)), -1).reshape(-1, 2)
    o3d.io.write_point_cloud(
        str(flat), o3d.geometry.PointCloud(o3d.utility.Vector3dVector(np.c_[grid, 0 * grid[:, :1]]))
    )
    (tmp_path / "junk.obj").write_text("v 1 2\n")
    for record, message in zip(
        records(tmp_path, samples=4)[::2],
        ("flat.pcd: is flat, without a volume", "junk.obj: 1 finite points"),
        strict=True,
    ):
        with pytest.raises(UserError, match=message):
            specimen(record.path, record.frame)
