"""Real tables under $ANOMALY_OV_DATA: the split of VisA, the records and pictures of SDLS, the knowledge of MMAD."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from domains.industrial import Industrial
from domains.industrial.datasets.described import sdls, visa
from framework.data.inspection import inspect
from framework.data.questions import mmad
from framework.data.questions import sdls as described

Folder = Callable[[str], Path]


def test_the_split_of_visa_has_the_published_counts(data: Folder, tmp_path: Path) -> None:
    """From the table alone; the pictures are not there."""
    (tmp_path / "split_csv").symlink_to(data("language/visa_split").resolve())
    test, train = list(visa(tmp_path)), list(visa(tmp_path, "train"))
    assert Counter(r.anomalous for r in test) == {False: 962, True: 1200}
    assert Counter(r.anomalous for r in train) == {False: 8659}
    assert len({r.category for r in test}) == 12 and len({r.id for r in test + train}) == 10821
    assert Counter(r.anomalous for r in test if r.category == "pcb4") == {False: 101, True: 100}


def test_sdls_leaves_out_the_twelve_pictures_that_checks_disagree_on(data: Folder) -> None:
    root = data("language/sdls_abnormaldetect")
    report = inspect("industrial/sdls", root)
    assert report.problems == [] and report.categories == {"fix_arm": (8, 13), "mobile_arm": (20, 31)}
    assert Industrial().read(next(sdls(root))).views.shape == (1, 3, 480, 640)
    one = Counter(r.anomalous for r in sdls(root, check="step14_pre"))
    assert one == {True: 4, False: 1}


def test_sdls_asks_about_every_record(data: Folder) -> None:
    items = described.questions(data("language/sdls_abnormaldetect"))
    assert Counter(item.label for item in items) == {True: 62, False: 57}
    assert len({item.id for item in items}) == 119 and len({item.images for item in items}) == 84
    of_one = {item.category: item for item in items if item.images[0].name == "0288.jpg"}
    assert {check: item.label for check, item in of_one.items()} == {"step12_post": False, "step14_pre": True}
    assert of_one["step14_pre"].references == (
        "On shaking device (yy), there is one capped test tube but containing transparent liquid.",
    )


def test_the_knowledge_of_mmad_is_found_for_its_categories(data: Folder, tmp_path: Path) -> None:
    question = {"Question": "Any?", "Answer": "A", "Options": {"A": "Yes.", "B": "No."}, "type": mmad.DETECTION}
    knowledge = data("language/mmad") / "domain_knowledge.json"
    told = json.loads(knowledge.read_text())
    names = [f"{'DS-MVTec' if d == 'MVTec' else d}/{c}/0.png" for d, categories in told.items() for c in categories]
    assert len(names) == 38  # MMAD's categories
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "mmad.json").write_text(json.dumps({name: {"conversation": [question]} for name in names}))
    items = mmad.questions(tmp_path / "mmad.json", tmp_path, knowledge=knowledge)
    assert len(items) == 38
    for item in items:
        assert "characteristics: \n  <" in item.questions[0]
        assert " <Normal Characteristics>" in item.questions[0]
