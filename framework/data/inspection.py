"""A named dataset on disk -> a report of what is in it and what is wrong."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from framework import registry
from framework.config import DataConfig
from framework.data.fingerprint import digests, fingerprint
from framework.data.index import Index, open_index
from framework.data.overlap import across_splits, overlap, within
from framework.errors import TruthError, UnreadableError, UserError
from framework.types import Record


@dataclass
class Report:
    """What ``inspect`` found.

    Attributes:
        name: ``domain/dataset``.
        root: the folder.
        split: of the dataset.
        element: what truth is given for: "pixel", "point" or "voxel".
        categories: normal and anomalous samples of each.
        views: how the reader makes the views, in its domain's words; "" where it does not say.
        unit: what the groups are called: "patient", "object"; "sample" where the set names none.
        groups: statistical units (patients, objects, lots); as many as samples where the set names none.
        with_truth: anomalous samples with at least one anomalous element.
        fingerprint: of the whole set; "" where a file cannot be opened.
        problems: one line each: what would stop a run or make its numbers wrong.
        warnings: one line each: what to know before a run.
        counted: what the reader counted over all samples, such as the points that no view shows.
    """

    name: str
    root: Path
    split: str
    element: str
    views: str
    unit: str
    categories: dict[str, tuple[int, int]]
    groups: int
    with_truth: int = 0
    fingerprint: str = ""
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> tuple[int, int]:
        """Normal and anomalous samples."""
        normal, anomalous = zip(*self.categories.values(), strict=True)
        return sum(normal), sum(anomalous)

    def __str__(self) -> str:
        normal, anomalous = self.counts
        width = max(len(c) for c in self.categories)
        lines = [
            f"{self.name}  {self.root}  split {self.split}",
            f"samples      {normal + anomalous}: {normal} normal, {anomalous} anomalous",
            f"truth        {self.with_truth} of {anomalous} anomalous samples mark a {self.element}",
            f"groups       {self.groups} ({self.unit}s)",
            *([f"read as      {self.views}"] if self.views else []),
            f"categories   {len(self.categories)}",
            *(f"  {c:{width}}  {n} normal, {a} anomalous" for c, (n, a) in self.categories.items()),
            *(f"{name:12} {count:,} {self.element}s" for name, count in self.counted.items() if count),
            f"fingerprint  {self.fingerprint or 'none: a file cannot be opened'}",
            *(f"warning: {w}" for w in self.warnings),
            *(f"problem: {p}" for p in self.problems),
            f"{len(self.problems)} problems, {len(self.warnings)} warnings",
        ]
        return "\n".join(lines)


def inspect(
    name: str,
    root: Path,
    split: str | None = None,
    options: dict[str, Any] | None = None,
    reader: dict[str, Any] | None = None,
    against: Sequence[str] = (),
) -> Report:
    """Read every sample of a set through the reader of its domain, with progress on standard error.

    Args:
        name: ``domain/dataset``, as ``describe`` lists them.
        root: folder of the set.
        split: of the dataset; None takes the dataset's default.
        options: of the dataset.
        reader: options of the domain's reader.
        against: other sets, ``domain/dataset:folder`` each, to look for the same files in.

    Raises:
        UserError: unknown name, option or folder, or no samples. What is wrong with single samples is in the report.
    """
    index = open_set(name, root, split, options or {}, reader or {})
    others = [_named(text) for text in against]
    by_category = {c: Counter(r.anomalous for r in index.records if r.category == c) for c in index.categories}
    report = Report(
        name,
        root,
        index.config.split,
        index.reader.element,
        index.views,
        index.unit,
        {c: (n[False], n[True]) for c, n in by_category.items()},
        len({(r.category, r.group) if r.group else r.id for r in index.records}),
    )
    _read_all(index, report)
    _compare(index.records, report)
    report.warnings += [*_alone(index), *across_splits(index), *within(index)]
    for other in others:
        report.warnings += overlap(index, other)
    if name in registry.names("checks"):  # what only the domain knows: published counts, units
        report.warnings += registry.get("checks", name)(index.records, index.config.split)
    if 0 in report.counts:
        kind = "anomalous" if report.counts[0] == 0 else "normal"
        report.warnings.append(f"every sample is {kind}: sample-level metrics have no meaning on this set alone.")
    return report


def open_set(
    name: str,
    root: Path,
    split: str | None,
    options: dict[str, Any],
    reader: dict[str, Any],
    asked: bool = False,
) -> Index:
    """The records of ``name`` and their reader; a name without its domain is told the nearest full one."""
    domain, slash, dataset = name.partition("/")
    if not slash:
        for known in registry.domains():
            registry.load_domain(known)
        raise UserError(registry.unknown("dataset", name, registry.names("dataset")))
    registry.load_domain(domain)
    if split is None:
        split = str(signature(registry.get("dataset", name)).parameters["split"].default)
    return open_index(name, DataConfig(domain, dataset, str(root), split, options=options, reader=reader), asked)


def _named(text: str) -> Index:
    """The set that ``domain/dataset:folder`` names, in its default split."""
    name, _, root = text.partition(":")
    if not root:
        raise UserError(f"--against {text}: write NAME:FOLDER, for example medical/yes_no:/data/br35h.")
    return open_set(name, Path(root), None, {}, {})


def _read_all(index: Index, report: Report) -> None:
    """Count element truth, and collect what cannot be read or contradicts its label."""
    console, told = Console(stderr=True), list[str]()
    for record in track(index.records, "reading", console=console, disable=not console.is_terminal, transient=True):
        try:
            sample = index.reader.read(record)
        except (UnreadableError, TruthError) as error:  # a missing package is not a fault of the sample
            if str(error) not in report.problems:  # all slices of a scan have its fault
                report.problems.append(str(error))
            continue
        report.counted.update(sample.counts)
        told += [line for line in sample.warnings if line not in told]
        if sample.truth is None:
            continue
        marked = int(sample.truth.sum())
        if record.anomalous and marked == 0:
            report.problems.append(f"{record.truth_path}: marks no {report.element}, but {record.id} is anomalous.")
        if not record.anomalous and marked:
            report.problems.append(f"{record.truth_path}: marks {marked} {report.element}s, but {record.id} is normal.")
        report.with_truth += record.anomalous and marked > 0
    report.warnings += _summed(told)


def _alone(index: Index) -> list[str]:
    """A line where a category's samples are all of one group, so that there is nothing to resample."""
    known: dict[str, list[str]] = defaultdict(list)
    for record in index.records:
        known[record.category].append(record.group or record.id)
    single = sorted(c for c, names in known.items() if len(names) > 1 and len(set(names)) == 1)
    if not single:
        return []
    what = "all samples" if len(single) == len(known) == 1 else f"all samples of {', '.join(single)}"
    return [f"{what} are of one {index.unit}: intervals resample {index.unit}s, so their numbers have none."]


def _summed(lines: list[str]) -> list[str]:
    """Warnings that differ in their file and numbers alone, as the first of them and how many more there are."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        kinds[re.sub(r"[\d.,]+", "0", line.partition(": ")[2])].append(line)
    return [same[0] + (f" The same of {len(same) - 1} more." if len(same) > 1 else "") for same in kinds.values()]


def _compare(records: list[Record], report: Report) -> None:
    """Fingerprint of the set, and its duplicates: with different labels a problem, with the same one a warning."""
    present = [r for r in records if _can_open(r.path)]
    contents = digests(present)
    twins: dict[str, list[Record]] = defaultdict(list)
    for record, content in zip(present, contents, strict=True):
        twins[content].append(record)
    for same in (t for t in twins.values() if len(t) > 1):
        listed = ", ".join(r.id for r in same)
        if len({r.anomalous for r in same}) > 1:
            report.problems.append(f"same content, different labels: {listed}")
        else:
            report.warnings.append(f"same content: {listed}")
    truths = [path for r in records for path in (r.truth_path, *r.more_truth) if path is not None]
    if len(present) == len(records) and all(_can_open(t) for t in truths):
        report.fingerprint = fingerprint(records, contents)


def _can_open(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)
