"""The small model: batches, answers, verdicts, gradients, and what half precision does to them."""

import numpy as np
import pytest
import torch
from fake_language import QUESTION, VIEWS, asked, batch, example, picture
from torch.testing import assert_close

from framework.config import ModelConfig
from framework.data import crops
from framework.models import trained
from framework.models.checkpoints import load_expert_weights
from framework.models.experts import embedded
from framework.models.experts.look_twice import LookTwice
from framework.types import Features


def encode(model, given):
    return model.get_image_features(
        given["pixel_values"], given["image_sizes"], batch_num_images=given["batch_num_images"]
    )


@pytest.fixture
def passes(loaded):
    """How many crops each pass of the tower saw."""
    seen = []
    hook = loaded[0].model.vision_tower.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    yield seen
    hook.remove()


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_mixed_batch_gives_what_each_sample_gives_alone(side, loaded):
    model, chat = loaded
    assert [sum(len(chat.picture(v, len(views) > 1).crops) for v in views) for views in VIEWS] == [2, 5, 2]
    given = batch(chat, VIEWS, side)
    together = model(**given)
    losses, logits = [], []
    for i, views in enumerate(VIEWS):
        alone = model(**batch(chat, [views]))
        length = alone.logits.shape[1]
        here = slice(-length, None) if side == "left" else slice(length)
        assert given["attention_mask"][i, here].all() and given["attention_mask"][i].sum() == length
        assert_close(together.logits[i, here], alone.logits[0], rtol=0, atol=1e-5)
        losses.append(alone.loss)
        logits.append(alone.verdict.logits)
    assert_close(together.verdict.logits, torch.cat(logits), rtol=0, atol=1e-5)
    assert len(together.verdict.logits) == 4 and len(together.verdict.maps) == 9
    assert_close(together.loss, torch.stack(losses).mean(), rtol=0, atol=1e-5)  # all have the same answer


def test_losses_are_those_of_each_conversation_alone(loaded):
    model, chat = loaded
    prompts, pictures = zip(
        *[example(chat, v, a) for v, a in zip(VIEWS, ("No", QUESTION, "Yes"), strict=True)], strict=True
    )
    given = chat.batch(prompts, [p for found in pictures for p in found])
    losses, counts, verdict = model.losses(**given)
    alone = [model(**chat.batch([p], found)) for p, found in zip(prompts, pictures, strict=True)]
    assert_close(losses, torch.stack([one.loss for one in alone]), rtol=0, atol=1e-5)
    assert counts.tolist() == [sum(label != -100 for label in p.labels) for p in prompts]
    assert_close(verdict.logits, torch.cat([one.verdict.logits for one in alone]), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_batch_may_hold_a_conversation_without_a_picture(loaded):
    model, chat = loaded
    silent = chat.encode([("Why?", "Because.")], [])
    prompt, pictures = example(chat, VIEWS[0])
    together = model(**chat.batch([silent, prompt], pictures))
    alone = chat.batch([silent], [])
    assert "pixel_values" not in alone
    found = model(**alone)
    assert_close(together.logits[0, : len(silent.ids)], found.logits[0], rtol=0, atol=1e-5)
    assert "verdict" not in found and len(together.verdict.logits) == 1


def test_answers_of_a_batch_are_those_of_each_alone(loaded, passes):
    model, chat = loaded
    options = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}
    given = asked(chat, VIEWS)
    together = model.generate(**given, **options)[:, given["input_ids"].shape[1] :]
    assert passes == [9]
    for i, views in enumerate(VIEWS):
        alone = asked(chat, [views])
        said = model.generate(**alone, **options)[0, alone["input_ids"].shape[1] :]
        assert together[i].tolist() == said.tolist()
        alone.pop("pixel_values")
        without = model.generate(
            **alone, **options, use_cache=False, mm_encoder_outputs={"image": encode(model, asked(chat, [views]))}
        )
        assert without[0, -6:].tolist() == said.tolist()


@torch.no_grad()
def test_an_answer_is_the_likeliest_token_again_and_again(loaded):
    model, chat = loaded
    given = asked(chat, [VIEWS[1]])
    ids, said = given["input_ids"], []
    for _ in range(4):
        logits = model(**{**given, "input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits[:, -1]
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
        said.append(ids[0, -1].item())
    found = model.generate(**given, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert found[0, -4:].tolist() == said


def test_beams_and_several_answers(loaded):
    model, chat = loaded
    given = asked(chat, VIEWS[:2])
    found = model.generate(**given, max_new_tokens=4, do_sample=False, num_beams=3, num_return_sequences=2)
    answers = found[:, given["input_ids"].shape[1] :].tolist()
    assert len(answers) == 4 and answers[0] != answers[1] and answers[2] != answers[3]
    alone = asked(chat, VIEWS[1:2])
    again = model.generate(**alone, max_new_tokens=4, do_sample=False, num_beams=3, num_return_sequences=2)
    assert again[:, alone["input_ids"].shape[1] :].tolist() == answers[2:]


@torch.no_grad()
def test_a_picture_is_encoded_once_and_asked_about_often(loaded, passes):
    model, chat = loaded
    view = VIEWS[1][0]
    picture_ = chat.picture(view, False)
    questions = [QUESTION, "Why?"]
    prompts = [chat.encode([(f"<image>\n{q}", None)], [view.shape[1:]]) for q in questions]
    encoded = encode(model, chat.batch(prompts[:1], [picture_]))
    for prompt in prompts:
        whole = chat.batch([prompt], [picture_])
        part = {key: whole[key] for key in ("input_ids", "attention_mask")} | {"mm_encoder_outputs": {"image": encoded}}
        passes.clear()
        cheap = model(**part)
        said = model.generate(**part, max_new_tokens=3, min_new_tokens=3, do_sample=False)
        assert passes == []
        whole.pop("labels")
        dear = model(**whole)
        assert passes == [5]
        assert_close(cheap.logits, dear.logits, rtol=0, atol=1e-6)
        assert_close(cheap.verdict.logits, dear.verdict.logits, rtol=0, atol=0)
        assert torch.equal(said, model.generate(**whole, max_new_tokens=3, min_new_tokens=3, do_sample=False))


@torch.no_grad()
def test_stacked_normalised_crops_of_transformers_give_the_same(loaded):
    model, chat = loaded
    views = [VIEWS[0][0], VIEWS[1][0]]
    given = batch(chat, [[view] for view in views])
    floats = (given["pixel_values"].float() / 255 - 0.5) / 0.5
    stacked = torch.zeros(2, 5, 3, 160, 160)
    stacked[0, :2], stacked[1] = floats[:2], floats[2:]
    assert_close(model(**{**given, "pixel_values": stacked}).logits, model(**given).logits, rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_verdict_is_that_of_stage_one(loaded):
    model, chat = loaded
    views = [picture(*size, seed=i) for i, size in enumerate([(160, 160), (300, 200), (330, 500)])]
    given = batch(chat, [[view] for view in views])
    found = model(**given).verdict
    config = ModelConfig(crops="anyres")
    config.backbone.name, config.expert.weights = "embedded", "embedded"
    backbone, expert = trained.build_model(config)
    cut = [crops.cut(view, 160, "anyres") for view in views]
    pixels = torch.from_numpy(np.concatenate(cut))
    stage_one = expert(backbone(pixels), [len(c) for c in cut])
    for name in ("logits", "maps", "tokens", "summary"):
        assert_close(getattr(found, name), getattr(stage_one, name), rtol=1e-5, atol=1e-5)
    states = model.model.vision_tower((pixels.float() / 255 - 0.5) / 0.5).hidden_states
    features = Features([states[i] for i in model.config.level_layers], states[-1], (20, 20))
    direct = model.model.anomaly_expert(features, [len(c) for c in cut])
    assert_close(found.logits, direct.logits, rtol=0, atol=1e-6)


def test_the_expert_is_the_class_of_stage_one_and_takes_its_files(fresh):
    expert = fresh[0].model.anomaly_expert
    assert type(expert) is LookTwice
    wanted = {key: value.clone() for key, value in expert.state_dict().items()}
    expert.positive_embedding.data.zero_()
    load_expert_weights(embedded.weights(), expert)
    assert_close(expert.state_dict(), wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("score", "adverb"),
    [(0.0, 0), (0.2999, 0), (0.3001, 1), (0.5, 1), (0.6999, 1), (0.7001, 2), (1.0, 2), (float("nan"), 2)],
)
def test_the_prefix_says_how_suspicious_a_picture_is(score, adverb, loaded):
    model, _ = loaded
    logits = torch.tensor([score], dtype=torch.float64).logit().float()
    assert model.model.prefixes(logits).tolist() == [model.config.prefix_token_ids[adverb]]


def test_at_a_threshold_the_prefix_is_that_of_the_published_comparison(loaded):
    model, _ = loaded
    near = torch.cat([torch.linspace(edge - 1e-6, edge + 1e-6, 2001) for edge in (-0.8472979, 0.8472979)])
    scores = near.sigmoid()
    assert scores[:2001].unique().numel() > 5 and float(np.float32(0.3)) in scores.tolist()
    assert float(np.float32(0.7)) in scores.tolist()
    words = [0 if s < 0.3 else 1 if s < 0.7 else 2 for s in scores.tolist()]  # as llava_arch.py on score.item()
    assert set(words) == {0, 1, 2}
    assert model.model.prefixes(near).tolist() == [model.config.prefix_token_ids[w] for w in words]


def test_a_score_at_a_threshold_is_above_it(fresh):
    model, _ = fresh
    model.model.config.prefix_thresholds = [0.3, 0.5]
    assert model.model.prefixes(torch.zeros(1)).tolist() == [model.config.prefix_token_ids[2]]


def test_gradients_reach_every_part_that_is_tuned(fresh):
    model, chat = fresh
    model.train()
    model(**batch(chat, VIEWS)).loss.backward()
    parts = {
        "expert": model.model.anomaly_expert.q_former["query_proj"].weight,
        "suspicion": model.model.anomaly_expert.negative_embedding,
        "projector": model.model.multi_modal_projector.linear_1.weight,
        "newline": model.model.image_newline,
        "embeddings": model.get_input_embeddings().weight,
        "layers": model.model.language_model.layers[0].self_attn.q_proj.weight,
    }
    for name, parameter in parts.items():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
    prefix = model.config.prefix_token_ids[0][1]
    assert model.get_input_embeddings().weight.grad[prefix].abs().sum() > 0


def test_checkpointed_layers_have_the_same_gradients(fresh):
    model, chat = fresh
    given = batch(chat, VIEWS[:2])
    weight = model.model.language_model.layers[0].mlp.up_proj.weight
    model.train()
    model(**given).loss.backward()
    wanted, weight.grad = weight.grad, None
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model(**given).loss.backward()
    assert_close(weight.grad, wanted, rtol=0, atol=1e-7)
