"""Scored samples -> small pictures of the ones that are most wrong: view, map over it, truth."""

from __future__ import annotations

import io
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from framework.colours import overlay
from framework.types import Sample

KEPT = 8  # samples of a set
SIDE = 208  # longest side of a picture in pixels
EFFORT = 2  # of WebP, 0 to 6: half the time of its usual 4, and 2 to 4 % larger


class Gallery:
    """Keeps the samples whose score is furthest from their label; of equal ones those whose names come first.

    The order does not depend on when a sample is offered, so the galleries of two ranks, merged, are that of one.

    Args:
        tested_on: name of the set.
        domain: of the set.
    """

    def __init__(self, tested_on: str, domain: str) -> None:
        self.tested_on, self.domain = tested_on, domain
        self._worst: list[tuple[tuple[float, str, int], dict[str, Any]]] = []

    def offer(
        self,
        position: int,
        name: str,
        sample: Sample,
        maps: Sequence[Tensor],
        view: int,
        score: float,
        title: str | None = None,
    ) -> None:
        """Keep what its pictures are drawn from, in their size, if the sample is among the most wrong so far.

        Args:
            position: in the set.
            name: of the file, relative to the set's root.
            sample: with its views.
            maps: V of ``(H, W)`` float32 in [0, 1].
            view: the one to show.
            score: of the sample, in [0, 1].
            title: what a person calls the sample; None: its file. The caption of the view follows it.
        """
        record = sample.record
        wrongness = abs(score - float(record.anomalous))
        key = (-wrongness, name, position)
        if len(self._worst) == KEPT and key > self._worst[-1][0]:
            return
        picture = _small(sample.views[view].transpose(1, 2, 0))
        truth = _truth_of_view(sample, view)
        item = {
            "tested_on": self.tested_on,
            "domain": self.domain,
            "id": name,
            "category": record.category,
            "label": record.anomalous,
            "defect": record.defect,
            "score": score,
            "wrongness": wrongness,
            "title": ", ".join([title or record.path.name, *filter(None, sample.captions[view : view + 1])]),
            "view": picture,
            "overlay": _shrunk(torch.as_tensor(maps[view]).cpu(), picture),
            "truth": None if truth is None else _shrunk(torch.from_numpy(np.ascontiguousarray(truth)).float(), picture),
        }
        self._worst = sorted([*self._worst, (key, item)], key=itemgetter(0))[:KEPT]

    def items(self) -> list[dict[str, Any]]:
        """The kept samples, most wrong first, with their pictures: only these are drawn and packed."""
        return [_drawn(item) for _, item in self._worst]


def _drawn(item: dict[str, Any]) -> dict[str, Any]:
    """A kept sample with its three pictures in the place of what they are made of."""
    picture, share = item["view"], item["truth"]
    return item | {
        "view": _webp(picture),
        "overlay": _webp(overlay(picture, item["overlay"])),
        "truth": None if share is None else _webp(_outlined(picture, share)),
    }


def _truth_of_view(sample: Sample, view: int) -> np.ndarray | None:
    """``(H, W)`` bool, which pixels of a view show an anomalous element."""
    if sample.truth is None:
        return None
    if sample.back is not None:
        return sample.back.show(sample.truth, view)
    if sample.owner is None:
        return sample.truth.reshape(sample.views[:, 0].shape)[view]
    owner = sample.owner[view]
    return sample.truth[owner] & (owner >= 0)


def _outlined(picture: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The picture, darker, with the anomalous region at full strength; ``share`` of each pixel is in it."""
    return (picture * (0.35 + 0.65 * share[..., None])).astype(np.uint8)


def _small(picture: np.ndarray) -> np.ndarray:
    """A picture in the size it is kept in: to draw in full size and then shrink takes longer than all else."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((SIDE, SIDE))
    return np.asarray(image)


def _shrunk(values: Tensor, picture: np.ndarray) -> np.ndarray:
    """``(H, W)`` float32 of a view -> their means over the pixels of the small picture."""
    if values.shape == picture.shape[:2]:
        return values.numpy()
    return interpolate(values[None, None], picture.shape[:2], mode="area")[0, 0].numpy()


def _webp(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=80, method=EFFORT)
    return buffer.getvalue()
