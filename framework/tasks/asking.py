"""A model and views of samples -> what the expert sees in them, and answers to any number of questions about them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import StoppingCriteria, TextStreamer

from framework.data.questions.words import captioned
from framework.errors import UserError
from framework.models.onevision import tuned
from framework.models.onevision.chat import Chat, Prompt, placed
from framework.models.onevision.encoding import Encoded
from framework.tasks import seeing
from framework.tasks.devices import usable
from framework.tasks.seeing import Seen

EVERY = sys.maxsize  # views: the model is shown all
PROMPTS = 64  # conversations whose tokens are remembered; one question about many pictures of one size is one


class Asker:
    """Anomaly-OV, ready to be asked.

    Args:
        checkpoint: a model folder or a tuned checkpoint.
        device: torch device; "" chooses a GPU where there is one.
        dtype: "auto", "float32", "bfloat16" or "float16".
        views: most pictures of a sample that the language model sees.
        base: where the model of a tuned checkpoint lies, "" for where it lay.
        attention: of transformers: "sdpa", "eager", "flash_attention_2".
        fast: whether views are cut in the fast way of ``crops.cut``.
        captions: whether it is told what each picture shows, where a domain says so; else the prompt is as published.

    Raises:
        UserError: as ``tuned.load``, or a device this machine lacks, which is told before anything is loaded.
    """

    def __init__(
        self,
        checkpoint: Path,
        device: str = "",
        dtype: str = "auto",
        views: int = 4,
        base: str = "",
        attention: str = "sdpa",
        fast: bool = False,
        captions: bool = True,
    ) -> None:
        if views < 1:
            raise UserError(f"views: the model must be shown 1 or more, not {views}.")
        self.device = usable(device)
        self.model, self.chat = tuned.load(checkpoint, dtype, attention, base)
        if attention.startswith("flash") and (self.device.type == "cpu" or self.model.dtype == torch.float32):
            raise UserError(
                f"attention {attention!r}: works on a GPU in bfloat16 or float16, not in {self.model.dtype} on "
                f"{self.device}. Set model.dtype=bfloat16, or model.attention=sdpa."
            )
        self.views, self.fast, self.captions = views, fast, captions
        self._encoded = lru_cache(PROMPTS)(self.chat.encode)
        try:
            self.model.to(self.device)
        except torch.OutOfMemoryError:
            raise UserError(f"device {self.device}: no room for the model. Try --dtype bfloat16, or cpu.") from None

    def look(self, views: Sequence[np.ndarray], most: int | None = None) -> Seen:
        """As ``look_all``, of one sample."""
        return self.look_all([views], most)[0]

    def look_all(self, samples: Iterable[Sequence[np.ndarray]], most: int | None = None) -> list[Seen]:
        """Encode the views of B samples, see ``seeing.look_all``.

        Args:
            samples: of each, V of ``(3, H, W)`` uint8, of any sizes.
            most: how many of each the language model sees, the most suspicious; None for the asker's own number.

        Raises:
            UserError: the device has not enough memory.
        """
        with self._room("look"):
            return seeing.look_all(self.model, self.chat, samples, most or self.views, self.fast)

    def opening(self, seen: Seen, question: str, captions: Sequence[str] = ()) -> str:
        """The first question with its pictures in front, and between them what each shows.

        Args:
            seen: the pictures.
            question: what is asked.
            captions: of all V views, or none.
        """
        told = [captions[i] for i in seen.shown] if captions and self.captions else ()
        return placed(captioned(question, told), len(seen.shown))

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
        found = self._encoded(tuple(turns), tuple(seen.sizes))
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
            UserError: as ``prompt``, or the device has not enough memory.
        """
        prompts = [self.prompt(s, t, max_new_tokens) for t, s in zip(turns, seen, strict=True)]
        longest = max(len(p.ids) for p in prompts)
        batch = self.chat.batch(prompts, [], side="left")
        encoded = Encoded(pooler_output=[t for s in seen for t in s.tokens])
        streamer = _Streamer(self.chat, stream) if stream else None
        with self._room("answer"):
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

    @contextmanager
    def _room(self, what: str) -> Iterator[None]:
        """A device whose memory is full is told in one line."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise UserError(
                f"device {self.device}: no room to {what}. Ask about fewer samples at once (test_batch_size), show "
                "fewer views (answer.views, --views), or take bfloat16 (model.dtype, --dtype)."
            ) from None


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
