"""Questions and a rule in; that each is asked once, in order, whoever is killed and however many share the work."""

import json

import numpy as np
import pytest
import torch
from fake_asker import FakeAsker

from framework.errors import UnreadableError, UserError
from framework.tasks import quiz
from framework.tasks.asking import EVERY
from framework.tasks.quiz import Quiz

KEY = "a1"


class Source:
    """Samples of one brightness each; of some the file is broken."""

    name = "parts"

    def __init__(self, count, questions=("Well?",), broken=(), chosen=True, views=1, told=()):
        self.told = told
        self.quizzes = [Quiz(f"{i}.png", tuple(questions)) for i in range(count)]
        self.broken, self.chosen, self.count = set(broken), chosen, views

    def captions(self, position):
        return self.told

    def views(self, position):
        if position in self.broken:
            raise UnreadableError(f"{position}.png: cut short.")
        return [np.full((3, 4, 4), position + v, np.uint8) for v in range(self.count)]


def rule(bright, question, history):
    return f"{bright:.0f} {question.splitlines()[-1]} {len(history)}"


def ask(folder, source, model=None, key=KEY, size=3, rank=0, ranks=1):
    model = model or FakeAsker(rule)
    quiz.answer(model, source, folder, key, size, 8, rank, ranks)
    return model


def test_a_second_process_with_the_same_share_is_told(tmp_path):
    source, told = Source(4), []

    class Meddling(FakeAsker):
        def __call__(self):
            with pytest.raises(UserError) as error:
                ask(tmp_path, source)
            told.append(str(error.value))
            return self

    ask(tmp_path, source, Meddling(rule))
    path = tmp_path / f"{KEY}-0of1.jsonl"
    assert told == [f"{path}: another process is answering these questions. Let it end, then run again."]
    assert len(quiz.collect(tmp_path, KEY)) == 4


def test_the_first_question_says_what_the_views_show(tmp_path):
    model = ask(tmp_path, Source(1, ("Well?", "So?"), views=2, told=("from above", "from below")))
    pictures = "<image>\n<image>\n"
    assert model.asked == [f"{pictures}Image 1: from above.\nImage 2: from below.\nWell?", "So?"]


@pytest.mark.parametrize("chosen", [True, False])
def test_the_logit_is_that_of_the_sample_or_of_the_picture_that_is_asked_about(tmp_path, chosen):
    ask(tmp_path, Source(1, views=3, chosen=chosen))
    (line,) = quiz.collect(tmp_path, KEY)
    logits = torch.tensor([(v - 100) / 20 for v in range(3)])
    assert line["logit"] == pytest.approx(float(logits.mean() if chosen else logits[-1]))


def test_every_sample_gets_its_line_in_order(tmp_path):
    model = ask(tmp_path, Source(7))
    lines = quiz.collect(tmp_path, KEY)
    assert [line["position"] for line in lines] == list(range(7))
    assert lines[4] == {"position": 4, "id": "4.png", "answers": ["4 Well? 0"], "logit": pytest.approx(-4.8)}
    assert model.batches == [3, 3, 1] and model.asked == ["<image>\nWell?"] * 7


@pytest.mark.parametrize(("chosen", "most"), [(True, None), (False, EVERY)])
def test_a_set_shows_all_its_pictures_or_lets_the_asker_choose(tmp_path, chosen, most):
    model = ask(tmp_path, Source(2, views=5, chosen=chosen))
    assert model.looked == [(4, most), (5, most)]
    assert model.asked == ["<image>\n" * (5 if most else 4) + "Well?"] * 2


def test_later_questions_follow_the_models_own_answers(tmp_path):
    source = Source(4)
    source.quizzes[1] = Quiz("1.png", ("What?", "Why?", "How?"))
    source.quizzes[3] = Quiz("3.png", ("Look: <image>\nWhat?", "Why?"))
    model = ask(tmp_path, source, size=8)
    answers = [line["answers"] for line in quiz.collect(tmp_path, KEY)]
    assert answers == [["0 Well? 0"], ["1 What? 0", "1 Why? 1", "1 How? 2"], ["2 Well? 0"], ["3 What? 0", "3 Why? 1"]]
    assert model.batches == [4, 2, 1]
    assert model.asked[3] == "Look: <image>\nWhat?" and model.asked[4:] == ["Why?", "Why?", "How?"]
    assert len(model.looked) == 4  # the pictures of a talk are encoded once


def test_after_a_kill_nothing_is_asked_again_but_the_batch_that_ran(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, Source(8), FakeAsker(rule, limit=5))
    assert len(quiz.collect(tmp_path, KEY)) == 3
    second = ask(tmp_path, Source(8))
    assert [bright for bright, _ in second.looked] == [3, 4, 5, 6, 7]
    assert [line["position"] for line in quiz.collect(tmp_path, KEY)] == list(range(8))


def test_a_device_without_room_ends_it_and_what_was_answered_is_kept(tmp_path):
    model = FakeAsker(rule)
    answer = model.answer

    def full(seen, *rest):
        if len(model.batches) == 2:
            raise UserError("device cuda: no room to answer.")
        return answer(seen, *rest)

    model.answer = full
    with pytest.raises(UserError, match="no room"):
        ask(tmp_path, Source(9, broken=[7]), model)
    assert [line["position"] for line in quiz.collect(tmp_path, KEY) if "answers" in line] == list(range(6))
    assert [bright for bright, _ in ask(tmp_path, Source(9), size=1).looked] == [6, 7, 8]


def test_what_a_kill_left_half_written_is_asked_again(tmp_path):
    ask(tmp_path, Source(4), size=1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert [line["position"] for line in quiz.collect(tmp_path, KEY)] == [0, 1, 2]
    again = ask(tmp_path, Source(4))
    assert [bright for bright, _ in again.looked] == [3]
    lines = [json.loads(text) for text in path.read_text().splitlines()]  # whole again, every one
    assert [line["position"] for line in lines] == [0, 1, 2, 3]


def test_nothing_left_loads_no_model(tmp_path, capsys):
    ask(tmp_path, Source(3))

    def never():
        raise AssertionError("the model was loaded")

    quiz.answer(never, Source(3), tmp_path, KEY, 3, 8)
    assert "parts: 3 of 3 answered before" in capsys.readouterr().err


def test_three_processes_leave_what_one_does(tmp_path):
    one, three = tmp_path / "one", tmp_path / "three"
    for folder in (one, three):
        folder.mkdir()
    ask(one, Source(8, broken=[5]))
    looked = [ask(three, Source(8, broken=[5]), rank=rank, ranks=3).looked for rank in (2, 0, 1)]
    assert [[bright for bright, _ in found] for found in looked] == [[2], [0, 3, 6], [1, 4, 7]]
    assert quiz.collect(one, KEY) == quiz.collect(three, KEY) and len(quiz.collect(one, KEY)) == 8


def test_any_number_goes_on_where_any_number_stopped(tmp_path):
    ask(tmp_path, Source(9), rank=1, ranks=3)
    two = [ask(tmp_path, Source(9), rank=rank, ranks=2).looked for rank in (0, 1)]
    assert [[bright for bright, _ in found] for found in two] == [[0, 2, 6, 8], [3, 5]]
    assert [line["position"] for line in quiz.collect(tmp_path, KEY)] == list(range(9))


def test_another_model_asks_anew(tmp_path):
    ask(tmp_path, Source(3))
    other = ask(tmp_path, Source(3), FakeAsker(lambda *_: "other"), key="b2")
    assert len(other.looked) == 3
    assert [line["answers"] for line in quiz.collect(tmp_path, "b2")] == [["other"]] * 3
    assert quiz.collect(tmp_path, KEY)[0]["answers"] == ["0 Well? 0"]


def test_a_sample_that_cannot_be_read_is_named_and_kept_and_tried_again(tmp_path, capsys):
    ask(tmp_path, Source(4, broken=[1, 2]))
    lines = quiz.collect(tmp_path, KEY)
    assert lines[1] == {"position": 1, "id": "1.png", "error": "1.png: cut short."}
    assert [line.get("answers") for line in lines] == [["0 Well? 0"], None, None, ["3 Well? 0"]]
    assert "anomaly-ov: left out 1.png: cut short." in capsys.readouterr().err
    assert quiz.complete(lines, Source(4))
    assert "parts: left out 2 of 4 samples, which could not be read" in capsys.readouterr().err
    mended = ask(tmp_path, Source(4, broken=[2]), rank=0, ranks=1)
    assert [bright for bright, _ in mended.looked] == [1]
    assert ["error" in line for line in quiz.collect(tmp_path, KEY)] == [False, False, True, False]


def test_an_answer_outlives_a_later_error(tmp_path):
    ask(tmp_path, Source(2, broken=[0]), rank=0, ranks=2)
    ask(tmp_path, Source(2))
    ask(tmp_path, Source(2, broken=[0]), rank=0, ranks=2)
    assert quiz.collect(tmp_path, KEY)[0]["answers"] == ["0 Well? 0"]


def test_a_set_of_which_nothing_can_be_read_is_refused_once_all_have_tried(tmp_path, capsys):
    source = Source(3, broken=[0, 1, 2])
    ask(tmp_path, source, rank=1, ranks=2)
    assert not quiz.complete(quiz.collect(tmp_path, KEY), source)
    told = "parts: 1 of 3 answered; the process that answers the last writes the rows"
    assert told in capsys.readouterr().err
    ask(tmp_path, source)
    with pytest.raises(UserError) as error:
        quiz.complete(quiz.collect(tmp_path, KEY), source)
    assert str(error.value) == "parts: no sample could be read; the first: 0.png: cut short."


def test_a_sample_that_cannot_be_asked_about_is_named(tmp_path):
    source = Source(5)
    source.quizzes[4] = Quiz("4.png", ("Is it too long?",))
    with pytest.raises(UserError) as error:
        ask(tmp_path, source)
    assert str(error.value) == "4.png: does not fit."
    assert len(quiz.collect(tmp_path, KEY)) == 3  # what was answered before is kept
