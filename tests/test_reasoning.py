"""The schema of stage 2: what loads, what is refused and in which words, and what the digest follows from."""

import pytest

from framework import reasoning
from framework.errors import UserError

MINIMAL = """
stage: 2
name: tiny
model: {path: /models/small}
train: {a: {path: /talks.json}}
"""


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(MINIMAL)
    return path


def test_the_defaults_are_the_published_recipe(experiment):
    config = reasoning.load(experiment, [])
    assert (config.optim.lr, config.optim.weight_decay, config.optim.warmup) == (1e-5, 0, 0.03)
    assert (config.optim.batch_size, config.trainer.max_epochs, config.trainer.gradient_clip_val) == (128, 1, 1.0)
    assert config.tune.parts == ["projector", "language_model", "newline"] and config.tune.max_length == 32768
    assert config.train["a"].images == "."


def test_overrides_reach_every_level(experiment):
    overrides = ["tune.lora.rank=8", "tune.parts=[projector]", "questions.v={kind: mmad, path: x.json}"]
    config = reasoning.load(experiment, [*overrides, "train.b={path: b.jsonl, images: /pictures}"])
    assert config.tune.lora.rank == 8 and config.tune.parts == ["projector"]
    assert config.questions["v"].kind == "mmad" and config.train["b"].images == "/pictures"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tune.labels=all", "tune.labels: 'all' is none of assistant, published."),
        ("tune.average=batch", "tune.average: 'batch' is none of conversation, token."),
        ("tune.too_long=cut", "tune.too_long: 'cut' is none of stop, skip."),
        ("tune.unreadable=ignore", "tune.unreadable: 'ignore' is none of stop, skip."),
        ("model.attention=fast", "model.attention: 'fast' is none of sdpa, eager, flash_attention_2."),
        ("tune.decode=quick", "tune.decode: 'quick' is none of exact, fast, draft."),
        ("answer.resize=draft", "answer.resize: 'draft' is none of exact, fast."),
        ("model.dtype=int8", "model.dtype: 'int8' is none of auto, float32, bfloat16, float16."),
        ("trainer.precision=8", "trainer.precision: '8' is none of 32-true"),
        ("optim.lr=0", "optim.lr: must be positive and finite, is 0.0."),
        ("optim.batch_size=-2", "optim.batch_size: must be positive and finite, is -2."),
        ("tune.at_once=0", "tune.at_once: must be positive and finite, is 0."),
        ("tune.max_length=-1", "tune.max_length: must be positive and finite, is -1."),
        ("tune.save_every=0", "tune.save_every: must be positive and finite, is 0."),
        ("trainer.max_epochs=-1", "trainer.max_epochs: must be positive and finite, is -1."),
        ("answer.max_new_tokens=0", "answer.max_new_tokens: must be positive and finite, is 0."),
        ("test_batch_size=0", "test_batch_size: must be positive and finite, is 0."),
        ("optim.projector_lr=-1", "optim.projector_lr: must be 0 or more and finite, is -1.0."),
        ("optim.weight_decay=.nan", "optim.weight_decay: must be 0 or more and finite, is nan."),
        ("tune.lora.rank=-1", "tune.lora.rank: must be 0 or more and finite, is -1."),
        ("workers=-1", "workers: must be 0 or more and finite, is -1."),
        ("seed=-1", "seed: must be 0 or more and finite, is -1."),
        ("seed=4294967296", "seed: must be at most 4294967295, is 4294967296."),
        ("optim.warmup=1", "optim.warmup: must be a share, 0 or more and below 1, is 1.0."),
        ("tune.lora.dropout=-0.1", "tune.lora.dropout: must be a share, 0 or more and below 1, is -0.1."),
        ("tune.parts=[tower]", "tune.parts: ['tower'] must be some of projector, language_model, newline."),
        ("tune.parts=[]", "tune.parts: [] must be some of projector, language_model, newline."),
        ("tune.lora.rank=4", "tune.lora adapts a frozen language model; take language_model out of tune.parts."),
        ("tune.lora.layers='('", "tune.lora.layers: no regular expression: missing )"),
        ("name=a/b", "name: 'a/b' names folders; use letters, digits and . _ - = + only."),
        ("trainer.accumulate_grad_batches=4", "follows from optim.batch_size and tune.at_once here."),
        ("questions.v={kind: vqa, path: x}", "questions.v.kind: 'vqa' is none of visa_dr, visa_dr_reasoning, mmad"),
        ("expect.a=[2, 1]", "expect.a: write [low, high], two numbers in this order, not [2.0, 1.0]."),
        ("tune.labls=x", "override 'tune.labls=x': tune.labls: no such key. Did you mean tune.labels?"),
        ("train.b={images: x}", "train.b.path: needs a value."),
        ("store.mode=never", "store: no such key."),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(override, message, experiment):
    with pytest.raises(UserError) as error:
        reasoning.load(experiment, [override])
    told = str(error.value)
    assert message in told and "\n" not in told
    assert str(experiment) in told or told.startswith("override ")


def test_without_a_model_there_is_nothing_to_tune(experiment):
    experiment.write_text(MINIMAL.replace("model: {path: /models/small}", ""))
    with pytest.raises(UserError, match=r"x\.yaml: model\.path: needs a value\."):
        reasoning.load(experiment, [])


def test_the_digest_follows_what_the_numbers_follow_from(experiment):
    def of(*overrides):
        return reasoning.digest(reasoning.load(experiment, list(overrides)))

    shown = ["out=/elsewhere", "workers=3", "trainer.enable_progress_bar=false", "checkpoint=c", "expect.a=[0, 1]"]
    shown += ["trainer.devices=8", "trainer.num_nodes=2"]
    assert of() == of(*shown)
    changed = ["seed=1", "tune.labels=published", "optim.grouped=false", "train.a.path=/b.json", "model.path=/other"]
    changed += ["tune.decode=fast", "tune.decode=draft", "answer.resize=fast"]
    assert len({of(), *map(of, changed)}) == 1 + len(changed)


def test_captions_are_told_where_they_are_shown():
    assert reasoning.answering(reasoning.AnswerConfig())["captions"] is True
    assert "captions" not in reasoning.answering(reasoning.AnswerConfig(captions=False))  # the published prompt


def test_the_exact_resize_is_not_told_so_that_digests_are_those_of_before_there_was_a_choice():
    assert "resize" not in reasoning.answering(reasoning.AnswerConfig())
    assert reasoning.answering(reasoning.AnswerConfig(resize="fast"))["resize"] == "fast"
