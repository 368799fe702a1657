"""One number in, with everything needed to believe it; one checked, flat Row out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache

SCHEMA = 1  # raise it when a field of Row is added, removed, or changes its meaning
RANKED = ("auroc", "ap", "f1_max", "aupro", "aupro_05")  # of scores, in the order they are shown
SCANNED = ("dice_best", "dice_fixed", "sensitivity")  # of the voxels of scans: see ``metrics/dice``, ``detections``
FIXED = ("f1_source",)  # at a threshold that was found on the source
LEGACY = ("aupro_lineage",)  # not of the ranking alone; to be compared with printed tables: see ``metrics/lineage``
METRICS = (*RANKED, *FIXED, *SCANNED, *LEGACY)
ANSWERS = (  # of what a language model says
    *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "coverage"),
    *("rouge_l", "similarity", "judge", "judge_coverage", "judge_agreement"),
)
SCORED = ("sample", "view", "group", "element", "grid")  # the last: on the grid that published numbers are measured on
LEVELS = (*SCORED, "answer", "published answer")  # the last is read as the published code reads answers
VIEWED = "; views: "  # in a protocol, before how the domain makes and joins them
ALL = "all"  # category: unweighted mean over the categories
POOLED = "pooled"  # category: every sample of the set in one pot
CONTROL = "control: "  # begins the model of a row whose scores know no defect: see ``tasks/controls.py``
NOTHING = "nothing"  # trained_on of an untrained model
SEPARATOR = " + "  # between the names of several training sets
_AVERAGED = re.compile(r"; mean over (?:\d+ of \d+ )?categories")
_TEXTS = ("run", "experiment", "model", "backbone", "trained_on", "tested_on", "fingerprint", "category", "protocol")
_SHARES = ("value", "low", "high", "chance")
_COUNTS = ("groups", "normal", "anomalous", "elements", "anomalous_elements", "overlap", "related", "near")


@dataclass(frozen=True, slots=True)
class Row:
    """One number of one test; the fields in this order are the columns of ``rows.parquet``.

    Attributes:
        run: names the run folder.
        date: when the test ended, UTC, ISO 8601 with offset.
        commit: of the code; dirty: it had uncommitted changes.
        config: sha256 of the resolved experiment; seed: the one it was trained with.
        experiment, model, backbone: names; together they say which method this is.
        weights: hash of everything that was loaded or trained.
        trained_on: names of the training sets joined by " + ", or "nothing".
        tested_on: name of the test set; domain and dataset: what reads it.
        fingerprint: of the test set: content, labels, which samples are of one group or category.
        category: "all" (unweighted mean over categories), "pooled", or a category's name.
        level: one of ``LEVELS``; element: "pixel", "point", "voxel" or a plug-in's word, of a view what it is called
            ("slice"), of a group its unit ("patient"), of a grid its name, "" at other levels.
        metric: one of ``METRICS``, or at the levels of answers of ``ANSWERS``; value: in [0, 1].
        error: certified half-width of the estimate, 0 where it is exact.
        low, high: bounds of the interval, None where there is none; interval: how it was made.
        unit: what one group is (patient, object, image); groups: how many were resampled.
        chance: value of random scores, None where unknown.
        normal, anomalous: samples; elements, anomalous_elements: the same at levels of elements, else None.
        in_domain: the model was trained on some of the samples this row counts, on copies of them or on others of
            their groups, or is known to have been.
        overlap: samples of this row that are in the training set by content.
        protocol: names the metric's definition, with its version, and after ``VIEWED`` how views were made.
        hardware, packages: where and with what it ran.
        related: samples of this row that are not in the training set, but others of their group (patient) are; 0 in
            rows that were written before this was counted. The fields that follow are younger still.
        near: samples of this row that are not in the training set by content, but the same picture stored again is.
        known: published overlaps of the training sets with this one, known by their names; "" for none.
        recipe: name of the published protocol that the experiment follows, such as "anomalyclip"; "" for none.
        selection: what chose the epoch and the thresholds, on which data; "" where nothing is known of it.
        transductive: the method looked at other samples of the test set before it scored one.

    Raises:
        ValueError: a field is empty, out of range, or contradicts another.
    """

    run: str
    date: str
    commit: str
    dirty: bool
    config: str
    seed: int
    experiment: str
    model: str
    backbone: str
    weights: str
    trained_on: str
    tested_on: str
    domain: str
    dataset: str
    fingerprint: str
    category: str
    level: str
    element: str
    metric: str
    value: float
    error: float
    low: float | None
    high: float | None
    interval: str
    unit: str
    groups: int
    chance: float | None
    normal: int
    anomalous: int
    elements: int | None
    anomalous_elements: int | None
    in_domain: bool
    overlap: int
    protocol: str
    hardware: str
    packages: str
    related: int = 0
    near: int = 0
    known: str = ""
    recipe: str = ""
    selection: str = ""
    transductive: bool = False

    def __post_init__(self) -> None:
        for problem in (self._text(), self._range(), self._sense()):
            if problem:
                raise ValueError(f"row {self.tested_on!r} {self.level} {self.metric} of run {self.run!r}: {problem}")

    @property
    def definition(self) -> str:
        """Of the metric: numbers of two definitions cannot be compared, however the views were made.

        How many categories have the metric is no part of it: that follows from the set, and of views from how they are
        made.
        """
        return _definition(self.protocol)

    @property
    def views(self) -> str:
        """How the domain made and joined views; "" where it does not say."""
        return self.protocol.partition(VIEWED)[2]

    @property
    def control(self) -> bool:
        """Whether no method made it, but a cue that knows no defect."""
        return self.model.startswith(CONTROL)

    @property
    def diagonal(self) -> bool:
        """Whether one of the training sets has the name of the test set."""
        return self.tested_on in self.trained_on.split(SEPARATOR)

    def _text(self) -> str:
        """What is wrong with a name, or ""."""
        for name in _TEXTS:
            if not getattr(self, name):
                return f"{name} is empty"
        known = ANSWERS if self.level in LEVELS[len(SCORED) :] else METRICS
        if self.level not in LEVELS or self.metric not in known:
            return f"level must be of {LEVELS} and metric of {known}"
        if bool(self.element) != (self.level in SCORED[1:]):
            return f"element {self.element!r} does not fit level {self.level!r}"
        try:
            offset = datetime.fromisoformat(self.date).utcoffset()
        except ValueError:
            return f"date {self.date!r} is not ISO 8601"
        return "" if offset == timedelta(0) else f"date {self.date!r} is not in UTC"

    def _range(self) -> str:
        """What is wrong with a number, or ""."""
        for name in _SHARES:
            number = getattr(self, name)
            if number is not None and not 0 <= number <= 1:  # NaN fails here too
                return f"{name} is {number}, not in [0, 1]"
        if not (math.isfinite(self.error) and self.error >= 0):
            return f"error is {self.error}"
        for name in _COUNTS:
            count = getattr(self, name)
            if count is not None and count < 0:
                return f"{name} is {count}"
        return ""

    def _sense(self) -> str:
        """What contradicts what, or ""."""
        if (self.low is None) != (self.high is None):
            return "an interval has two bounds or none"
        if self.low is not None and self.high is not None and self.low > self.high:
            return f"interval [{self.low}, {self.high}] is upside down"
        if (self.elements is None) != (self.anomalous_elements is None):
            return "elements and anomalous_elements go together"
        if (
            self.elements is not None
            and self.anomalous_elements is not None
            and self.anomalous_elements > self.elements
        ):
            return f"{self.anomalous_elements} of {self.elements} elements are anomalous"
        if self.overlap > self.normal + self.anomalous:
            return f"{self.overlap} of {self.normal + self.anomalous} samples overlap"
        if self.overlap + self.near > self.normal + self.anomalous:
            return f"{self.overlap} samples overlap and {self.near} are near copies, of {self.normal + self.anomalous}"
        for name in ("overlap", "near", "known"):
            if getattr(self, name) and not self.in_domain:
                return f"{name} without in_domain"
        return ""


COLUMNS = tuple(field.name for field in fields(Row))


@lru_cache(maxsize=4096)
def _definition(protocol: str) -> str:
    """Of the metric."""
    return _AVERAGED.sub("", protocol.partition(VIEWED)[0])


def averaged(known: int, of: int) -> str:
    """In a protocol: that a number is the mean over the categories that have the metric, ``known`` of all of the set's.

    "" of a set of one category.
    """
    if of < 2:
        return ""
    return "; mean over categories" if known == of else f"; mean over {known} of {of} categories"


def chance_level(metric: str, prevalence: float, limit: float = 0.3) -> float | None:
    """Value that scores without information reach on a large set.

    AUROC: 1/2. AP: precision is the prevalence p at every recall, so their mean is p. F1-max: with precision p the
    harmonic mean 2pr/(p + r) grows with the recall r, so the best threshold flags everything: 2p/(1 + p). AUPRO:
    every region is covered as fast as the background, so the curve is the diagonal; its area up to ``limit`` is
    limit^2/2, which the normalisation by ``limit`` makes limit/2, that is 0.15 at 0.3 and 0.025 at 0.05. Of ``SCANNED``
    it depends on how scores lie in space, of ``LEGACY`` on their spread and of ``FIXED`` on the threshold, so there is
    none.

    Args:
        metric: one of ``METRICS``.
        prevalence: share of anomalous samples or elements, in [0, 1].
        limit: highest false-positive rate of "aupro", in (0, 1].

    Raises:
        ValueError: an unknown metric, or an argument out of range.
    """
    if metric in (*SCANNED, *FIXED, *LEGACY):
        return None
    if metric not in RANKED or not 0 <= prevalence <= 1 or not 0 < limit <= 1:
        raise ValueError(f"no chance level for {metric!r} at prevalence {prevalence} and limit {limit}")
    levels = {"auroc": 0.5, "ap": prevalence, "f1_max": 2 * prevalence / (1 + prevalence)}
    return (levels | {"aupro": limit / 2, "aupro_05": 0.05 / 2})[metric]
