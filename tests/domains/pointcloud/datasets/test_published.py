import fake_clouds
import numpy as np
import pytest
from fake_clouds import ball

from domains.pointcloud.datasets import folder, published
from domains.pointcloud.making.procedural import write_pcd
from framework.cli import main
from framework.data.inspection import inspect
from framework.types import Record

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
pytest.importorskip("tifffile")
WHOLE = {
    "mvtec3d": {"train": (2656, 0), "validation": (294, 0), "test": (249, 948)},
    "eyecandies": {"train": (10_000, 0), "val": (1000, 0), "test_public": (250, 250)},
    "real3d": {"train": (48, 0), "test": (604, 602)},
    "shapenet": {"train": (160, 0)},
}
LISTED = [
    (
        "mvtec3d",
        fake_clouds.mvtec3d,
        "test",
        2,
        2,
        "bagel: 2 normal and 2 anomalous differ from the published 22 and 88",
    ),
    ("mvtec3d", fake_clouds.mvtec3d, "validation", 2, 0, "differ from the published 22 and 0 of split validation."),
    ("eyecandies", fake_clouds.eyecandies, "test_public", 1, 1, "differ from the published 25 and 25"),
    ("real3d", fake_clouds.real3d, "test", 2, 3, "duck: 2 normal and 3 anomalous differ from the published 50 and 50"),
    ("shapenet", fake_clouds.shapenet, "test", 1, 2, "39 of 40 published categories are not here: ashtray0, bag0"),
]


@pytest.mark.parametrize(("name", "write", "split", "normal", "anomalous", "line"), LISTED)
def test_datasets_check_reads_every_layout(tmp_path, capsys, name, write, split, normal, anomalous, line) -> None:
    write(tmp_path)
    command = ["datasets", "check", f"pointcloud/{name}", str(tmp_path), "--split", split]
    assert main([*command, "--reader", "views=1", "--reader", "size=32"]) == 0
    told = capsys.readouterr().out
    assert f"samples      {normal + anomalous}: {normal} normal, {anomalous} anomalous" in told
    assert f"truth        {anomalous} of {anomalous} anomalous samples mark a point" in told
    assert line in told and "0 problems" in told


@pytest.mark.parametrize(("name", "split"), [(name, split) for name, splits in WHOLE.items() for split in splits])
def test_the_counts_of_categories_sum_to_those_published_of_the_whole(tmp_path, name, split, monkeypatch) -> None:
    """A set that has exactly the published counts is not warned about."""
    seen = {}
    monkeypatch.setattr(published, "_compare", lambda records, split, counts: seen.update(counts) or [])
    getattr(published, name)([Record(tmp_path / "a", False, "?")], split)
    assert tuple(sum(n) for n in zip(*seen.values(), strict=True)) == WHOLE[name][split]
    monkeypatch.undo()
    records = [Record(tmp_path / "a", bad, c) for c, n in seen.items() for bad in (False, True) for _ in range(n[bad])]
    assert getattr(published, name)(records, split) == []
    assert len(getattr(published, name)(records[1:], split)) == 1


def test_a_set_of_ones_own_in_a_published_layout_is_not_compared(tmp_path) -> None:
    records = [Record(tmp_path / "a", False, "gear"), Record(tmp_path / "b", True, "gear")]
    assert published.real3d(records, "test") == []
    mixed = published.real3d([*records, Record(tmp_path / "c", False, "duck")], "test")
    assert mixed[-1] == "not among the categories that results are published for: gear."


def test_millimetres_beside_metres_are_told(tmp_path) -> None:
    write_pcd(tmp_path / "good/a.pcd", ball()[0])
    write_pcd(tmp_path / "bent/b.pcd", ball(seed=1)[0] / 1000)
    write_pcd(tmp_path / "bent/c.pcd", ball(seed=2)[0] * 3)
    (told,) = published.folder(list(folder(tmp_path)), "test")
    assert told.startswith(f"{tmp_path.name}: {tmp_path / 'bent/c.pcd'} is 2997 times") and "millimetres" in told
    report = inspect("pointcloud/folder", tmp_path, reader={"views": 1, "size": 32})
    assert told in report.warnings and not report.problems


def test_units_of_one_kind_are_not_told_and_broken_files_are_skipped(tmp_path) -> None:
    write_pcd(tmp_path / "good/a.pcd", ball()[0])
    write_pcd(tmp_path / "bent/b.pcd", ball(seed=1)[0] * 50)
    (tmp_path / "bent/c.pcd").write_bytes(np.zeros(9).tobytes())
    assert published.folder(list(folder(tmp_path)), "test") == []
