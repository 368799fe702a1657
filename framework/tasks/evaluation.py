"""Verdicts on one set under test -> curves, one line per sample and the pictures most worth a look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from framework.data.index import Index
from framework.data.targets import view_targets
from framework.metrics.axis import BINS
from framework.metrics.detections import Detections, found_coarse, tally
from framework.metrics.dice import Dice
from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import coarse, components
from framework.metrics.values import ValueCurves
from framework.models.scoring import PLAIN, Scoring, on_grid, per_sample, view_logits
from framework.tasks import element_cues
from framework.tasks.cues import cues, joined, plain
from framework.tasks.gallery import KEPT, Gallery
from framework.tasks.pooling import score
from framework.tasks.truth import grid_of, numbered
from framework.types import Batch, Record, Sample, Verdict


class Evaluation(nn.Module):
    """Collects what one set's rows are made of. State that is reduced is constant in size.

    Args:
        index: the set.
    """

    def __init__(self, index: Index) -> None:
        super().__init__()
        self.index = index
        self.groups = {category: g for g, category in enumerate(index.categories)}
        self.elements = AnomalyCurves(index.categories, scores="probability", regions=True)
        self.cells = AnomalyCurves(index.categories, scores="probability", regions=True)
        self.element_cues, self.cell_cues = (ValueCurves(index.categories, element_cues.NAMES) for _ in range(2))
        self.overlaps, self.detections = Dice(index.categories), Detections(index.categories)
        self.lines: list[dict[str, Any]] = []
        self.gallery = Gallery(index.name, index.config.domain)

    def update(self, batch: Batch, verdict: Verdict, rule: str, size: int, mode: str, scoring: Scoring = PLAIN) -> None:
        """Add the samples of a batch.

        Args:
            batch: with its samples.
            verdict: of the expert.
            rule: how views become a sample, see ``pooling.score``.
            size: side of a crop in pixels.
            mode: how views were cut, "base" or "anyres".
            scoring: what is done to maps and to the scores of views.
        """
        view, called = 0, getattr(self.index.reader, "called", None)
        for b, (sample, maps, scores) in enumerate(per_sample(batch, verdict, size, mode, scoring)):
            shown = view_logits(verdict.logits[view : view + batch.views[b]], maps, scoring)
            view += batch.views[b]
            if not batch.weights[b]:  # a copy that fills a batch: each sample counts once
                continue
            position = batch.index[b]
            record = self.index.records[position]  # its id is the set's own: a made sample's does not say which it is
            line = self._score(record, score(shown, scores, rule, sample.say)) | self._locate(sample, scores)
            line |= self._lay(sample, scores) | self._apart(sample, shown)
            self.lines.append({"position": position, **line})
            title = called(record) if called else None
            self.gallery.offer(position, line["id"], sample, maps, int(shown.argmax()), line["score"], title)

    def gather(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Lines of all ranks in the order of the set, and the most wrong pictures of all ranks."""
        lines, items = self.lines, self.gallery.items()
        if dist.is_available() and dist.is_initialized():
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, (lines, items))
            lines = [line for part, _ in parts for line in part]
            items = [item for _, part in parts for item in part]
        items = sorted(items, key=lambda item: (-item["wrongness"], item["id"]))[:KEPT]
        return sorted(lines, key=lambda line: line["position"]), items

    def _score(self, record: Record, logit: Tensor) -> dict[str, Any]:
        name = Path(record.id)
        root = Path(self.index.config.root).expanduser()
        name = name.relative_to(root) if name.is_relative_to(root) else name
        return {
            "tested_on": self.index.name,
            "id": str(name),
            "category": record.category,
            "group": record.group or str(name),
            "alone": not record.group,
            "label": record.anomalous,
            "logit": float(logit),
            "score": float(logit.double().sigmoid()),
        }

    def _locate(self, sample: Sample, scores: Tensor) -> dict[str, Any]:
        """Element curves, and this sample's part of them for intervals."""
        if sample.truth is None:
            return {"hist": None, "regions": 0, "found": None}
        told, group = numbered(sample), self.groups[sample.record.category]
        element_cues.count(self.element_cues, sample, *told, group)
        truth, regions = (part.to(scores.device) for part in told)
        hist, count = self._counted(scores, truth, regions, group)
        line = {"hist": np.asarray(hist, np.float32).tobytes(), "regions": int(count)}
        return line | {"found": self._search(sample, scores, regions)}

    def _counted(self, scores: Tensor, truth: Tensor, regions: Tensor, group: int) -> tuple[np.ndarray, int]:
        """Add to the element curves; the coarse histogram, from what that has added where elements outnumber bins."""
        if len(scores) < 2 * BINS:
            self.elements.update(scores, truth, regions, group=group)
            return coarse(scores, truth, regions)
        before = self.elements.hist[group, :2].sum(0)
        self.elements.update(scores, truth, regions, group=group)
        added = self.elements.hist[group, :2].sum(0) - before
        return coarse(scores, truth, regions, counted=added)

    def _search(self, sample: Sample, scores: Tensor, regions: Tensor) -> bytes | None:
        """Overlap and detection of the lesions of a scan; None of what is no scan."""
        if sample.owner is not None or not getattr(self.index.reader, "view", "") or min(grid_of(sample)) < 2:
            return None
        counted, group = tally(scores, regions, grid_of(sample)), self.groups[sample.record.category]
        self.overlaps.update(counted[:2], group)
        self.detections.update(counted, group)
        return found_coarse(counted).tobytes()

    def _apart(self, sample: Sample, logits: Tensor) -> dict[str, Any]:
        """What is known of it without a look, and of its single views where these are units of their own, as slices."""
        if not getattr(self.index.reader, "view", ""):
            return {"views": [], "cues": plain(sample, self.index.reader.element)}
        known = cues(sample)
        if len(logits) == 1 and (sample.back is None or sample.record.slice is not None):  # a picture or one slice
            return {"views": [], "cues": known[0]}
        if sample.truth is None:
            return {"views": [], "cues": joined(known)}
        found = zip(logits.float().tolist(), (view_targets(sample) > 0).tolist(), known, strict=True)
        views = [{"logit": t, "label": label, "cues": cue} for t, label, cue in found]
        return {"views": views, "cues": joined(known)}

    def _lay(self, sample: Sample, scores: Tensor) -> dict[str, Any]:
        """The same on the grid of published numbers, where the sample has one."""
        if sample.grid is None:
            return {"grid": None}
        laid = on_grid(scores, sample.grid)
        truth = torch.from_numpy(sample.grid.truth.ravel())
        regions = torch.from_numpy(components(sample.grid.truth[None]).ravel())
        group = self.groups[sample.record.category]
        self.cells.update(laid, truth, regions, group=group)
        element_cues.count_cells(self.cell_cues, sample, truth, regions, group)
        hist, count = coarse(laid, truth, regions)
        told = {"name": sample.grid.name, "sigma": sample.grid.sigma}
        return {"grid": told | {"hist": np.asarray(hist, np.float32).tobytes(), "regions": count}}
