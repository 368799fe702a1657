"""Published overlaps are known by the names of sets and of weights."""

from pathlib import Path

from framework.config import DataConfig
from framework.data.index import Index
from framework.data.known import behind, between, known, names, table


def index(name: str, root: str = "/data/x", dataset: str = "mvtec") -> Index:
    return Index(name, DataConfig("industrial", dataset, root), [], None)


def origin(name: str, source: str = "industrial/mvtec", root: str = "") -> dict[str, str]:
    return {"name": name, "source": source, "root": root}


def test_a_pair_is_known_either_way_round_and_by_name_folder_or_reader() -> None:
    told = "201 of the 228 distinct files of BrainMRI are in Br35H, byte for byte"
    assert known([origin("a", root="/data/Br35H")], index("brain-mri")) == told
    assert known([origin("brain_mri")], index("x", "/data/br35h/")) == told
    assert known([origin("brain_mri")], index("x", dataset="br35h")) == told
    assert known([origin("brain_mri")], index("brain_mri")) == ""  # content tells of one set under one name
    assert known([origin("br35h_more")], index("brain_mri")) == ""


def test_a_layout_is_no_set() -> None:
    assert names("screws", "industrial/mvtec", "/data/screws") == set()
    assert names("mvtec + visa", "industrial/mvtec", "") == {"MVTec AD", "VisA"}


def test_published_weights_are_known_by_their_file() -> None:
    assert behind("/w/pretrained_expert_7b.pth") == behind("anomaly-ov-7b") == {"Anomaly-Instruct-125k"}
    assert known([], index("mvtec"), "/w/Anomaly_OV_7B.safetensors").startswith("test pictures of MVTec AD are part of")
    assert known([], index("visa"), "/w/anomaly_ov_7b.pth") == known([], index("mvtec"), "embedded") == ""


def test_a_mixture_tells_of_each_of_its_sets_once() -> None:
    assert between({"Anomaly-Instruct-125k"}, {"Real3D-AD"}) == "this set is part of Anomaly-Instruct-125k"
    assert between({"Real3D-AD"}, {"Anomaly-Instruct-125k"}) == ""


def test_every_overlap_names_sets_that_have_names() -> None:
    found = table()
    told = {name for entry in found["overlaps"] for key in ("sets", "trained", "tested") for name in entry.get(key, ())}
    assert told <= found["sets"].keys() and set(found["weights"]) <= found["sets"].keys()
    assert all(entry["told"] and ("sets" in entry) != ("trained" in entry) for entry in found["overlaps"])
    assert Path(table.__wrapped__.__code__.co_filename).with_suffix(".yaml").is_file()
