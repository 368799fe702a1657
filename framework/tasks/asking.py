"""A model and views of a sample -> what the expert sees in them, and answers to any number of questions about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import StoppingCriteria, TextStreamer

from framework.data import crops as cropping
from framework.errors import UserError
from framework.models.onevision import tuned
from framework.models.onevision.chat import Chat, Picture, Prompt, placed
from framework.models.onevision.configuration import ADVERBS
from framework.models.onevision.modeling import Encoded
from framework.tasks.job import usable
from framework.tasks.pooling import pool

POOL = "top3"  # view logits -> sample logit, as in stage 1
CROPS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """Views of one sample, encoded once.

    Attributes:
        logits: ``(V,)`` of every view.
        maps: of every view, ``(H, W)`` float32 in [0, 1], suspicion of its pixels.
        shown: which views the language model sees, in order.
        sizes: (height, width) of each of them.
        tokens: of each of them, ``(tokens, D)``.
        adverb: how suspicious the most suspicious of them is, in the words that the language model reads.
    """

    logits: Tensor
    maps: list[Tensor]
    shown: list[int]
    sizes: list[tuple[int, int]]
    tokens: list[Tensor]
    adverb: str

    @property
    def logit(self) -> float:
        """Of the sample."""
        return float(pool(self.logits, [len(self.logits)], POOL)[0])

    @property
    def score(self) -> float:
        """Of the sample, in [0, 1]."""
        return float(torch.tensor(self.logit, dtype=torch.float64).sigmoid())


class Asker:
    """Anomaly-OV, ready to be asked.

    Args:
        checkpoint: a model folder or a tuned checkpoint.
        device: torch device; "" chooses a GPU where there is one.
        dtype: "auto", "float32", "bfloat16" or "float16".
        views: most pictures of a sample that the language model sees.
        base: where the model of a tuned checkpoint lies, "" for where it lay.

    Raises:
        UserError: as ``tuned.load``, or a device this machine lacks, which is told before anything is loaded.
    """

    def __init__(self, checkpoint: Path, device: str = "", dtype: str = "auto", views: int = 4, base: str = "") -> None:
        if views < 1:
            raise UserError(f"views: the model must be shown 1 or more, not {views}.")
        self.device = usable(device)
        self.model, self.chat = tuned.load(checkpoint, dtype, base=base)
        self.views = views
        try:
            self.model.to(self.device)
        except torch.OutOfMemoryError:
            raise UserError(f"device {self.device}: no room for the model. Try --dtype bfloat16, or cpu.") from None

    @torch.inference_mode()
    def look(self, views: Sequence[np.ndarray], most: int | None = None) -> Seen:
        """Encode the views of a sample: a single one as crops, of several each as one padded square.

        Args:
            views: V of ``(3, H, W)`` uint8, of any sizes.
            most: how many the language model sees, the most suspicious; None for the asker's own number.
        """
        several = len(views) > 1
        pictures = [self.chat.picture(view, several) for view in views]
        parts = [self._encode(part, several) for part in _chunks(pictures)]
        logits = torch.cat([part.verdict.logits for part in parts]).float()
        crops = [m for part in parts for m in part.verdict.maps.split(part.crops)]
        cut = (self.chat.cut(several), self.chat.layout.canvas)
        maps = [
            cropping.merge(m, v.shape[1], v.shape[2], self.chat.size, *cut).clamp(0, 1)
            for m, v in zip(crops, views, strict=True)
        ]
        shown = sorted(logits.argsort(descending=True, stable=True)[: most or self.views].tolist())
        tokens = [t for part in parts for t in part.pooler_output]
        told = logits[shown].max()
        if several and len(shown) == 1:  # alone it is shown whole, as any single picture
            whole = self._encode([self.chat.picture(views[shown[0]], False)], False)
            tokens[shown[0]], told = whole.pooler_output[0], whole.verdict.logits[0]
        sizes = [pictures[i].size for i in shown]
        return Seen(logits, maps, shown, sizes, [tokens[i] for i in shown], self.adverb(float(told)))

    def adverb(self, logit: float) -> str:
        """How suspicious a picture of this logit is called."""
        ids = self.model.model.prefixes(torch.tensor([logit]))[0].tolist()
        return ADVERBS[self.model.config.prefix_token_ids.index(ids)]

    def opening(self, seen: Seen, question: str) -> str:
        """The first question with its pictures in front."""
        return placed(question, len(seen.shown))

    def prompt(self, seen: Seen, turns: Sequence[tuple[str, str | None]], max_new_tokens: int) -> Prompt:
        """One conversation as the model reads it; the answer of the last turn is None.

        Raises:
            UserError: with its pictures and an answer it does not fit into the model's context, a text holds a control
                token or is no Unicode, or it has more or fewer ``<image>`` than pictures.
        """
        try:
            "".join(question for question, _ in turns).encode()
        except UnicodeEncodeError:
            raise UserError("the question holds bytes that are no text in UTF-8. Take them out.") from None
        found = self.chat.encode(turns, seen.sizes)
        if len(found.ids) + max_new_tokens > self.chat.longest:
            raise UserError(
                f"{len(found.ids)} tokens and an answer of {max_new_tokens} do not fit into the {self.chat.longest} "
                "that the model can read. Show it fewer views, or begin a new conversation."
            )
        return found

    @torch.inference_mode()
    def answer(
        self,
        seen: Sequence[Seen],
        turns: Sequence[Sequence[tuple[str, str | None]]],
        max_new_tokens: int,
        stream: Callable[[str], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> list[str]:
        """The next answer of each of B conversations, greedy.

        Args:
            seen: what each is about.
            turns: of each; the answer of the last is None.
            max_new_tokens: longest answer.
            stream: called with each piece of the answer as it is made, of one conversation.
            stopped: asked after every token; True ends the answers with what was said.

        Raises:
            UserError: as ``prompt``.
        """
        prompts = [self.prompt(s, t, max_new_tokens) for t, s in zip(turns, seen, strict=True)]
        longest = max(len(p.ids) for p in prompts)
        batch = self.chat.batch(prompts, [], side="left")
        encoded = Encoded(pooler_output=[t for s in seen for t in s.tokens])
        streamer = _Streamer(self.chat, stream) if stream else None
        found = self.model.generate(
            input_ids=batch["input_ids"].to(self.device),
            attention_mask=batch["attention_mask"].to(self.device),
            mm_encoder_outputs={"image": encoded},
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=self.chat.end_id,
            pad_token_id=self.chat.tokenizer.pad_token_id,
            streamer=streamer,
            stopping_criteria=[_Stopping(stopped)] if stopped else None,
        )
        return [self.chat.text(ids) for ids in found[:, longest:]]

    def _encode(self, pictures: Sequence[Picture], several: bool) -> Encoded:
        """One pass of the tower."""
        crops = torch.from_numpy(np.concatenate([p.crops for p in pictures]))
        # a chunk of one is still of several; the library looks no further than the pictures there are
        counts = [max(2, len(pictures))] if several else [1] * len(pictures)
        return self.model.model.get_image_features(
            crops.to(self.device), torch.tensor([p.size for p in pictures]), batch_num_images=torch.tensor(counts)
        )


class _Streamer(TextStreamer):
    """Hands each piece of an answer on."""

    def __init__(self, chat: Chat, stream: Callable[[str], None]) -> None:
        super().__init__(chat.tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.stream = stream

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """As the library calls it."""
        self.stream(text)


class _Stopping(StoppingCriteria):
    """Ends all answers of a batch."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self.stopped = stopped

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        """``(B,)`` bool, as the library calls it."""
        return torch.full((len(input_ids),), self.stopped(), device=input_ids.device)


def _chunks(pictures: list[Picture]) -> list[list[Picture]]:
    return [pictures[i : i + CROPS_AT_ONCE] for i in range(0, len(pictures), CROPS_AT_ONCE)]
