"""A stage-2 experiment on small sets and questions on disk, and an asker that answers by rule."""

import json

from fake_cli import picture, runs_of

from framework.cli import main
from framework.leaderboard.store import load

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


def mmad(root):
    def asked(kind, right):
        return {"Question": "Which?", "Answer": right, "Options": {"A": "one", "B": "two"}, "type": kind}

    content = {}
    for name, value in (("MVTec/bolt/good/0.png", 60), ("MVTec/bolt/bent/0.png", 240)):
        picture(root / "goods" / name, value)
        right = "A" if "good/" in name else "B"
        content[name] = {"conversation": [asked("Anomaly Detection", right), asked("Defect Analysis", "A")]}
    (root / "mmad.json").write_text(json.dumps(content))
