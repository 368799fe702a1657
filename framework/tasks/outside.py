"""Scores that other code made of the test sets of an experiment -> rows beside those of our own methods."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import interpolate

from framework import provenance
from framework.config import Config, digest
from framework.data.fingerprint import digests
from framework.data.index import Index, open_all, open_index
from framework.data.known import between, names
from framework.data.outside import Given, matched, named, read
from framework.errors import UserError
from framework.files import check_writable
from framework.leaderboard.rows import CONTROL, NOTHING, SEPARATOR, Row
from framework.leaderboard.store import write_run
from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import COARSE_LIMIT, coarse
from framework.metrics.values import ValueCurves
from framework.progress import say
from framework.tasks import element_cues
from framework.tasks.cues import cues, joined, plain
from framework.tasks.gallery import Gallery
from framework.tasks.levels import Reduced, levels
from framework.tasks.origins import origin_of
from framework.tasks.report import set_rows, summary, taught
from framework.tasks.saved import kept
from framework.tasks.truth import numbered
from framework.types import Sample


def rate(config: Config, path: Path, model: str, trained_on: Sequence[str] = (), backbone: str = "not known") -> Path:
    """Measure scores and maps as those of our own methods are; returns the run folder.

    They keep their range: a metric here follows from their order alone. In the samples of the run ``logit`` is the
    score as given and ``score`` its rank, as the share of the set's samples that it is above; it is no probability.

    Args:
        config: names the sets under test, and, where the method was trained on one of its train sets, that one too.
        path: see ``data.outside.read``; names every sample of every set under test once.
        model: what to call the method.
        trained_on: names of the sets it was trained on; those that the experiment has in ``train`` are opened to see
            which samples both hold, of others names alone tell (``data/known.yaml``).
        backbone: what to call what it stands on.

    Raises:
        UserError: anything the user can mend, before a row is written.
    """
    check_writable(Path(config.out))
    if model.startswith(CONTROL):
        raise UserError(f"model={model}: so begin the names of scores that look at nothing. Take another.")
    lines = read(path)
    _, sets = open_all(config, fit=False)
    told = {index.name: matched(_of(lines, index, sets, path), index, path) for index in sets}
    origins = [_origin(name, config) for name in trained_on]
    common = _common(config, path, model, trained_on, backbone)
    rows: list[Row] = []
    samples: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    described: dict[str, list[dict[str, Any]]] = {}
    for index in sets:
        found = Rated(index, told[index.name])
        contents = digests(index.records)
        taught_lines = taught(found.lines, origins, index, contents)
        mine = names(index.name, index.config.dataset, index.config.root)
        trained = {known for o in origins for known in names(o["name"], o["source"], o["root"])}
        columns = common | {"known": between(trained, mine)}
        made = levels(index, found.curves(), taught_lines, "max")
        rows += set_rows(index, made, columns, contents, found.resized)
        described[index.name] = [level.told for level in made]
        samples += kept(taught_lines, made)
        pictures += [item | {"trained_on": common["trained_on"]} for item in found.gallery.items()]
    if not rows:
        raise UserError(f"experiment {config.name}: no set under test has both classes, so there is no row.")
    again = {"scores": str(path.resolve()), "command": provenance.command(), "settings": asdict(config)}
    folder = write_run(Path(config.out), common | again | {"levels": described}, rows, samples, pictures)
    for line in summary(rows):
        say(line)
    say(f"run {folder}; compare runs: anomaly-ov leaderboard {folder.parent}")
    return folder


class Rated:
    """What is collected of one set.

    Args:
        index: the set.
        given: of each of its records.
    """

    def __init__(self, index: Index, given: Sequence[Given]) -> None:
        self.index, self.given, self.sizes = index, given, set[str]()
        self.elements = AnomalyCurves(index.categories, scores="any", regions=True)
        self.element_cues = ValueCurves(index.categories, element_cues.NAMES)
        self.gallery = Gallery(index.name, index.config.domain)
        self.span = self._span()
        ranks = (rankdata([g.score for g in given]) - 0.5) / len(given)
        self.lines = [self._line(i, float(rank)) for i, rank in enumerate(ranks)]

    def curves(self) -> Reduced:
        """By category."""
        located = any(line["hist"] is not None for line in self.lines)
        if not located:
            return Reduced({}, {}, {})
        told = self.element_cues.compute()
        return Reduced(self.elements.compute(), {}, {}, (self.elements.pooled(), None), told)

    @property
    def resized(self) -> str:
        """How maps came to the size of the views, "" where they had it."""
        return f"maps of {', '.join(sorted(self.sizes))} resized bilinearly" if self.sizes else ""

    def _span(self) -> tuple[float, float]:
        """Least and highest score of an element of any map."""
        low, high = np.inf, -np.inf
        for line in self.given:
            if line.map is not None:
                values = _finite(line.map(), line.path)
                low, high = min(low, float(values.min())), max(high, float(values.max()))
        return low, high

    def _line(self, position: int, rank: float) -> dict[str, Any]:
        record, given = self.index.records[position], self.given[position]
        sample, group = self.index.reader.read(record), self.index.categories.index(record.category)
        name = named(record, self.index)
        line = {"position": position, "tested_on": self.index.name, "id": name, "category": record.category}
        line |= {"group": record.group or name, "alone": not record.group, "label": record.anomalous}
        line |= {"logit": given.score, "score": rank, "views": [], "cues": self._cues(sample), "grid": None}
        return line | {"found": None} | self._locate(sample, given, rank, position, group)

    def _locate(self, sample: Sample, given: Given, rank: float, position: int, group: int) -> dict[str, Any]:
        """Element curves of a sample, its part of them for intervals, and its pictures."""
        if given.map is None:
            return {"hist": None, "regions": 0}
        scores = self._fitted(_finite(given.map(), given.path), sample, given.path)
        shown = (scores - self.span[0]) / ((self.span[1] - self.span[0]) or 1)  # to colour and to resample, no metric
        if sample.owner is None and sample.back is None:
            maps = list(shown.reshape(sample.views[:, 0].shape).clamp(0, 1))
            view = int(torch.stack([m.max() for m in maps]).argmax())
            self.gallery.offer(position, named(sample.record, self.index), sample, maps, view, rank)
        if sample.truth is None:
            return {"hist": None, "regions": 0}
        truth, regions = numbered(sample)
        self.elements.update(scores, truth, regions, group=group)
        element_cues.count(self.element_cues, sample, truth, regions, group)
        limit = COARSE_LIMIT * (1 - 1e-6)
        hist, count = coarse(shown * (2 * limit) - limit, truth, regions, scores_kind="logit")
        return {"hist": np.asarray(hist, np.float32).tobytes(), "regions": int(count)}

    def _fitted(self, values: np.ndarray, sample: Sample, name: str) -> Tensor:
        """``(E,)`` float32: a map of a picture resized to its view, any other as it is."""
        scores = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        views, (height, width) = len(sample.views), sample.views.shape[-2:]
        plain_view = sample.owner is None and sample.back is None and views == 1
        if plain_view and scores.squeeze().ndim == 2 and scores.squeeze().shape != (height, width):
            scores = scores.squeeze()
            self.sizes.add(f"{scores.shape[0]} x {scores.shape[1]}")
            scores = interpolate(scores[None, None], (height, width), mode="bilinear", align_corners=False)
        if scores.numel() != sample.elements:
            raise UserError(
                f"{name}: its map is {tuple(values.shape)}, the sample has {sample.elements:,} "
                f"{self.index.reader.element}s. Give each a number; only maps of pictures are resized."
            )
        return scores.reshape(-1)

    def _cues(self, sample: Sample) -> dict[str, Any]:
        """What is known of it without a look, for controls."""
        if not getattr(self.index.reader, "view", ""):
            return plain(sample, self.index.reader.element)
        single = len(sample.views) == 1 and (sample.back is None or sample.record.slice is not None)
        return cues(sample)[0] if single else joined(cues(sample))


def _origin(name: str, config: Config) -> dict[str, Any]:
    """``Origin`` as a dict, of a set that the method was trained on; of one that the experiment lacks, its name."""
    if name in config.train:
        return asdict(origin_of(open_index(name, config.train[name], trained=True)))
    return {"name": name, "source": "", "digests": [], "groups": [], "root": "", "looks": ""}


def _of(lines: Sequence[Given], index: Index, sets: Sequence[Index], path: Path) -> list[Given]:
    """The lines of one set of several."""
    known = [other.name for other in sets]
    for line in lines:
        if line.source and line.source not in known:
            raise UserError(f"{path}: {line.path} is of set {line.source!r}; the experiment tests {', '.join(known)}.")
        if not line.source and len(known) > 1:
            raise UserError(f"{path}: {line.path} names no set, and there are {', '.join(known)}. Add a column set.")
    return [line for line in lines if line.source in ("", index.name)]


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind not in "fiub" or not values.size:
        raise UserError(f"{name}: its map is {values.dtype} {values.shape}, not numbers.")
    if not np.isfinite(values).all():
        raise UserError(f"{name}: its map holds NaN or infinity. Leave no element without a number.")
    return values


def _common(config: Config, path: Path, model: str, trained_on: Sequence[str], backbone: str) -> dict[str, Any]:
    """The columns that all rows share."""
    return provenance.stamp(config.name, digest(config)) | {
        "seed": config.seed,
        "model": model,
        "backbone": backbone,
        "weights": "scores " + hashlib.sha256(path.read_bytes()).hexdigest(),
        "trained_on": SEPARATOR.join(trained_on) or NOTHING,
        "selection": "not known",
        "hardware": "not known",
        "packages": provenance.packages(),
    }
