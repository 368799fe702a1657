"""Conversations and a chat -> batches for Lightning: measured beforehand, grouped by length, the same on any ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from framework.data.decoding import pixels_of, size_of
from framework.data.instruct.conversations import Conversation
from framework.data.sampling import Key
from framework.errors import UnreadableError, UserError
from framework.models.onevision.chat import Chat, Prompt
from framework.models.onevision.layout import IGNORED
from framework.progress import say, track

MEND = "Mend it, or leave such out with tune.unreadable=skip."
GROUPED = 50  # batches whose conversations are sorted by length together


@dataclass(frozen=True, slots=True)
class Measured:
    """A conversation that will be trained on.

    Attributes:
        talk: the conversation.
        sizes: (height, width) of its pictures.
        tokens: of its prompt.
        learned: of these, how many a model learns from.
    """

    talk: Conversation
    sizes: tuple[tuple[int, int], ...]
    tokens: int
    learned: int


def measure(
    talks: Sequence[Conversation], chat: Chat, labels: str, longest: int, too_long: str, unreadable: str = "stop"
) -> list[Measured]:
    """Look at every picture's header and count every conversation's tokens, before any training.

    Args:
        talks: conversations.
        chat: of the model.
        labels: "assistant" or "published".
        longest: most tokens of a conversation.
        too_long: "stop" or "skip", what to do with longer ones.
        unreadable: "stop" or "skip", what to do with those whose picture has no header that can be read.

    Raises:
        UnreadableError: a picture whose header cannot be read, or of none it can.
        UserError: conversations that do not fit, with their count; or a text that cannot be encoded.
    """
    limit = min(longest, chat.longest)
    found: list[Measured] = []
    over, most, broken = 0, 0, ""
    for talk in track(talks, len(talks), "measuring conversations"):
        try:
            sizes = tuple(size_of(path) for path in talk.images)
            tokens, learned = chat.measure(talk.turns, sizes, labels)
        except UnreadableError as error:
            broken = f"{talk.origin}: {error}"
            if unreadable == "stop":
                raise UnreadableError(f"{broken} {MEND}") from None
            say(f"left out {broken}")
            continue
        except UserError as error:
            raise type(error)(f"{talk.origin}: {error}") from None
        if tokens > limit:
            over, most = over + 1, max(most, tokens)
            continue
        found.append(Measured(talk, sizes, tokens, learned))
    if broken and not (found or over):
        raise UnreadableError(f"{broken} There is nothing else to train on.")
    if over:
        told = f"{over} of {len(talks)} conversations need more than {limit} tokens, up to {most}"
        if too_long == "stop" or not found:
            fits = f"tune.max_length={most}" if most <= chat.longest else "fewer or smaller pictures"
            raise UserError(f"{told}. Use {fits}, or tune.too_long=skip to leave them out.")
        say(f"{told}: left out")
    return found


class Talks(Dataset[dict[str, Any]]):
    """Conversations with their pictures cut, by position and weight.

    Args:
        measured: what to train on.
        chat: of the model.
        labels: "assistant" or "published".
        unreadable: "stop", or "skip": a conversation whose picture breaks in mid-epoch is named and teaches nothing.
        decode: "exact"; "fast": cut in the fast way of ``crops.cut``; "draft": read as a draft, too (``pixels_of``).
    """

    def __init__(
        self, measured: Sequence[Measured], chat: Chat, labels: str, unreadable: str, decode: str = "exact"
    ) -> None:
        self.measured, self.chat, self.labels, self.unreadable = measured, chat, labels, unreadable
        self.decode = decode

    def __len__(self) -> int:
        return len(self.measured)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        position, weight = key
        found = self.measured[position]
        prompt = self.chat.encode(found.talk.turns, found.sizes, self.labels)
        try:
            views = [pixels_of(path, draft=self.decode == "draft") for path in found.talk.images]
        except UnreadableError as error:
            if self.unreadable == "stop":
                raise UnreadableError(f"{found.talk.origin}: {error} {MEND}") from None
            say(f"left out {found.talk.origin}: {error}")
            views = [np.zeros((3, *size), np.uint8) for size in found.sizes]
            prompt, weight = Prompt(prompt.ids, [IGNORED] * len(prompt.ids), prompt.pictures), 0.0
        fast = self.decode != "exact"
        pictures = [self.chat.picture(view, several=len(views) > 1, fast=fast) for view in views]
        return {"prompt": prompt, "pictures": pictures, "weight": weight}


class GroupedBatches(Sampler[list[Key]]):
    """Micro-batches of one rank: R ranks times as many as accumulate make one batch, the same on any number of ranks.

    Conversations are shuffled; every ``GROUPED`` batches are sorted by length among themselves, then batches shuffled
    again, so that a batch pads little. Ranks take equal counts: where a batch does not divide, its first conversation
    stands in with weight 0.

    The weight of a conversation is its share in the loss of its batch: all sum to 1 over ranks and accumulation.

    Args:
        measured: what to train on.
        batch_size: conversations in a step.
        at_once: conversations in a micro-batch.
        seed: of the shuffle.
        rank: of this process.
        ranks: how many processes there are.
        grouped: whether to sort by length.
        average: "conversation" or "token", what counts the same.
        start: epoch, and how many micro-batches of it are done already.
    """

    def __init__(
        self,
        measured: Sequence[Measured],
        batch_size: int,
        at_once: int,
        seed: int,
        rank: int,
        ranks: int,
        grouped: bool,
        average: str,
        start: Callable[[], tuple[int, int]],
    ) -> None:
        self.learned = [m.learned for m in measured]
        self.lengths = [m.tokens for m in measured]
        self.batch_size, self.at_once, self.seed = batch_size, at_once, seed
        self.rank, self.ranks, self.grouped, self.average, self.start = rank, ranks, grouped, average, start

    @property
    def accumulate(self) -> int:
        """Micro-batches of a rank in one step."""
        return math.ceil(min(self.batch_size, len(self.lengths)) / (self.ranks * self.at_once))

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size) * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, done = self.start()
        for number, batch in enumerate(self._batches(epoch)):
            if (number + 1) * self.accumulate > done:
                yield from list(self._mine(batch))[max(0, done - number * self.accumulate) :]

    def _batches(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        if self.grouped:
            width = GROUPED * self.batch_size
            groups = [order[i : i + width] for i in range(0, len(order), width)]
            order = [i for group in groups for i in sorted(group, key=lambda i: -self.lengths[i])]
        batches = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

    def _mine(self, batch: list[int]) -> Iterator[list[Key]]:
        total = sum(self.learned[i] for i in batch) if self.average == "token" else len(batch)
        mine = [
            (i, (self.learned[i] if self.average == "token" else 1) / total) for i in batch[self.rank :: self.ranks]
        ]
        mine += [(batch[0], 0.0)] * (self.accumulate * self.at_once - len(mine))
        for i in range(0, len(mine), self.at_once):
            yield mine[i : i + self.at_once]


class Together:
    """Items of ``Talks`` -> inputs of the model and ``weight`` ``(B,)``, in a form that workers can be sent."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        pictures = [picture for item in items for picture in item["pictures"]]
        batch = self.chat.batch([item["prompt"] for item in items], pictures)
        return batch | {"weight": torch.tensor([item["weight"] for item in items])}


def loader(data: Talks, batches: GroupedBatches, workers: int) -> DataLoader[Any]:
    """A loader whose every micro-batch the sampler names."""
    return DataLoader(
        data,
        batch_sampler=batches,
        collate_fn=Together(data.chat),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
