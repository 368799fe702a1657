"""A model and views of samples -> what the expert sees in each sample, encoded once for any number of questions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from torch import Tensor

from framework.data import crops as cropping
from framework.models.onevision.chat import Chat, Picture
from framework.models.onevision.configuration import ADVERBS
from framework.models.onevision.encoding import Encoded
from framework.models.onevision.modeling import AnomalyOV
from framework.tasks.pooling import pool

POOL = "top3"  # view logits -> sample logit, as in stage 1
CUTTERS = 8  # most threads that cut samples; Pillow lets them run side by side


@dataclass(frozen=True, slots=True)
class Maps(Sequence[Tensor]):
    """Of every view ``(H, W)`` float32 in [0, 1], suspicion of its pixels; each is merged when it is asked for.

    Attributes:
        crops: of each view, ``(K, rows, columns)`` in [0, 1].
        sizes: (height, width) of each view in pixels.
        size: side of a crop in pixels.
        mode: how the views were cut, see ``crops.cut``.
        canvas: most tiles a side.
    """

    crops: list[Tensor]
    sizes: list[tuple[int, int]]
    size: int
    mode: str
    canvas: int

    def __len__(self) -> int:
        return len(self.crops)

    @overload
    def __getitem__(self, at: int) -> Tensor: ...
    @overload
    def __getitem__(self, at: slice) -> list[Tensor]: ...
    def __getitem__(self, at: int | slice) -> Tensor | list[Tensor]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        return cropping.merge(self.crops[at], *self.sizes[at], self.size, self.mode, self.canvas).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class Seen:
    """Views of one sample, encoded once.

    Attributes:
        logits: ``(V,)`` float32 of every view, on the CPU.
        maps: of every view, ``(H, W)`` float32 in [0, 1], suspicion of its pixels.
        shown: which views the language model sees, in order.
        sizes: (height, width) of each of them.
        tokens: of each of them, ``(tokens, D)``.
        adverb: how suspicious the most suspicious of them is, in the words that the language model reads.
    """

    logits: Tensor
    maps: Sequence[Tensor]
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


@dataclass(frozen=True, slots=True)
class _Cut:
    """Views of one sample as the tower will see them.

    Attributes:
        pictures: of each.
        sizes: (height, width) of each.
        views: themselves, where one of several will be shown, which then is cut again; else none.
    """

    pictures: list[Picture]
    sizes: list[tuple[int, int]]
    views: Sequence[np.ndarray]


@dataclass(frozen=True, slots=True)
class _View:
    """One view encoded: its logit, the maps of its crops ``(K, rows, columns)`` and its tokens ``(tokens, D)``."""

    logit: float
    maps: Tensor
    tokens: Tensor


@torch.inference_mode()
def look_all(
    model: AnomalyOV, chat: Chat, samples: Iterable[Sequence[np.ndarray]], most: int, fast: bool = False
) -> list[Seen]:
    """Encode the views of B samples: a single one as crops, of several each as one padded square.

    The tower runs over crops of all samples together. Samples are cut as they come, by several threads, and what is
    held of them are their crops.

    Args:
        model: on its device.
        chat: of the model.
        samples: of each, V of ``(3, H, W)`` uint8, of any sizes.
        most: how many of each the language model sees, the most suspicious.
        fast: whether views are cut in the fast way of ``crops.cut``.
    """
    with ThreadPoolExecutor(min(CUTTERS, os.cpu_count() or 1)) as pool:
        cut = list(pool.map(lambda views: _cut(chat, views, most, fast), samples))
    views = _encode_all(model, [c.pictures for c in cut])
    logits = [torch.tensor([view.logit for view in found]) for found in views]
    shown = [sorted(each.argsort(descending=True, stable=True)[:most].tolist()) for each in logits]
    alone = [[chat.picture(c.views[at[0]], False, fast)] for c, at in zip(cut, shown, strict=True) if c.views]
    again = iter(_encode_all(model, alone))  # alone it is shown whole, as any single picture
    seen = []
    for c, found, each, at in zip(cut, views, logits, shown, strict=True):
        told = next(again) if c.views else [found[i] for i in at]
        maps = Maps([v.maps for v in found], c.sizes, chat.size, chat.cut(len(found) > 1), chat.layout.canvas)
        highest = adverb(model, float(torch.tensor([v.logit for v in told]).max()))
        seen.append(Seen(each, maps, at, [c.pictures[i].size for i in at], [v.tokens for v in told], highest))
    return seen


def adverb(model: AnomalyOV, logit: float) -> str:
    """How suspicious a picture of this logit is called."""
    ids = model.model.prefixes(torch.tensor([logit]))[0].tolist()
    return ADVERBS[model.config.prefix_token_ids.index(ids)]


def encode(model: AnomalyOV, pictures: Sequence[Picture], alone: int) -> Encoded:
    """One pass of the tower over pictures, of which the first ``alone`` are alone and the others some of several."""
    crops = torch.from_numpy(np.concatenate([p.crops for p in pictures]))
    several = len(pictures) - alone
    # The others as if of one sample. One is still of several; the library looks no further than the pictures there are.
    counts = [1] * alone + [max(2, several)] * (several > 0)
    return model.model.get_image_features(
        crops.to(model.device), torch.tensor([p.size for p in pictures]), batch_num_images=torch.tensor(counts)
    )


def _cut(chat: Chat, views: Sequence[np.ndarray], most: int, fast: bool) -> _Cut:
    several = len(views) > 1
    pictures = [chat.picture(view, several, fast) for view in views]
    sizes = [(view.shape[1], view.shape[2]) for view in views]
    return _Cut(pictures, sizes, views if several and most == 1 else ())


def _encode_all(model: AnomalyOV, samples: Sequence[Sequence[Picture]]) -> list[list[_View]]:
    """What tower and expert make of the pictures of each sample, by few passes over those of all."""
    pictures = [(picture, len(sample) == 1) for sample in samples for picture in sample]
    found: dict[int, _View] = {}
    order = sorted(range(len(pictures)), key=lambda i: not pictures[i][1])  # those alone first, as ``encode`` wants
    for part in _parts(order, [len(picture.crops) for picture, _ in pictures], cropping.AT_ONCE[model.device.type]):
        encoded = encode(model, [pictures[i][0] for i in part], sum(pictures[i][1] for i in part))
        assert encoded.verdict is not None and encoded.crops is not None
        logits, maps = encoded.verdict.logits.float().tolist(), encoded.verdict.maps.split(encoded.crops)
        found |= dict(zip(part, map(_View, logits, maps, encoded.pooler_output), strict=True))
    views = iter([found[i] for i in range(len(pictures))])
    return [[next(views) for _ in sample] for sample in samples]


def _parts(order: Sequence[int], crops: Sequence[int], most: int) -> list[list[int]]:
    """Pictures in their order, each part of at most ``most`` crops or of one picture."""
    parts: list[list[int]] = []
    room = 0
    for i in order:
        if crops[i] > room:
            parts.append([])
            room = most
        parts[-1].append(i)
        room -= crops[i]
    return parts
