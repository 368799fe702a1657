"""Records of SDLS -> one question each, with the sentence that says what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from framework.data.questions.items import Item
from framework.data.questions.sdls import QUESTION, questions
from framework.errors import UserError

RECORD = {
    "Image_Id": "data/image/1.jpg",
    "step": "step14",
    "phase": "pre",
    "Detection_Content": "Check whether a tube is on the rack.",
    "Anomaly_Label": True,
    "Anomaly_Label_Description": "On the rack, no tube is present.",
    "Caption": "An empty rack.",
}


def write(root: Path, *records: Any) -> Path:
    for folder in ("annotation", "image"):
        (root / "data" / folder).mkdir(parents=True)
    (root / "data/annotation/records_fix_arm_final.json").write_text(json.dumps(records))
    (root / "data/image/1.jpg").touch()
    return root


def test_the_check_stands_before_the_question_and_the_reason_is_the_reference(tmp_path: Path) -> None:
    other = RECORD | {"step": "step12", "phase": "post", "Anomaly_Label": False}
    pre, post, again = questions(write(tmp_path, RECORD, other, RECORD))
    asked = ("Check whether a tube is on the rack. Is there anything unusual in the image? Describe what and where.",)
    assert QUESTION in asked[0]
    reason = ("On the rack, no tube is present.",)
    picture = (tmp_path / "data/image/1.jpg",)
    name = "data/image/1.jpg#step14_pre"
    assert pre == Item(name, picture, asked, reason, "step14_pre", True, "description", "sdls/fix_arm")
    assert (post.id, post.category, post.label) == ("data/image/1.jpg#step12_post", "step12_post", False)
    assert again.id == f"{name}#2"


@pytest.mark.parametrize("key", [key for key in RECORD if key != "Caption"])
def test_a_record_without_what_is_needed_is_named(tmp_path: Path, key: str) -> None:
    wrong = {k: v for k, v in RECORD.items() if k != key}
    with pytest.raises(UserError, match=rf"records_fix_arm_final\.json, entry 2: needs '{key}', "):
        questions(write(tmp_path, RECORD, wrong))


def test_missing_files_and_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data/annotation: no records_\*\.json\. Set root to the folder that holds"):
        questions(tmp_path)
    write(tmp_path, RECORD, RECORD | {"Image_Id": "data/image/2.jpg"})
    with pytest.raises(UserError, match=r"data/annotation: 1 of its 2 pictures are missing under .*image/2\.jpg"):
        questions(tmp_path)
