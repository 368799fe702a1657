"""What a GPU must do as the CPU does: the golden numbers, answers, training and resuming of the language model.

python -m pytest tests/test_gpu.py     (a minute; skipped where there is no GPU)
"""

import json
from pathlib import Path

import fake_language
import pytest
import torch
from fake_asker import talkative
from fake_language import QUESTION, TEXTS, VIEWS, asked, batch, picture
from golden import recipe
from numpy.testing import assert_allclose
from tasks.test_tune import LORA, TESTED, experiment, fit, tensors
from torch.testing import assert_close

from framework.cli import main
from framework.data import crops
from framework.leaderboard.store import load
from framework.models.onevision import loading, small
from framework.models.onevision.conversion import convert
from framework.models.onevision.modeling import AnomalyOV
from framework.tasks.asking import Asker
from framework.tasks.reason import Reason

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GOLDEN = json.loads((Path(__file__).parent / "golden" / "published.json").read_text())
GPU = ["trainer.accelerator=gpu"]


def moved(given):
    return {name: tensor.to("cuda") for name, tensor in given.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return talkative(tmp_path_factory.mktemp("gpu") / "model")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("gpu") / "model", TEXTS)


@pytest.fixture
def root(tmp_path, model):
    return experiment(tmp_path, model)


@torch.no_grad()
def test_the_published_numbers(tmp_path):
    source = fake_language.write(
        tmp_path / "published",
        fake_language.state(fake_language.names(**fake_language.GOLDEN)),
        tokenizer=False,
        image_token_index=69990,
    )
    convert(source, tmp_path / "ours")
    model = AnomalyOV.from_pretrained(tmp_path / "ours").eval().cuda()
    for known in GOLDEN["cases"]:
        view = recipe.picture(known["seed"], known["width"], known["height"])
        pixels = torch.from_numpy(crops.cut(view, 384, "anyres")).cuda()
        found = model.model.get_image_features(pixels, torch.tensor([view.shape[1:]], device="cuda"))
        assert_allclose(found.verdict.logits.sigmoid().cpu(), known["score"], rtol=0, atol=1e-5)
        wanted = torch.tensor(known["map[:, ::9, ::9]"])
        largest = wanted.abs().max().item()
        assert_allclose(found.verdict.maps[:, ::9, ::9].cpu(), wanted, rtol=0, atol=1e-4 * largest)
        wanted = torch.tensor(known["local[:, :, ::16]"])
        assert_close(found.verdict.tokens[:, :, ::16].cpu(), wanted, rtol=0, atol=1e-4 * wanted.abs().max().item())


@torch.no_grad()
def test_logits_of_a_mixed_batch_are_those_of_the_cpu(folder):
    model, chat = loading.load(folder)
    given = batch(chat, VIEWS)
    here = model(**given)
    there = model.cuda()(**moved(given))
    assert_close(there.logits.cpu(), here.logits, rtol=1e-3, atol=1e-3)
    assert_close(there.verdict.logits.cpu(), here.verdict.logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_finite_and_near(dtype, folder):
    whole, chat = loading.load(folder)
    half, _ = loading.load(folder, dtype)
    given = batch(chat, VIEWS)
    wanted, found = whole.cuda()(**moved(given)), half.cuda()(**moved(given))
    assert torch.isfinite(found.logits).all()
    assert {p.dtype for p in half.model.anomaly_expert.parameters()} == {torch.float32}
    assert_close(found.verdict.logits, wanted.verdict.logits, rtol=0, atol=0.1)


def test_greedy_answers_are_those_of_the_cpu(folder):
    views = [[picture(150, 130, i)] for i in range(3)] + [[picture(90, 200, 3), picture(250, 120, 4)]]
    told = []
    for device in ("cpu", "cuda"):
        asker = Asker(folder, device)
        seen = [asker.look(v) for v in views]
        turns = [[(asker.opening(s, QUESTION), None)] for s in seen]
        told.append((asker.answer(seen, turns, 6), [s.score for s in seen], [s.maps[0].cpu() for s in seen]))
    (here, score, maps), (there, other, moved_maps) = told
    assert here == there and len(set(here)) > 1
    assert_allclose(other, score, rtol=0, atol=1e-4)
    for a, b in zip(maps, moved_maps, strict=True):
        assert_close(b, a, rtol=0, atol=1e-3)


def test_beams_and_several_answers(folder):
    model, chat = loading.load(folder)
    given = asked(chat, VIEWS[:2])
    options = {"max_new_tokens": 4, "do_sample": False, "num_beams": 3, "num_return_sequences": 2}
    here = model.generate(**given, **options)
    assert model.cuda().generate(**moved(given), **options).tolist() == here.tolist()


@pytest.mark.parametrize("options", [[], ["tune.checkpointing=true"], ["trainer.strategy=fsdp2"]])
def test_tuning_ends_near_where_the_cpu_does(options, root):
    tested = TESTED.format(root=root)
    here = fit(root, tested)
    there = fit(root, tested, *GPU, *options)
    for name, tensor in tensors(here).items():
        assert_close(tensors(there)[name], tensor, rtol=0, atol=3e-2)
    measured = [{(r.level, r.metric) for r in load([f])} for f in (here, there)]  # names hold a digest of all options
    assert measured[0] == measured[1]
    assert "cpu" not in load([there])[0].hardware.lower().split()


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "16-mixed"])
def test_adapters_learn_in_half_precision(precision, root, monkeypatch):
    losses, step = [], Reason.training_step

    def kept(self, *given):
        losses.append(step(self, *given))
        return losses[-1]

    monkeypatch.setattr(Reason, "training_step", kept)
    found = tensors(fit(root, *GPU, *LORA, f"trainer.precision={precision}", "trainer.max_epochs=8"))
    assert all(torch.isfinite(t).all() for t in found.values())
    half = len(losses) // 2
    assert torch.stack(losses[half:]).mean() < torch.stack(losses[:half]).mean()


def test_a_stopped_run_goes_on_as_an_unbroken_one(root, monkeypatch):
    options = [*GPU, "trainer.deterministic=true"]
    whole = tensors(fit(root, *options))
    step, seen = Reason.training_step, []

    def interrupted(self, *given):
        seen.append(given)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(Reason, "training_step", interrupted)
    assert main(["fit", str(root / "x.yaml"), *options]) == 130
    monkeypatch.setattr(Reason, "training_step", step)
    assert_close(tensors(fit(root, *options)), whole, rtol=0, atol=0)
