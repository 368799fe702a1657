"""An experiment on disk and an asker that answers by rule -> the run, its rows, the pages; and lines of mistakes."""

import json
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import fake_process
import pytest
import torch
from fake_asked import LABELLED, MMAD, VISA, experiment, run_of, visa
from fake_cli import mistake, picture, runs_of
from fake_page import contents
from PIL import Image
from safetensors.torch import save_file

from framework.cli import main
from framework.errors import UserError
from framework.leaderboard import leaderboard
from framework.leaderboard.matrix import transfer_matrix
from framework.leaderboard.store import load, load_samples
from framework.models.onevision import tuned
from framework.tasks import language, quiz


def test_sets_whose_files_have_the_same_names_have_answers_of_their_own(root, asker):
    other = root / "other"
    for path in (root / "bolt").rglob("*.png"):
        picture(other / path.relative_to(root), 90)
    sets = LABELLED.replace("test: {{", f"test: {{{{dark: {{{{domain: industrial, dataset: mvtec, root: {other}}}}}, ")
    _, folder = run_of(root, sets)
    assert len(asker.asked) == 8
    assert json.loads((folder / "run.json").read_text())["command"][0] == "test"
    answers = json.loads((folder / "answers.json").read_text())
    logits = {name: [line["logit"] for line in lines] for name, lines in answers.items()}
    assert logits["dark"] != logits["parts"] and {line["answers"][0] for line in answers["dark"]} == {"No, nothing."}


def test_models_whose_folders_share_a_name_stand_side_by_side(root, asker):
    run_of(root, LABELLED)
    again = root / "again/model"
    again.mkdir(parents=True)
    save_file({"weight": torch.ones(1)}, again / "model.safetensors")
    assert main(["test", str(root / "x.yaml"), f"model.path={again}"]) == 0
    matrix = transfer_matrix(load(sorted((root / "runs").iterdir())), "auroc", "sample")
    assert len(matrix.trained) == 2


def test_a_mask_that_does_not_fit_stops_no_question(root, asker):
    Image.new("L", (3, 3)).save(root / "bolt/ground_truth/hole/000_mask.png")
    run_of(root, LABELLED)
    assert len(asker.asked) == 4


def test_the_model_is_loaded_as_the_experiment_says(root, asker, monkeypatch):
    given = []
    monkeypatch.setattr("framework.tasks.language.Asker", lambda *options: given.append(options) or asker)
    wanted = ("model.attention=eager", "model.dtype=bfloat16", "answer.views=3", "trainer.accelerator=cpu")
    run_of(root, LABELLED, *wanted)
    assert given == [(root / "model", "cpu", "bfloat16", 3, "", "eager", False, True)]


def test_a_labelled_set_gives_the_experts_numbers_and_those_of_the_text(root, asker):
    rows, folder = run_of(root, LABELLED)
    assert (
        asker.asked
        == ["<image>\nAre there any defects for the object in the image? Please reply with 'Yes' or 'No'."] * 4
    )
    numbers = {(level, metric): r.value for (level, _, metric), r in rows.items()}
    assert numbers["sample", "auroc"] == 1.0 and numbers["answer", "accuracy"] == 3 / 4
    assert numbers["answer", "coverage"] == numbers["answer", "recall"] + 1 / 4 == 3 / 4
    row = rows["answer", "all", "balanced_accuracy"]
    assert row.value == 3 / 4 and (row.normal, row.anomalous, row.dataset) == (2, 2, "mvtec")
    assert row.backbone == f"model {tuned.fingerprint(root / 'model')[:8]}"
    assert row.model == "anomaly_ov, 4 views shown, views top3" and row.trained_on == "nothing"
    answers = json.loads((folder / "answers.json").read_text())["parts"]
    assert [line["id"] for line in answers] == [f"bolt/test/{k}/00{i}.png" for k in ("good", "hole") for i in (0, 1)]
    samples = load_samples([folder])
    assert [s["id"] for s in samples] == [line["id"] for line in answers]
    assert [round(s["logit"], 6) for s in samples] == [round(line["logit"], 6) for line in answers]


@pytest.mark.parametrize("resize", ["exact", "fast"])
def test_a_run_is_asked_with_the_crops_it_names_and_its_rows_and_answers_say_so(resize, root, asker, monkeypatch):
    made, keys = [], []
    monkeypatch.setattr("framework.tasks.language.Asker", lambda *options: made.append(options) or asker)
    hashed = language.hashed
    monkeypatch.setattr(language, "hashed", lambda parts: keys.append(parts) or hashed(parts))
    rows, _ = run_of(root, LABELLED, f"answer.resize={resize}", f"answer.captions={str(resize == 'exact').lower()}")
    assert [options[-1] for options in made] == [resize == "exact"]
    assert [options[-2] for options in made] == [resize == "fast"]
    said = "anomaly_ov, 4 views shown, views top3" + ", fast resize, no captions" * (resize == "fast")
    assert {row.model for row in rows.values()} == {said}
    assert keys[0][1].get("resize", "exact") == resize


def test_both_rows_stand_in_one_leaderboard_in_every_format(root, asker):
    _, folder = run_of(root, LABELLED)
    text = leaderboard([folder], "markdown", None)
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads[:4] == ["## Sample AUROC", "## Sample AP", "## Sample F1-max", "## Answer accuracy"]
    assert "## Published answer balanced accuracy" in heads
    assert "| answer | accuracy | 75.0 |" in text
    assert "published answer" in leaderboard([folder], "csv", None)
    assert r"\caption{Published answer F1}" in leaderboard([folder], "latex", None)
    told = contents(leaderboard([folder], "html", None))[0]
    assert ("published answer", "balanced_accuracy") in {(m["level"], m["metric"]) for m in told["matrices"]}
    assert any("first word, strict/1" in protocol for _, _, _, protocol, *_ in told["dictionaries"]["what"])


def test_a_question_of_ones_own_is_asked_and_told(root, asker):
    rows, _ = run_of(root, LABELLED, "answer.question=Is it whole? Yes or no?")
    assert set(asker.asked) == {"<image>\nIs it whole? Yes or no?"}
    assert "asked 'Is it whole? Yes or no?'" in rows["answer", "all", "f1"].protocol


def test_a_model_that_sees_one_view_is_asked_about_one(root):
    from framework.config import DataConfig
    from framework.data.index import open_index
    from framework.tasks.labelled import Labelled

    index = open_index("parts", DataConfig("industrial", "mvtec", str(root)))
    cloud = replace(index, reader=SimpleNamespace(element="point"))
    assert Labelled(cloud, "", 2).captions(0) == ()  # nothing was read
    asked = [Labelled(cloud, "", shown).quizzes[0].questions[0] for shown in (1, 2)]
    assert "in the image?" in asked[0] and "in the images?" in asked[1]


@pytest.mark.parametrize(
    ("expect", "status", "told"),
    [
        ("parts.answer_balanced_accuracy: [0.7, 0.8]", 0, "expect parts.answer_balanced_accuracy in [0.7, 0.8]: 0.750"),
        ("parts.answer_accuracy: [0.8, 1]", 1, "expect parts.answer_accuracy in [0.8, 1]: 0.750, missed"),
        ("parts.published answer_accuracy: [0, 1]", 0, "expect parts.published answer_accuracy in [0, 1]"),
        ("parts.sample_auroc: [1, 1]", 0, "expect parts.sample_auroc in [1, 1]: 1.000"),
    ],
)
def test_what_an_experiment_expects_is_compared(root, asker, capsys, expect, status, told):
    run_of(root, LABELLED, f"expect={{{expect}}}", status=status)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["test", "fit"])
@pytest.mark.parametrize(
    ("expect", "line"),
    [
        ("parts.answer_balanced: [0, 1]", "no number to expect called 'parts.answer_balanced'. Did you mean 'parts."),
        ("parts.answer_rouge_l: [0, 1]", "no number to expect called 'parts.answer_rouge_l'."),
        ("parts.answer_f1: [1, 0]", "expect.parts.answer_f1: write [low, high], two numbers in this order"),
    ],
)
def test_what_there_will_not_be_is_refused_before_anything(root, asker, capsys, verb, expect, line):
    path = experiment(root, LABELLED + "\ntrain: {{talks: {{path: {root}/talks.json, images: {root}}}}}")
    turns = [{"from": "human", "value": "<image>\nWell?"}, {"from": "gpt", "value": "No"}]
    talk = [{"image": "bolt/test/good/000.png", "conversations": turns}]
    (root / "talks.json").write_text(json.dumps(talk))
    assert line in mistake(capsys, verb, path, f"expect={{{expect}}}")
    assert asker.asked == [] and not (root / "runs").exists()


def test_numbers_that_a_set_of_one_class_cannot_give_are_not_expected(root, asker, capsys):
    for path in (root / "bolt/test/hole").iterdir():
        path.unlink()
    path = experiment(root, LABELLED)
    for number in ("sample_auroc", "answer_balanced_accuracy"):
        assert f"called 'parts.{number}'" in mistake(capsys, "test", path, f"expect={{parts.{number}: [0, 1]}}")
    assert main(["test", str(path), "expect={parts.answer_accuracy: [1, 1]}"]) == 0


def test_processes_that_share_the_work_write_one_run(root, asker, monkeypatch, capsys):
    path = experiment(root, LABELLED + "\n" + VISA)
    visa(root)
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in (2, 0):
        monkeypatch.setenv("RANK", str(rank))
        assert main(["test", str(path)]) == 0
        assert runs_of(root)[0] == []
    assert "parts: 3 of 4 answered; the process that answers the last writes the rows" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    rows, folder = run_of(root, LABELLED + "\n" + VISA)
    assert len(asker.asked) == 8 and rows["sample", "all", "auroc"].value == 1.0
    assert {r.tested_on for r in load([folder])} == {"parts", "visa"}


def test_one_process_that_is_late_with_an_early_set_still_writes(root, asker, monkeypatch):
    """Of two sets, the other process answers the first while this one is at the second."""
    path = experiment(root, LABELLED + "\n" + VISA)
    visa(root)
    monkeypatch.setenv("WORLD_SIZE", "2")
    ask = quiz.answer

    def meanwhile(asker, source, folder, key, size, longest, rank, ranks):
        ask(asker, source, folder, key, size, longest, rank, ranks)
        if source.name == "visa":
            monkeypatch.setattr("framework.tasks.quiz.answer", ask)
            monkeypatch.setenv("RANK", "1")
            assert main(["test", str(path)]) == 0

    monkeypatch.setattr("framework.tasks.quiz.answer", meanwhile)
    monkeypatch.setenv("RANK", "0")
    assert main(["test", str(path)]) == 0
    assert len(runs_of(root)[0]) == 1


def test_unreadable_samples_are_named_and_not_counted(root, asker, capsys):
    bad = root / "bolt/test/hole/001.png"
    bad.write_bytes(bad.read_bytes()[:60])
    rows, folder = run_of(root, LABELLED)
    told = capsys.readouterr().err
    assert f"anomaly-ov: left out {bad}" in told and "parts: left out 1 of 4 samples" in told
    assert rows["answer", "all", "accuracy"].anomalous == 1
    assert "error" in json.loads((folder / "answers.json").read_text())["parts"][3]


@pytest.mark.parametrize(
    ("sets", "overrides", "line"),
    [
        ("", [], "experiment asked: names no set under test or questions, so there is nothing to ask."),
        (VISA, [], "questions.visa: {root}/test_data.json: cannot be read (No such file or directory)"),
        (LABELLED, ["model.path=/nowhere"], "/nowhere: no such file."),
        (LABELLED, ["checkpoint={root}/bolt/test/good/000.png"], "000.png: damaged, or not whole ("),
        (LABELLED, ["answer.views=0"], "answer.views: must be positive and finite, is 0."),
        (LABELLED, ["text.repeats=0"], "text.repeats: must be positive and finite, is 0."),
        (MMAD, ["questions.mmad.options={{templtes: 1}}"], "Did you mean 'templates'?"),
        (MMAD, ["questions.mmad.kind=mmda"], "questions.mmad.kind: 'mmda' is none of visa_dr, visa_dr_reasoning, mmad"),
    ],
)
def test_mistakes(root, asker, capsys, sets, overrides, line):
    path = experiment(root, sets)
    told = mistake(capsys, "test", path, *[o.format(root=root) for o in overrides])
    assert line.format(root=root) in told and asker.asked == [] and not (root / "runs").exists()


def test_a_file_that_an_index_names_and_is_not_there_is_refused(root, asker, monkeypatch):
    from framework.config import DataConfig
    from framework.data.index import open_index
    from framework.tasks.labelled import Labelled

    index = open_index("parts", DataConfig("industrial", "mvtec", str(root)))
    index.records[1].path.unlink()
    with pytest.raises(UserError) as error:
        Labelled(index, "", 4)
    assert str(error.value) == f"parts: no file {index.records[1].path}, which its index names."


KILLED = """
import os, signal
from fake_asker import FakeAsker
from framework.tasks import answered, language
language.Asker = lambda *_: FakeAsker(lambda *_: "Yes")
def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)
answered.write_run = killed
from framework.cli import main
main(["test", {path!r}])
"""


@pytest.mark.slow
def test_a_kill_while_the_run_is_written_leaves_it_to_be_written(root, asker):
    path = experiment(root, LABELLED)
    done = fake_process.run(KILLED.format(path=str(path)))
    assert done.returncode == -signal.SIGKILL, done.stderr
    finished, left = runs_of(root)
    assert finished == [] and len(left) == 1 and os.listdir(left[0])
    rows, _ = run_of(root, LABELLED)
    assert asker.asked == [] and rows["answer", "all", "recall"].value == 1.0
