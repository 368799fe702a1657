"""Crops -> verdicts -> suspicion of every native element, through the crops of a view and the views of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from framework.data import crops as cropping
from framework.lift import lift
from framework.models.experts import traits
from framework.types import Batch, Features, Grid, Sample, Verdict

OWN, HIGHEST, TOP, HALVES = "own", "max", "top1%", "half_max_half_own"
TOP_PART = 100  # the highest 1 % of the pixels of a view are one in so many, rounded up


@dataclass(frozen=True, slots=True)
class Scoring:
    """What is done to maps and scores of views after the expert; see ``ModelConfig`` for the three fields."""

    smooth: float = 0.0
    smooth_on: int = 0
    score: str = OWN

    @property
    def words(self) -> str:
        """For a row's protocol and its method; "" where nothing is done."""
        on = f" of a map of {self.smooth_on}" if self.smooth_on else ""
        smoothed = f"maps smoothed by a Gaussian of {self.smooth:g} px{on}" if self.smooth else ""
        named = {OWN: "", HIGHEST: "the highest of its map", TOP: "the mean of the highest 1 % of its map"}
        score = named.get(self.score, "half the highest of its map, half its own probability")
        return ", ".join(filter(None, [smoothed, f"a view's score {score}" if score else ""]))


PLAIN = Scoring()


@torch.no_grad()
def judge(backbone: nn.Module, expert: nn.Module, batch: Batch, size: int, mode: str, named: bool = True) -> Verdict:
    """The expert's verdict on all crops of a batch without gradients, a few whole views at a time.

    So what a scan of 300 slices takes is what a few of them take: the features of one crop can be 10 MB.

    Args:
        backbone: frozen, on the device to compute on.
        expert: on the same.
        batch: with ``features``, ``pixels`` or ``samples``.
        size: side of a crop in pixels.
        mode: "base" or "anyres", how the views are cut.
        named: whether the samples' category says what they show, for an expert that wants to know.
    """
    known, parts, names = traits.of(expert), [], list[str]()
    if known.categories:
        owners = [sample for sample, count in zip(batch.samples, batch.views, strict=True) for _ in range(count)]
        names = [owner.record.category if named else "" for owner in owners]
    for start, end, seen in looked(backbone, batch, size, mode, known.reads):
        more = (names[start:end],) if known.categories else ()
        parts.append(expert(seen, batch.crops[start:end], *more))
    return parts[0] if len(parts) == 1 else joined(parts)


def looked(
    backbone: nn.Module, batch: Batch, size: int, mode: str, reads: str = "features"
) -> Iterator[tuple[int, int, Features | Tensor]]:
    """What an expert takes of a batch, a few whole views at a time: views [start, end) and their features.

    Args:
        backbone: as in ``judge``.
        batch: as in ``judge``.
        size: as in ``judge``.
        mode: as in ``judge``.
        reads: "features", or "pixels" for ``(n, 3, S, S)`` uint8 crops in their place.
    """
    if batch.features is not None:
        yield 0, len(batch.crops), batch.features
        return
    device = next(backbone.parameters()).device
    for start, end in _spans(batch.crops, cropping.AT_ONCE[device.type]):
        pixels = _pixels(batch, start, end, size, mode).to(device, non_blocking=True)
        yield start, end, backbone(pixels) if reads == "features" else pixels


def joined(parts: Sequence[Verdict]) -> Verdict:
    """Verdicts on views that lie end to end as one."""
    return Verdict(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Verdict)))


def _spans(crops: list[int], most: int) -> Iterator[tuple[int, int]]:
    """Views [start, end), as many as have at most so many crops together, at least one."""
    start, count = 0, 0
    for view, own in enumerate(crops):
        if view > start and count + own > most:
            yield start, view
            start, count = view, 0
        count += own
    yield start, len(crops)


def _pixels(batch: Batch, start: int, end: int, size: int, mode: str) -> Tensor:
    """``(n, 3, S, S)`` uint8, the crops of the views [start, end) of a batch."""
    if batch.pixels is not None:
        return batch.pixels[sum(batch.crops[:start]) : sum(batch.crops[:end])]
    found, first = [], 0
    for sample in batch.samples:
        views = sample.views[max(0, start - first) : max(0, end - first)]
        found += [cropping.cut(view, size, mode) for view in views]
        first += len(sample.views)
    return torch.from_numpy(np.concatenate(found))


class ViewMaps(Sequence[Tensor]):
    """Crop maps of one sample as a map ``(H, W)`` float32 in [0, 1] for each view, merged when it is asked for.

    Of a scan of 300 slices the crop maps take a few MB, the maps of all views hundreds. The last one is kept, so that
    of a photograph, which is lifted, scored and shown, there is but one merge; nobody writes to it.

    Args:
        maps: ``(sum(crops), rows, columns)``.
        crops: crops of each view.
        height: of the views in pixels.
        width: of the views in pixels.
        size: side of a crop in pixels.
        mode: "base" or "anyres", how the views were cut.
        scoring: how each map is smoothed.
    """

    def __init__(
        self, maps: Tensor, crops: list[int], height: int, width: int, size: int, mode: str, scoring: Scoring = PLAIN
    ) -> None:
        self.parts, self.scoring = maps.split(crops), scoring
        self.height, self.width, self.size, self.mode = height, width, size, mode
        self._last: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, view: int) -> Tensor:  # type: ignore[override]
        if self._last is None or self._last[0] != view:
            merged = cropping.merge(self.parts[view], self.height, self.width, self.size, self.mode).clamp_(0, 1)
            self._last = view, smoothed(merged, self.scoring)
        return self._last[1]

    def stack(self) -> Tensor:
        """``(V, H, W)`` of all views."""
        return torch.stack(list(self))


def smoothed(view: Tensor, scoring: Scoring) -> Tensor:
    """A view's map ``(H, W)`` in [0, 1] after the Gaussian, as scipy computes it (edges mirrored, cut at 4 sigma).

    A paper that stretches every picture to a square of ``smooth_on`` pixels smooths that square: on a view of another
    size it is a Gaussian of ``smooth * H / smooth_on`` rows and ``smooth * W / smooth_on`` columns. Clouds and scans
    are smoothed view by view before the views return to points and voxels: never across views or slices.
    """
    if not scoring.smooth:
        return view
    on = scoring.smooth_on
    sigmas = [scoring.smooth * side / on if on else scoring.smooth for side in view.shape]
    return torch.from_numpy(gaussian_filter(view.cpu().numpy(), sigmas).clip(0, 1)).to(view)


def view_logits(logits: Tensor, maps: Sequence[Tensor], scoring: Scoring) -> Tensor:
    """The logit of each view of a sample by the rule ``scoring.score``; the published one is the expert's own.

    Args:
        logits: ``(V,)``, the expert's own.
        maps: V of ``(H, W)`` in [0, 1], smoothed already.
        scoring: with the rule.

    Returns:
        ``(V,)`` float32.

    Source: max: PaDiM, PatchCore, MVFA's medical maps; top1%: VisualAD test.py; half and half: AA-CLIP
    forward_utils.py, industrial.
    """
    if scoring.score == OWN:
        return logits
    found = []
    for own, view in zip(logits, maps, strict=True):
        flat = view.double().flatten()
        highest = flat.topk(-(-len(flat) // TOP_PART) if scoring.score == TOP else 1).values.mean()
        found.append((highest + own.double().sigmoid()) / 2 if scoring.score == HALVES else highest)
    return torch.stack(found).logit(eps=1e-9).to(logits)


def per_sample(
    batch: Batch, verdict: Verdict, size: int, mode: str, scoring: Scoring = PLAIN
) -> Iterator[tuple[Sample, ViewMaps, Tensor]]:
    """Each sample of a batch with its V view maps ``(H, W)`` and its element scores ``(E,)``, both in [0, 1]."""
    crop, view = 0, 0
    for sample, views in zip(batch.samples, batch.views, strict=True):
        crops = batch.crops[view : view + views]
        height, width = sample.views.shape[-2:]
        maps = ViewMaps(verdict.maps[crop : crop + sum(crops)], crops, height, width, size, mode, scoring)
        yield sample, maps, lift(maps, sample)
        crop, view = crop + sum(crops), view + views


def on_grid(scores: Tensor, grid: Grid) -> Tensor:
    """Element scores ``(E,)`` on a grid: ``(h * w,)`` float32 on the CPU; cells without an element are 0.

    The Gaussian is the one that published numbers of these sets are smoothed with (zqhang/PointAD test.py, scipy).
    """
    laid = np.where(grid.index < 0, 0, scores.cpu().numpy()[grid.index]).astype(np.float32)
    if grid.sigma:
        laid = gaussian_filter(laid, grid.sigma).clip(0, 1)
    return torch.from_numpy(laid.ravel())
