"""Question sets of an experiment in; what is asked, the pictures, and the samples that rows count."""

import json

import numpy as np
import pytest
from fake_cli import picture
from numpy.testing import assert_array_equal
from PIL import Image

from framework.errors import UnreadableError, UserError
from framework.reasoning import QuestionConfig
from framework.tasks.questions import open_questions


def visa(root):
    picture(root / "VisA/candle/0.png")
    path = root / "test_data.json"
    path.write_text(json.dumps([{"image": "VisA/candle/0.png", "anomaly": True}]))
    return QuestionConfig("visa_dr", str(path), str(root))


def mmad(root, **options):
    asked = {"Question": "Which?", "Answer": "B", "Options": {"A": "one", "B": "two"}, "type": "Defect Analysis"}
    content = {}
    for name in ("MVTec/bolt/good/0.png", "MVTec/bolt/bent/1.png"):
        picture(root / name)
        content[name] = {"conversation": [asked], "random_templates": ["MVTec/bolt/good/0.png"]}
    (root / "mmad.json").write_text(json.dumps(content))
    return QuestionConfig("mmad", str(root / "mmad.json"), str(root), options)


def test_a_set_is_a_quiz_an_item_about_its_pictures(tmp_path):
    found = open_questions("visa", visa(tmp_path))
    assert (found.name, found.kind, found.chosen) == ("visa", "visa_dr", False)
    assert found.quizzes[0].id == "VisA/candle/0.png" and len(found.quizzes[0].questions) == 1
    (view,) = found.views(0)
    assert_array_equal(view, np.asarray(Image.open(tmp_path / "VisA/candle/0.png")).transpose(2, 0, 1))
    record = found.record(0)
    assert (record.path, record.anomalous, record.category) == (tmp_path / "VisA/candle/0.png", True, "candle")
    assert record.group == str(record.path)


def test_the_published_counts_are_compared(tmp_path, capsys):
    open_questions("visa", visa(tmp_path))
    told = "questions.visa: 0 normal and 1 anomalous pictures of 1 classes; the published set has 761, 1000 and 10"
    assert told in capsys.readouterr().err


def test_options_go_to_the_reader(tmp_path):
    found = open_questions("mmad", mmad(tmp_path, templates=1))
    assert [path.name for path in found.items[1].images] == ["0.png", "1.png"] and len(found.views(1)) == 2
    assert found.record(1).path.name == "1.png"  # asked about is the last; before it stands what is normal


@pytest.mark.parametrize("folder", ["data", "goods"])
def test_mmad_tells_normal_pictures_by_their_own_path(tmp_path, folder):
    (tmp_path / folder).mkdir()
    found = open_questions("mmad", mmad(tmp_path / folder))
    assert [found.record(i).anomalous for i in (0, 1)] == [False, True]


def test_a_file_may_be_named_from_home(tmp_path, monkeypatch):
    config = mmad(tmp_path)
    (tmp_path / "facts.json").write_text(json.dumps({"MVTec": {"bolt": {"good": "Bolts are straight."}}}))
    monkeypatch.setenv("HOME", str(tmp_path))
    config = QuestionConfig("mmad", "~/mmad.json", "~", {"knowledge": "~/facts.json"})
    assert "Bolts are straight." in open_questions("mmad", config).quizzes[0].questions[0]


def test_mistakes(tmp_path):
    with pytest.raises(UserError) as error:
        open_questions("mmad", mmad(tmp_path, templtes=1))
    assert str(error.value) == (
        "questions.mmad: no option of questions 'mmad' called 'templtes'. Did you mean 'templates'? "
        "Known: knowledge, templates."
    )
    (tmp_path / "MVTec/bolt/good/0.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableError, match=r"0\.png: "):
        open_questions("mmad", mmad_again(tmp_path)).views(0)


def mmad_again(root):
    return QuestionConfig("mmad", str(root / "mmad.json"), str(root))
