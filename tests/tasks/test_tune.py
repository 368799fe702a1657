"""Stage 2 in small: conversations on disk through Lightning to a run, stopped and gone on, on one process and two."""

import json
import shutil

import pytest
import torch
from fake_cli import mistake, parts, runs_of
from fake_language import QUESTION, TEXTS, picture
from fake_ranks import by_two
from PIL import Image
from safetensors.torch import load_file
from torch.testing import assert_close

from framework.cli import main
from framework.data.decoding import pixels_of
from framework.data.instruct import conversations
from framework.leaderboard.matrix import transfer_matrix
from framework.leaderboard.store import load
from framework.locks import held
from framework.models.onevision import small, tuned
from framework.tasks import tune
from framework.tasks.reason import Reason

ANSWERS = ["Yes, there is a small scratch in the upper left.", "No", "Yes", "No", "Because the surface is rough."]
EXPERIMENT = """
stage: 2
name: tiny
model: {{path: {root}/model}}
train: {{scratches: {{path: {root}/talks.json, images: {root}}}}}
tune: {{at_once: 1, checkpointing: false, save_every: 1}}
optim: {{lr: 3.0e-3, batch_size: 2, warmup: 0}}
answer: {{max_new_tokens: 2}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 2, enable_progress_bar: false, deterministic: false}}
out: {root}/runs
"""
TESTED = "test={{parts: {{domain: industrial, dataset: mvtec, root: {root}}}}}"
LORA = ["tune.parts=[projector,newline]", "tune.lora.rank=2"]


def talks(root, **changes):
    """Five conversations, one about two pictures, the last with keys of its own."""
    entries = []
    for i, answer in enumerate(ANSWERS):
        names = [f"{i}.png", "0.png"][: 2 if i == 2 else 1]
        turns = [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": answer}]
        entries.append({"id": str(i), "image": names, "conversations": turns})
    entries[-1] |= changes
    (root / "talks.json").write_text(json.dumps(entries))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("tune") / "model", TEXTS)


@pytest.fixture
def root(tmp_path, model):
    """An experiment of one test's own; each epoch has three steps of two micro-batches, one of them empty."""
    return experiment(tmp_path, model)


def experiment(folder, model):
    for i in range(len(ANSWERS)):
        Image.fromarray(picture(40, 70 if i == 1 else 40, i).transpose(1, 2, 0)).save(folder / f"{i}.png")
    talks(folder)
    parts(folder)
    (folder / "model").symlink_to(model)
    (folder / "x.yaml").write_text(EXPERIMENT.format(root=folder))
    return folder


def fit(root, *overrides):
    """The run folder of a fit that finishes and clears its working folder."""
    before = set(runs_of(root)[0])
    assert main(["fit", str(root / "x.yaml"), *overrides]) == 0
    done, left = runs_of(root)
    assert not left
    (folder,) = set(done) - before
    return folder


def cut(*_):
    raise KeyboardInterrupt


def tensors(folder):
    return load_file(folder / tuned.FILE)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, model):
    """What an unbroken run tunes, and its folder."""
    root = experiment(tmp_path_factory.mktemp("plain"), model)
    folder = fit(root, TESTED.format(root=root))
    return tensors(folder), folder, root


@torch.no_grad()
def loss_of(root, checkpoint):
    """Mean loss over all conversations."""
    model, chat = tuned.load(checkpoint)
    found = []
    for talk in conversations.load(root / "talks.json", root):
        views = [pixels_of(path) for path in talk.images]
        prompt = chat.encode(talk.turns, [view.shape[1:] for view in views])
        found.append(model.losses(**chat.batch([prompt], [chat.picture(v, len(views) > 1) for v in views]))[0])
    return torch.cat(found).mean().item()


def test_the_loss_falls_and_the_run_holds_what_was_tuned(root, plain, model):
    content, folder, whole = plain
    before, after = loss_of(whole, model), loss_of(whole, folder / tuned.FILE)
    assert after < 0.9 * before
    assert loss_of(root, fit(root, "trainer.max_epochs=6") / tuned.FILE) < 0.8 * after
    assert {"model.image_newline", "model.language_model.embed_tokens.weight"} < content.keys()
    assert not any("vision_tower" in name or "expert" in name for name in content)
    card = tuned.card_of(folder / tuned.FILE)
    assert [origin["name"] for origin in card["trained_on"]] == ["scratches"]
    assert len(card["trained_on"][0]["digests"]) == 5 and card["run"]["settings"]["name"] == "tiny"


@pytest.mark.parametrize(("stop", "workers"), [(1, 0), (5, 1), (6, 0), (6, 1)])
def test_a_stopped_run_goes_on_as_an_unbroken_one(stop, workers, root, plain, monkeypatch, capsys):
    """Interrupted before a step was saved, in the middle of one, and between two epochs."""
    seen, step = [], Reason.training_step

    def interrupted(self, batch, number):
        if len(seen) == stop:
            raise KeyboardInterrupt
        seen.append(number)
        return step(self, batch, number)

    monkeypatch.setattr(Reason, "training_step", interrupted)
    assert main(["fit", str(root / "x.yaml"), f"workers={workers}"]) == 130
    assert not runs_of(root)[0] and len(runs_of(root)[1]) == 1
    monkeypatch.setattr(Reason, "training_step", lambda *a: seen.append(a[2]) or step(*a))
    folder = fit(root, f"workers={workers}")
    assert ("going on from" in capsys.readouterr().err) == (stop > 1)
    assert_close(tensors(folder), plain[0], rtol=0, atol=0)
    assert len(seen) == 12 + stop % 2  # a step that was not finished begins again


def test_adapters_with_dropout_go_on_as_unbroken(root, monkeypatch):
    """Random numbers follow from the place in the training, so dropout is the same after a stop."""
    options = [*LORA, "tune.lora.dropout=0.5", "trainer.precision=bf16-mixed", "tune.checkpointing=true"]
    whole = tensors(fit(root, *options))
    assert sum(".lora_" in name for name in whole) == 2 * 7 * small.LAYERS
    assert all(t.any() for name, t in whole.items() if ".lora_B." in name)
    assert {t.dtype for t in whole.values()} == {torch.float32}
    step, seen = Reason.training_step, []

    def interrupted(self, batch, number):
        language = self.model.model.language_model
        assert language.training and language.layers[0].gradient_checkpointing
        assert not self.model.model.vision_tower.training
        seen.append(number)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return step(self, batch, number)

    monkeypatch.setattr(Reason, "training_step", interrupted)
    assert main(["fit", str(root / "x.yaml"), *options]) == 130
    assert_close(tensors(fit(root, *options)), whole, rtol=0, atol=0)


def test_recomputing_activations_changes_nothing(root, plain):
    assert_close(tensors(fit(root, "tune.checkpointing=true")), plain[0], rtol=0, atol=1e-6)


def test_only_the_projector_is_trained(root, model):
    found = tensors(fit(root, "tune.parts=[projector]"))
    assert {name.rpartition(".")[0] for name in found} == {f"model.multi_modal_projector.linear_{i}" for i in (1, 2)}
    own = dict(tuned.load(model)[0].named_parameters())
    assert all((own[name] != tensor).any() for name, tensor in found.items())


def test_passes_of_any_size_and_published_labels(root, plain):
    """How many conversations pass at once changes nothing; what is learned from does."""
    assert_close(tensors(fit(root, "tune.at_once=2")), plain[0], rtol=1e-4, atol=1e-4)
    published = tensors(fit(root, "tune.labels=published"))
    assert any((published[name] - plain[0][name]).abs().max() > 1e-3 for name in published)


def test_a_picture_that_breaks_is_told_or_left_out(root, capsys):
    content = (root / "3.png").read_bytes()
    (root / "3.png").write_bytes(content[: len(content) // 2])
    for workers in (0, 1):
        assert main(["fit", str(root / "x.yaml"), f"workers={workers}"]) == 2
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith(f"anomaly-ov: {root}/talks.json, entry 4: {root}/3.png: not a picture that can be read")
        assert told.endswith("Mend it, or leave such out with tune.unreadable=skip.")
    for left in runs_of(root)[1]:
        shutil.rmtree(left)
    fit(root, "tune.unreadable=skip")
    assert f"left out {root}/talks.json, entry 4: {root}/3.png" in capsys.readouterr().err


def test_going_on_with_other_conversations_is_refused(root, monkeypatch, capsys):
    monkeypatch.setattr(Reason, "training_step", cut)
    assert main(["fit", str(root / "x.yaml")]) == 130
    monkeypatch.undo()
    capsys.readouterr()
    (work,) = runs_of(root)[1]
    told = f"has changed since this run was interrupted. Delete {work} to restart."
    with held(work, "tiny"):
        assert main(["fit", str(root / "x.yaml")]) == 2
    assert "anomaly-ov: tiny: this experiment runs already, in process" in capsys.readouterr().err
    talks(root, id="another name only")
    Image.fromarray(picture(40, 40, 9).transpose(1, 2, 0)).save(root / "4.png")
    assert main(["fit", str(root / "x.yaml")]) == 2
    assert capsys.readouterr().err.endswith(f"anomaly-ov: {work}: what it is trained on {told}\n")
    shutil.rmtree(work)
    fit(root)


def test_going_on_with_another_number_of_devices_is_refused(root, monkeypatch, capsys):
    monkeypatch.setattr(Reason, "training_step", cut)
    assert main(["fit", str(root / "x.yaml")]) == 130
    monkeypatch.undo()
    capsys.readouterr()
    (work,) = runs_of(root)[1]
    noted = json.loads((work / tune.NOTED).read_text())
    (work / tune.NOTED).write_text(json.dumps(noted | {"the number of devices": 8}))
    assert main(["fit", str(root / "x.yaml")]) == 2
    told = "the number of devices has changed since this run was interrupted"
    assert told in capsys.readouterr().err


def test_what_two_recipes_tuned_is_tested_side_by_side_and_seeds_together(root, plain):
    options = ["trainer.max_epochs=1", "tune.parts=[projector]"]
    folders = [fit(root, *options, f"optim.lr={lr}", f"seed={seed}") for lr, seed in ((1e-3, 0), (1e-3, 1), (1e-4, 0))]
    before = set(runs_of(root)[0])
    for folder in folders:
        command = ["test", str(root / "x.yaml"), TESTED.format(root=root), f"checkpoint={folder / tuned.FILE}"]
        assert main([*command, "train={}"]) == 0
    matrix = transfer_matrix(load(sorted(set(runs_of(root)[0]) - before)), "auroc", "sample")
    assert sorted(len(cell.rows) for cell in matrix.cells.values()) == [1, 2]


def test_a_run_stopped_after_its_training_only_asks(root, plain, monkeypatch):
    asked, options = tune.answer_sets, [TESTED.format(root=root)]
    monkeypatch.setattr(tune, "answer_sets", cut)
    assert main(["fit", str(root / "x.yaml"), *options]) == 130
    monkeypatch.setattr(tune, "answer_sets", asked)
    monkeypatch.setattr(Reason, "training_step", cut)
    folder = fit(root, *options)
    assert_close(tensors(folder), plain[0], rtol=0, atol=0)
    assert {row.tested_on for row in load([folder])} == {"parts"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["train=null"], "override 'train=null': train: needs a value."),
        (["model.path=nowhere"], "nowhere: no model folder. Make one with `anomaly-ov convert SOURCE nowhere`."),
        (["model.path={root}/0.png"], "model.path: {root}/0.png is no folder; merge a tuned checkpoint: anomaly-ov"),
        (["train.scratches.path={root}/nowhere.json"], "train.scratches: {root}/nowhere.json: cannot be read (No such"),
        (["train.scratches.images=/nowhere"], "train.scratches: {root}/talks.json, entry 1: no picture /nowhere/0.png"),
        (["tune.max_length=9"], "5 of 5 conversations need more than 9 tokens"),
        (["model.dtype=bfloat16"], "model.dtype: bfloat16 does not go with trainer.precision=32-true. Use model.dtype"),
        (["model.dtype=float16", "trainer.precision=bf16-mixed"], "model.dtype: float16 does not go with trainer.prec"),
        ([*LORA, "tune.lora.layers=.*tower.*"], "tune.lora.layers: matches model.vision_tower, which it cannot adapt."),
        (["trainer.devices=0"], "trainer: "),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(options, told, root, capsys):
    found = mistake(capsys, "fit", root / "x.yaml", *[option.format(root=root) for option in options])
    assert told.format(root=root) in found
    assert runs_of(root) == ([], [])


def test_an_experiment_without_conversations_is_one_line(root, capsys):
    text = (root / "x.yaml").read_text()
    (root / "x.yaml").write_text("\n".join(line for line in text.splitlines() if not line.startswith("train:")))
    told = mistake(capsys, "fit", root / "x.yaml")
    assert told.endswith("experiment tiny: train names no conversations, so there is nothing to fit.")


@pytest.mark.parametrize("view", [False, True])
def test_rows_tell_what_was_trained_on_and_mark_what_was_seen(view, root, plain):
    """A test picture is trained on as it is, or as a view that was drawn of it."""
    seen = f"{root}/bolt/test/hole/000.png"
    talks(root, **({"metadata": {"sample": f"{seen}#3"}} if view else {"image": seen}))
    rows = load([fit(root, TESTED.format(root=root), "trainer.max_epochs=1")])
    assert {row.trained_on for row in rows} == {"scratches"} and {row.tested_on for row in rows} == {"parts"}
    assert all(row.in_domain for row in rows) and {row.overlap for row in rows} == {1}
    assert not any(row.in_domain or row.overlap for row in load([plain[1]]))


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "close"), [("ddp", 1e-5), ("fsdp2", 1e-4)])
def test_two_processes_tune_what_one_does(strategy, close, root, plain):
    """Batches of 2 of 5 conversations, so that one rank of the last step has nothing of its own."""
    overrides = ["trainer.devices=2", f"trainer.strategy={strategy}", TESTED.format(root=root)]
    done = by_two(["fit", str(root / "x.yaml"), *overrides])
    assert done.returncode == 0, done.stderr
    ((folder,), left) = runs_of(root)
    assert not left
    assert_close(tensors(folder), plain[0], rtol=close, atol=close)
    values = [{(r.level, r.metric): r.value for r in load([f])} for f in (folder, plain[1])]
    assert {row.hardware.split()[0] for row in load([folder])} == {"2"}
    assert values[0] == pytest.approx(values[1])
