"""An experiment on disk and an asker that answers by rule -> the run, its rows, the pages; and lines of mistakes."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fake_cli
import pytest
import torch
from fake_asker import FakeAsker
from fake_cli import mistake, picture, runs_of
from fake_endpoint import serving
from PIL import Image
from safetensors.torch import save_file

from framework.cli import main
from framework.errors import UserError
from framework.leaderboard import leaderboard
from framework.leaderboard.matrix import transfer_matrix
from framework.leaderboard.store import load, load_samples
from framework.models.onevision import tuned
from framework.tasks import language, quiz

ROOT = Path(__file__).parents[2]
EXPERIMENT = """
stage: 2
name: asked
model: {{path: {root}/model}}
{sets}
trainer: {{accelerator: cpu}}
out: {root}/runs
"""
LABELLED = "test: {{parts: {{domain: industrial, dataset: mvtec, root: {root}}}}}"
VISA = "questions: {{visa: {{kind: visa_dr, path: {root}/test_data.json, images: {root}}}}}"
REASONS = "questions: {{why: {{kind: visa_dr_reasoning, path: {root}/visa_dr.json, images: {root}{options}}}}}"
MMAD = "questions: {{mmad: {{kind: mmad, path: {root}/mmad.json, images: {root}}}}}"
SDLS = "questions: {{lab: {{kind: sdls, path: {root}/sdls}}}}"


def rule(bright, question, history):
    """Broken pictures are the bright ones; between bright and dark it is unsure."""
    if "Yes" in question:
        return "Yes, a hole." if bright > 95 else "No, nothing." if bright < 50 else "I cannot say."
    if "letter" in question:
        return "B" if bright > 90 else "A"
    return f"The hole number {len(history)} was drilled."


@pytest.fixture
def asker(monkeypatch):
    """What every verb asks, and a place where it keeps count."""
    found = FakeAsker(rule)
    monkeypatch.setattr("framework.tasks.language.Asker", lambda *_: found)
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def root(tmp_path):
    """Pictures of one object, dark ones sound, and a model folder of which nothing but its bytes is read."""
    fake_cli.parts(tmp_path)
    for number, value in enumerate((150, 240)):  # the rule is unsure of the first
        picture(tmp_path / f"bolt/test/hole/00{number}.png", value)
    (tmp_path / "x.yaml").unlink()
    (tmp_path / "model").mkdir()
    save_file({"weight": torch.zeros(1)}, tmp_path / "model/model.safetensors")
    return tmp_path


def experiment(root, sets, options=""):
    path = root / "x.yaml"
    path.write_text(EXPERIMENT.format(root=root, sets=sets.format(root=root, options=options)))
    return path


def run_of(root, sets, *overrides, options="", status=0):
    """Rows of the run that ``test`` writes, by level, category and metric; and its folder."""
    assert main(["test", str(experiment(root, sets, options)), *overrides]) == status
    finished, left = runs_of(root)
    (folder,) = (path for path in finished if path.is_dir())  # the judge's replies lie beside
    assert not left
    return {(r.level, r.category, r.metric): r for r in load([folder])}, folder


def visa(root, count=4):
    entries = []
    for i in range(count):
        name = f"VisA/{'candle' if i < 2 else 'fryum'}/{i}.png"
        picture(root / name, 90 if i % 2 == 0 else 240)
        entries.append({"image": name, "anomaly": bool(i % 2)})
    (root / "test_data.json").write_text(json.dumps(entries))


def reasons(root, answers=True):
    entries = []
    for i in range(2):
        picture(root / f"VisA/candle/{i}.png", 240)
        entry = {"image": f"VisA/candle/{i}.png", "questions": ["Where is it?", "How was it made?"]}
        entries.append(entry | ({"answers": ["The hole number 0 was drilled.", "It burnt."]} if answers else {}))
    (root / "visa_dr.json").write_text(json.dumps(entries))


def test_sets_whose_files_have_the_same_names_have_answers_of_their_own(root, asker):
    other = root / "other"
    for path in (root / "bolt").rglob("*.png"):
        picture(other / path.relative_to(root), 90)
    sets = LABELLED.replace("test: {{", f"test: {{{{dark: {{{{domain: industrial, dataset: mvtec, root: {other}}}}}, ")
    _, folder = run_of(root, sets)
    assert len(asker.asked) == 8
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
    assert given == [(root / "model", "cpu", "bfloat16", 3, "", "eager", False)]


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
    rows, _ = run_of(root, LABELLED, f"answer.resize={resize}")
    assert [options[-1] for options in made] == [resize == "fast"]
    said = "anomaly_ov, 4 views shown, views top3" + ", fast resize" * (resize == "fast")
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
    html = leaderboard([folder], "html", None)
    assert 'data-level="published answer" data-metric="balanced_accuracy"' in html
    assert "first word, strict/1" in html


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
    asked = [Labelled(cloud, "", shown).quizzes[0].questions[0] for shown in (1, 2)]
    assert "in the image?" in asked[0] and "in the images?" in asked[1]


def test_visa_detection_has_macro_pooled_and_each_class(root, asker, capsys):
    visa(root)
    rows, _ = run_of(root, VISA)
    assert "questions.visa: 2 normal and 2 anomalous pictures of 2 classes" in capsys.readouterr().err
    assert {c for _, c, _ in rows} == {"all", "pooled", "candle", "fryum"}
    assert rows["answer", "pooled", "accuracy"].value == 1.0 and rows["sample", "candle", "auroc"].value == 1.0
    assert rows["published answer", "all", "balanced_accuracy"].anomalous == 2


def test_reasoning_follows_its_own_answers_and_is_compared_with_references(root, asker):
    reasons(root)
    rows, folder = run_of(root, REASONS)
    assert asker.batches == [2, 2] and asker.asked[2:] == ["How was it made?"] * 2
    answers = json.loads((folder / "answers.json").read_text())["why"][0]["answers"]
    assert answers == ["The hole number 0 was drilled.", "The hole number 1 was drilled."]
    assert {metric for _, _, metric in rows} == {"rouge_l"}
    assert rows["answer", "all", "rouge_l"].value == 0.5  # one word for word, one with nothing in common
    assert rows["answer", "all", "rouge_l"].anomalous == 4  # answers


def test_reasoning_without_references_keeps_answers_and_says_so(root, asker, capsys):
    reasons(root, answers=False)
    rows, folder = run_of(root, REASONS)
    assert rows == {} and "why: no references are known" in capsys.readouterr().err
    assert len(json.loads((folder / "answers.json").read_text())["why"]) == 2


def test_references_may_lie_in_a_file_of_their_own(root, asker):
    reasons(root, answers=False)
    (root / "key.json").write_text(json.dumps({"VisA/candle/0.png": ["The hole number 0 was drilled.", "No."]}))
    rows, _ = run_of(root, REASONS, options=f", options: {{references: {root}/key.json}}")
    assert rows["answer", "all", "rouge_l"].value == 0.5 and rows["answer", "all", "rouge_l"].anomalous == 2


def mmad(root):
    def asked(kind, right):
        return {"Question": "Which?", "Answer": right, "Options": {"A": "one", "B": "two"}, "type": kind}

    content = {}
    for name, value in (("MVTec/bolt/good/0.png", 60), ("MVTec/bolt/bent/0.png", 240)):
        picture(root / "goods" / name, value)
        right = "A" if "good/" in name else "B"
        content[name] = {"conversation": [asked("Anomaly Detection", right), asked("Defect Analysis", "A")]}
    (root / "mmad.json").write_text(json.dumps(content))


def test_mmad_has_its_subtasks_whatever_the_folder_is_called(root, asker):
    mmad(root)
    rows, _ = run_of(root, MMAD.replace("images: {root}", "images: {root}/goods"))
    detection = rows["answer", "Anomaly Detection", "accuracy"]
    assert detection.value == 1.0 and (detection.normal, detection.anomalous) == (1, 1) and detection.chance == 0.5
    assert rows["answer", "Defect Analysis", "accuracy"].value == 0.5
    assert rows["answer", "all", "coverage"].value == 1.0 and ("answer", "all", "accuracy") not in rows
    assert rows["published answer", "all", "accuracy"].value == 0.75


def test_sdls_is_described_and_compared_with_the_reason(root, asker):
    for folder in ("annotation", "image"):
        (root / "sdls/data" / folder).mkdir(parents=True)
    picture(root / "sdls/data/image/1.png", 240)
    record = {"Image_Id": "data/image/1.png", "step": "s", "phase": "pre", "Detection_Content": "Look at the rack."}
    record |= {"Anomaly_Label": True, "Anomaly_Label_Description": "The hole number 0 was drilled."}
    (root / "sdls/data/annotation/records_fix_arm_final.json").write_text(json.dumps([record]))
    rows, _ = run_of(root, SDLS)
    assert asker.asked[0].startswith("<image>\nLook at the rack. Is there anything unusual")
    assert rows["answer", "all", "rouge_l"].value == 1.0


def test_other_questions_about_the_same_pictures_are_another_set(root, asker):
    reasons(root)
    first, _ = run_of(root, REASONS)
    content = json.loads((root / "visa_dr.json").read_text())
    content[0]["questions"][0] = "Where?"
    (root / "visa_dr.json").write_text(json.dumps(content))
    assert main(["test", str(root / "x.yaml")]) == 0
    prints = {row.fingerprint for row in load([root / "runs"])}
    assert len(prints) == 2 and first["answer", "all", "rouge_l"].fingerprint in prints


JUDGE = ("text.judge=true", "text.repeats=2")


@pytest.fixture
def endpoint(monkeypatch):
    def score(body):
        return "8" if "burnt" not in body["messages"][1]["content"] else str(3 + body["seed"] % 1000)

    with serving(then=score) as server:
        monkeypatch.setenv("ANOMALY_OV_JUDGE_URL", server.url)
        monkeypatch.setenv("ANOMALY_OV_JUDGE_MODEL", "wise")
        yield server


def test_the_judge_scores_answers_and_tells_how_far_it_agrees_with_itself(root, asker, endpoint):
    reasons(root)
    rows, folder = run_of(root, REASONS, *JUDGE)
    values = {metric: r.value for (_, _, metric), r in rows.items()}
    assert values == {"rouge_l": 0.5, "judge": pytest.approx(0.575), "judge_coverage": 1.0, "judge_agreement": 0.5}
    assert rows["answer", "all", "judge"].protocol == ("judge/1; judge/1 by wise, 2 times, tenths of the mean score")
    assert len(endpoint.bodies) == 4 and len((root / "runs/judged.jsonl").read_text().splitlines()) == 4
    assert "judge agreement" in leaderboard([folder], "markdown", None)


def test_without_an_endpoint_nothing_is_asked(root, asker, capsys, monkeypatch):
    monkeypatch.delenv("ANOMALY_OV_JUDGE_URL", raising=False)
    reasons(root)
    line = mistake(capsys, "test", experiment(root, REASONS), *JUDGE)
    assert line.startswith("anomaly-ov: judge: ANOMALY_OV_JUDGE_URL is not set.")
    assert asker.asked == [] and not (root / "runs").exists()


def test_a_judge_that_refuses_costs_no_answer(root, asker, endpoint, capsys):
    reasons(root)
    endpoint.script[:] = ["401"] * 8
    path = experiment(root, REASONS)
    assert main(["test", str(path), *JUDGE]) == 2
    assert "HTTP 401" in capsys.readouterr().err
    assert runs_of(root)[0] == [] and len(asker.asked) == 4  # not even a file of replies
    endpoint.script.clear()
    rows, _ = run_of(root, REASONS, *JUDGE)
    assert rows["answer", "all", "judge_coverage"].value == 1.0 and len(asker.asked) == 4


def test_embeddings_that_are_not_there_are_told_before_anything_is_asked(root, asker, capsys):
    reasons(root)
    line = mistake(capsys, "test", experiment(root, REASONS), "text.similarity=./nowhere")
    assert "folder not found: ./nowhere" in line and asker.asked == []


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
import os, signal, sys
sys.path[:0] = [{tests!r}]
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
    script = KILLED.format(tests=str(ROOT / "tests"), path=str(path))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    finished, left = runs_of(root)
    assert finished == [] and len(left) == 1 and os.listdir(left[0])
    rows, _ = run_of(root, LABELLED)
    assert asker.asked == [] and rows["answer", "all", "recall"].value == 1.0
