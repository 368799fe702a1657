"""The experiments on 3D sets can be planned on sets in the layouts of the originals."""

from pathlib import Path

import fake_clouds
import pytest

from framework.cli import main

FOLDER = Path(__file__).parents[3] / "experiments" / "pointcloud"
CLASSES = {
    "mvtec3d": ("cookie", "carrot", "dowel", "rope"),
    "eyecandies": ("PeppermintCandy", "LicoriceSandwich", "Confetto", "HazelnutTruffle"),
    "real3d": ("shell", "starfish", "seahorse", "duck"),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for name, folder in (("mvtec3d", "mvtec_3d"), ("eyecandies", "eyecandies"), ("real3d", "real3d_ad")):
        for category in CLASSES[name]:
            getattr(fake_clouds, name)(root / folder, category)
    fake_clouds.shapenet(root / "anomaly_shapenet" / "pcd")
    return root


@pytest.mark.parametrize("name", CLASSES)
def test_one_vs_rest_is_planned_with_the_published_classes(name, sets, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ANOMALY_OV_DATA", str(sets))
    assert main(["check", str(FOLDER / f"{name}.yaml")]) == 0
    told = capsys.readouterr().out
    assert f"one-vs-rest a run for each of {', '.join(CLASSES[name][:3])}" in told
    assert all(f" {other}: pointcloud/{other} in" in told for other in (*CLASSES, "shapenet"))


@pytest.mark.parametrize("modality", ["rgb", "both"])
def test_the_control_is_planned_as_the_file_says(modality, sets, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ANOMALY_OV_DATA", str(sets))
    changes = [f"train.mvtec3d.reader.modality={modality}", "test.real3d=null", "test.shapenet=null"]
    changes += [f"test.{name}.reader.modality={modality}" for name in ("mvtec3d", "eyecandies")]
    assert main(["check", str(FOLDER / "mvtec3d.yaml"), f"name=mvtec3d-{modality}", *changes]) == 0
    assert "shapenet" not in capsys.readouterr().out
