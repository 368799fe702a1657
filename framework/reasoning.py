"""The schema of a stage-2 experiment: tune the language model, then ask it about labelled sets. Loads no torch."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from framework.checks import HIGHEST_SEED, NOT_NEGATIVE, PRECISIONS
from framework.config import DataConfig, TrainerConfig
from framework.errors import UserError
from framework.reading import load_as, sha

STAGE = 2
PARTS = ("projector", "language_model", "newline")
KINDS = ("visa_dr", "visa_dr_reasoning", "mmad", "sdls")
LAYERS = r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
CHOICES = {
    "tune.labels": ("assistant", "published"),
    "tune.average": ("conversation", "token"),
    "tune.too_long": ("stop", "skip"),
    "tune.unreadable": ("stop", "skip"),
    "tune.decode": ("exact", "fast", "draft"),
    "answer.resize": ("exact", "fast"),
    "model.attention": ("sdpa", "eager", "flash_attention_2"),
    "model.dtype": ("auto", "float32", "bfloat16", "float16"),
    "trainer.precision": PRECISIONS,
}
POSITIVE = (
    "optim.lr",
    "optim.batch_size",
    "tune.at_once",
    "tune.max_length",
    "answer.max_new_tokens",
    "answer.views",
    "text.repeats",
    "test_batch_size",
    "tune.save_every",
    "trainer.max_epochs",
    "trainer.num_nodes",
)
ZERO_OR_MORE = (*NOT_NEGATIVE, "optim.projector_lr", "tune.lora.rank", "tune.lora.alpha")
SHARES = ("optim.warmup", "tune.lora.dropout")


@dataclass
class LanguageConfig:
    """The whole model."""

    path: str = MISSING  # folder that `anomaly-ov convert` wrote; for `test` also a tuned.safetensors
    dtype: str = "auto"  # of what is frozen; auto: bfloat16 under bf16 precision, else as saved
    attention: str = "sdpa"  # sdpa, eager, flash_attention_2


@dataclass
class ConversationConfig:
    """Instruction data in the published form."""

    path: str = MISSING  # .yaml with json_path and sampling_strategy, or one .json or .jsonl
    images: str = "."  # folder that the paths of pictures start from


@dataclass
class LoraConfig:
    """Low-rank adapters on the language model; what is adapted is frozen otherwise."""

    rank: int = 0  # 0: none
    alpha: float = 16.0
    dropout: float = 0.05
    layers: str = LAYERS  # regular expression that a module's whole name must match


@dataclass
class TuneConfig:
    """What is trained, and on which tokens."""

    parts: list[str] = field(default_factory=lambda: ["projector", "language_model", "newline"])  # all it can be
    lora: LoraConfig = field(default_factory=LoraConfig)
    labels: str = "assistant"  # assistant: answers; published: also headers, newlines and control tokens of all turns
    average: str = "conversation"  # each conversation counts the same, as published one a device; or each token
    max_length: int = 32768  # tokens of a conversation, pictures included
    too_long: str = "stop"  # or skip
    unreadable: str = "stop"  # a picture that cannot be opened, before or in mid-epoch; or skip
    decode: str = "exact"  # as published; fast: within 2 of 255; draft: so, large JPEGs read reduced, edges farther off
    at_once: int = 1  # conversations in one pass of a device; more are accumulated
    checkpointing: bool = True  # recompute activations in the backward pass: less memory, a third more time
    save_every: int = 1000  # optimiser steps between resumable checkpoints


@dataclass
class ReasonOptim:
    """How the model is tuned; the defaults are the published recipe."""

    lr: float = 1e-5  # AdamW
    projector_lr: float = 0.0  # of projector and newline; 0: the same
    weight_decay: float = 0.0
    batch_size: int = 128  # conversations in a step, over all devices together (paper; its scripts: 16 and 32)
    warmup: float = 0.03  # share of the steps
    grouped: bool = True  # conversations of like length in one batch


@dataclass
class AnswerConfig:
    """How sets under test are asked."""

    question: str = ""  # "": the published one, in the words of the domain
    max_new_tokens: int = 256  # longest answer
    views: int = 4  # most pictures of a cloud or scan, its most suspicious
    resize: str = "exact"  # of pictures, as published; fast: within 2 of 255
    captions: bool = True  # whether the model is told what the views of a cloud or scan show


@dataclass
class QuestionConfig:
    """A published set of questions."""

    kind: str = MISSING  # visa_dr (detection), visa_dr_reasoning, mmad, sdls
    path: str = MISSING  # its JSON file; of sdls its folder
    images: str = "."  # folder that the paths of pictures start from
    options: dict[str, Any] = field(default_factory=dict)  # of its reader, e.g. {templates: 1}, {references: key.json}


@dataclass
class TextConfig:
    """How free answers are compared with references, beside ROUGE-L."""

    similarity: str = ""  # sentence embeddings: hub name or folder, e.g. sentence-transformers/all-MiniLM-L6-v2
    judge: bool = False  # a language model judges: ANOMALY_OV_JUDGE_URL, _MODEL and _KEY say which
    repeats: int = 1  # judgements of each answer


@dataclass
class Reasoning:
    """An experiment of stage 2: tune on conversations, ask about labelled sets."""

    name: str = MISSING  # of the experiment, in rows and folder names
    stage: int = STAGE
    seed: int = 0
    model: LanguageConfig = field(default_factory=LanguageConfig)
    train: dict[str, ConversationConfig] = field(default_factory=dict)
    test: dict[str, DataConfig] = field(default_factory=dict)
    questions: dict[str, QuestionConfig] = field(default_factory=dict)
    tune: TuneConfig = field(default_factory=TuneConfig)
    text: TextConfig = field(default_factory=TextConfig)
    answer: AnswerConfig = field(default_factory=AnswerConfig)
    optim: ReasonOptim = field(default_factory=ReasonOptim)
    trainer: TrainerConfig = field(default_factory=lambda: TrainerConfig(max_epochs=1))
    checkpoint: str = ""  # for `test`: a tuned.safetensors, in place of model.path
    workers: int = 0  # processes that read pictures, per device
    test_batch_size: int = 8  # samples asked at once, per device
    out: str = "runs"  # folder that run folders are added to
    plugins: list[str] = field(default_factory=list)  # modules of other repositories to import
    expect: dict[str, list[float]] = field(default_factory=dict)  # "<test>.<level>_<metric>": [low, high]


def load(path: Path, overrides: list[str]) -> Reasoning:
    """As ``config.load``, of a file with ``stage: 2``."""
    found: Reasoning = load_as(Reasoning, path, overrides)
    _check(found, path)
    return found


def digest(config: Reasoning) -> str:
    """Sha256 of what the numbers follow from; batches and weights of conversations are the same on any devices."""
    plain, shown = (
        asdict(config) | {"answer": answering(config.answer)},
        ["enable_progress_bar", "devices", "num_nodes"],
    )
    return sha(plain, ("out", "workers", "expect", "checkpoint"), {"trainer": shown})


def answering(config: AnswerConfig) -> dict[str, Any]:
    """What answers follow from; what is as published is not told: hashes are those of before there was a choice."""
    published = {"resize": "exact", "captions": False}
    return {key: value for key, value in asdict(config).items() if published.get(key, ...) != value}


def _check(config: Reasoning, path: Path) -> None:
    if config.stage != STAGE:
        raise UserError(f"{path}: stage: this file is of stage {STAGE}, not {config.stage}.")
    values: dict[str, Any] = {}
    _flatten(asdict(config), "", values)
    for key, choices in CHOICES.items():
        if values[key] not in choices:
            raise UserError(f"{path}: {key}: {values[key]!r} is none of {', '.join(choices)}.")
    _check_numbers(values, path)
    for name, part in config.questions.items():
        if part.kind not in KINDS:
            raise UserError(f"{path}: questions.{name}.kind: {part.kind!r} is none of {', '.join(KINDS)}.")
    unknown = [part for part in config.tune.parts if part not in PARTS]
    if unknown or not config.tune.parts:
        raise UserError(f"{path}: tune.parts: {config.tune.parts} must be some of {', '.join(PARTS)}.")
    if config.tune.lora.rank and "language_model" in config.tune.parts:
        raise UserError(f"{path}: tune.lora adapts a frozen language model; take language_model out of tune.parts.")
    try:
        re.compile(config.tune.lora.layers)
    except re.error as error:
        raise UserError(f"{path}: tune.lora.layers: no regular expression: {error}.") from None
    if not re.fullmatch(r"[A-Za-z0-9][\w.=+-]*", config.name):
        raise UserError(f"{path}: name: {config.name!r} names folders; use letters, digits and . _ - = + only.")
    for key, bounds in config.expect.items():
        if len(bounds) != 2 or not bounds[0] <= bounds[1]:
            raise UserError(f"{path}: expect.{key}: write [low, high], two numbers in this order, not {bounds}.")
    if config.trainer.accumulate_grad_batches != 1:
        raise UserError(
            f"{path}: trainer.accumulate_grad_batches: follows from optim.batch_size and tune.at_once here."
        )


def _check_numbers(values: dict[str, Any], path: Path) -> None:
    """Signs and sizes of what is a number."""
    for key in POSITIVE:
        if not 0 < values[key] < math.inf:
            raise UserError(f"{path}: {key}: must be positive and finite, is {values[key]}.")
    for key in ZERO_OR_MORE:
        if not 0 <= values[key] < math.inf:
            raise UserError(f"{path}: {key}: must be 0 or more and finite, is {values[key]}.")
    for key in SHARES:
        if not 0 <= values[key] < 1:
            raise UserError(f"{path}: {key}: must be a share, 0 or more and below 1, is {values[key]}.")
    if values["seed"] > HIGHEST_SEED:
        raise UserError(f"{path}: seed: must be at most {HIGHEST_SEED}, is {values['seed']}.")


def _flatten(values: dict[str, Any], prefix: str, found: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", found)
        else:
            found[f"{prefix}{key}"] = value
