"""Published questions and free answers, asked by rule -> their rows; a judge and embeddings that are there or not."""

import json

import pytest
from fake_asked import MMAD, REASONS, SDLS, VISA, experiment, mmad, reasons, run_of, visa
from fake_cli import mistake, picture, runs_of
from fake_endpoint import serving

from framework.cli import main
from framework.leaderboard import leaderboard
from framework.leaderboard.store import load


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
