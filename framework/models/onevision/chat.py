"""Turns of a conversation and its pictures -> token ids and labels; a batch of them -> the model's inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import AddedToken
from torch import Tensor

from framework.data import crops
from framework.errors import UserError
from framework.models.backbones.sources import hush, one_line
from framework.models.onevision.configuration import ADVERBS, PREFIX, AnomalyOVConfig, canvas
from framework.models.onevision.layout import IGNORED, Layout

IMAGE, START, END = "<image>", "<|im_start|>", "<|im_end|>"
SYSTEM = "You are a helpful assistant."
MODES = ("assistant", "published")
TEMPLATE = (  # what <|im_end|> follows is inside the generation block: a model must learn to stop
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n" + SYSTEM + "<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{% set text = message['content'] %}{% else %}{% set text %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endset %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ text + '<|im_end|>\n' }}{% endgeneration %}"
    "{% else %}{{ text + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as the language model reads it.

    Attributes:
        ids: token ids; a picture stands as a run of the picture token.
        labels: the same where a token is learned from, else ``IGNORED``.
        pictures: how many pictures it shows.
    """

    ids: list[int]
    labels: list[int]
    pictures: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One view as the tower sees it.

    Attributes:
        crops: ``(K, 3, S, S)`` uint8.
        size: (height, width) in pixels, the longest side limited to 1024.
    """

    crops: np.ndarray
    size: tuple[int, int]


class Chat:
    """Qwen's chat format with the published picture rules.

    Args:
        tokenizer: fast, with the tokens ``<image>``, ``<|im_start|>`` and ``<|im_end|>``.
        config: of the model.

    Raises:
        UserError: the tokenizer lacks one of these tokens or has other ids for ``<image>`` than the model.
    """

    def __init__(self, tokenizer: Any, config: AnomalyOVConfig) -> None:
        self.tokenizer = tokenizer
        vision = config.vision_config
        self.size = vision.image_size
        self.layout = Layout(self.size, self.size // vision.patch_size, len(config.prefix_token_ids[0]), canvas(config))
        self.image_id = config.image_token_index
        self.longest = config.text_config.max_position_embeddings
        self.special = [token for token in tokenizer.get_added_vocab() if token.startswith("<")]
        for token in (IMAGE, START, END):
            if token not in self.special:
                raise UserError(f"tokenizer: has no token {token}. Use the tokenizer of the checkpoint.")
        if tokenizer.convert_tokens_to_ids(IMAGE) != self.image_id:
            raise UserError(f"tokenizer: {IMAGE} has another id than the model's image_token_index {self.image_id}.")
        self.end_id: int = tokenizer.convert_tokens_to_ids(END)
        self._everywhere = {*self._ids("\n"), *self._ids(START), self.end_id}

    def cut(self, several: bool, fast: bool = False) -> str:
        """How ``crops.cut`` cuts a picture: "anyres" where it stands alone and the model has tiles, else "square"."""
        return ("anyres" if self.layout.canvas and not several else "square") + (crops.FAST if fast else "")

    def picture(self, view: np.ndarray, several: bool, fast: bool = False) -> Picture:
        """Cut a view ``(3, H, W)`` uint8; of several pictures in a conversation each is one padded square.

        Fast crops are within 2 of 255 of those that are as published.
        """
        return Picture(
            crops.cut(view, self.size, self.cut(several, fast), self.layout.canvas),
            crops.capped(*view.shape[1:]),
        )

    def encode(
        self, turns: Sequence[tuple[str, str | None]], sizes: Sequence[tuple[int, int]], labels: str = "assistant"
    ) -> Prompt:
        """Token ids and labels of a conversation.

        Args:
            turns: question and answer; the answer of the last may be None, which asks for it.
            sizes: (height, width) of each picture, in the order of the ``<image>`` in the questions.
            labels: "assistant": answers and the ``<|im_end|>`` after them. "published": as ``preprocess_qwen`` of
                LLaVA-NeXT, also their headers, and every newline, ``<|im_start|>`` and ``<|im_end|>`` of all turns.

        Raises:
            UserError: the placeholders are not as many as the pictures, or a text holds a control token.
        """
        ids: list[int] = []
        kept: list[int] = []
        for token, count, learned in self._runs(turns, sizes, labels):
            ids += [token] * count
            kept += [token if learned else IGNORED] * count
        return Prompt(ids, kept, len(sizes))

    def measure(
        self, turns: Sequence[tuple[str, str | None]], sizes: Sequence[tuple[int, int]], labels: str = "assistant"
    ) -> tuple[int, int]:
        """How many tokens ``encode`` would give, and of how many of them a model would learn."""
        tokens = learnt = 0
        for _, count, learned in self._runs(turns, sizes, labels):
            tokens, learnt = tokens + count, learnt + count * learned
        return tokens, learnt

    def _runs(
        self, turns: Sequence[tuple[str, str | None]], sizes: Sequence[tuple[int, int]], labels: str
    ) -> Iterator[tuple[int, int, bool]]:
        """Token id, how often it stands, and whether it is learned."""
        found = sum(question.count(IMAGE) for question, _ in turns)
        if found != len(sizes):
            raise UserError(f"a conversation of {len(sizes)} pictures has {found} {IMAGE}. Write one a picture.")
        counts = iter([self.layout.tokens(*size, several=len(sizes) > 1) for size in sizes])
        for role, text, answer in _messages(turns):
            self._check(text, IMAGE if role == "user" else "")
            head = f"{START}{role}\n"
            tail = f"{END}\n" if answer is not None else ""
            piece = self.tokenizer(head + text + tail, add_special_tokens=False, return_offsets_mapping=True)
            first, stop = (len(head), len(head) + len(text) + len(END)) if labels == "assistant" else (0, math.inf)
            for token, (start, _) in zip(piece["input_ids"], piece["offset_mapping"], strict=True):
                learned = role == "assistant" and bool(tail) and first <= start < stop
                learned = learned or (labels == "published" and token in self._everywhere)
                yield token, next(counts) if token == self.image_id else 1, learned

    def batch(self, prompts: Sequence[Prompt], pictures: Sequence[Picture], side: str = "right") -> dict[str, Tensor]:
        """Inputs of the model for B prompts and their pictures end to end, padded on ``side``."""
        longest = max(len(p.ids) for p in prompts)
        shape = len(prompts), longest
        ids = torch.full(shape, self.tokenizer.pad_token_id)
        labels, mask = torch.full(shape, IGNORED), torch.zeros(shape, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            start = longest - len(prompt.ids) if side == "left" else 0
            place = row, slice(start, start + len(prompt.ids))
            ids[place], labels[place], mask[place] = torch.tensor(prompt.ids), torch.tensor(prompt.labels), 1
        found = {"input_ids": ids, "labels": labels, "attention_mask": mask}
        if pictures:
            found["pixel_values"] = torch.from_numpy(np.concatenate([p.crops for p in pictures]))
            found["image_sizes"] = torch.tensor([p.size for p in pictures])
            found["batch_num_images"] = torch.tensor([p.pictures for p in prompts if p.pictures])
        return found

    def text(self, ids: Sequence[int] | Tensor) -> str:
        """Generated ids -> the answer, control tokens left out."""
        found: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return found.strip()

    def _check(self, text: str, allowed: str) -> None:
        for token in self.special:
            if token != allowed and token in text:
                raise UserError(f"the text {text[:40]!r} holds the control token {token}. Take it out.")

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found


def placed(question: str, pictures: int) -> str:
    """The question with one ``<image>`` a picture in front, each on its line, as published."""
    return f"{IMAGE}\n" * pictures + question


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder, with the picture token and our chat template.

    Raises:
        UserError: the folder holds none that can be read.
    """
    try:
        with hush():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder}: holds no tokenizer that can be read ({one_line(error)}).") from None
    if IMAGE not in tokenizer.get_added_vocab():
        tokenizer.add_tokens([AddedToken(IMAGE, special=True, normalized=False)], special_tokens=True)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def prefix_ids(tokenizer: Any) -> list[list[int]]:
    """Token ids of the text before the anomaly tokens: slightly, moderately, highly suspicious."""
    return [tokenizer(PREFIX.format(adverb), add_special_tokens=False)["input_ids"] for adverb in ADVERBS]


def _messages(turns: Sequence[tuple[str, str | None]]) -> list[tuple[str, str, str | None]]:
    """Role, text, and None where the text is still to be written."""
    found: list[tuple[str, str, str | None]] = [("system", SYSTEM, SYSTEM)]
    for question, answer in turns:
        found += [("user", question, question), ("assistant", answer or "", answer)]
    return found
