"""A named dataset of an experiment -> its records and the reader that opens them. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

from framework import registry
from framework.config import Config, DataConfig
from framework.data.overlap import told
from framework.data.splitting import part_of
from framework.data.views import keep_views
from framework.errors import TruthError, UserError
from framework.progress import say
from framework.types import Domain, Record


@dataclass(frozen=True, slots=True)
class Index:
    """The records of one set, in a fixed order, and the reader of its domain."""

    name: str
    config: DataConfig
    records: list[Record]
    reader: Domain

    @property
    def source(self) -> str:
        """``domain/dataset``, as registered."""
        return f"{self.config.domain}/{self.config.dataset}"

    @property
    def counts(self) -> tuple[int, int]:
        """Normal and anomalous samples."""
        anomalous = sum(r.anomalous for r in self.records)
        return len(self.records) - anomalous, anomalous

    @property
    def has_truth(self) -> bool:
        """Whether any anomalous sample says which elements are anomalous."""
        return any(r.truth_path is not None for r in self.records if r.anomalous)

    @property
    def unit(self) -> str:
        """What intervals resample: the domain's unit, or single samples where the set knows of no groups."""
        return self.reader.unit if any(r.group for r in self.records) else "sample"

    @property
    def views(self) -> str:
        """How the domain makes the views of the set, in its own words; "" where it does not say."""
        of = getattr(self.reader, "protocol_of", None)
        return str(of(self.records) if of else getattr(self.reader, "protocol", ""))

    @property
    def categories(self) -> list[str]:
        """Sorted names of the categories."""
        return sorted({r.category for r in self.records})


def open_index(name: str, config: DataConfig, asked: bool = False, trained: bool = False) -> Index:
    """List the samples of one set; opens no sample.

    Args:
        name: of the set.
        config: of the set.
        asked: whether a language model will be asked about it, see ``registry.asked``.
        trained: whether it will be trained on, which decides the split where none is given and its own is "train".

    Raises:
        UserError: unknown domain, dataset, option or category; missing folder; no samples.
    """
    registry.load_domain(config.domain)
    given = registry.asked(config.domain) if asked else {}
    reader = registry.build("domain", config.domain, **given | config.reader)
    _check_domain(config.domain, reader)
    source = f"{config.domain}/{config.dataset}"
    registry.check("dataset", source, config.options, given=2)
    if not config.split:
        own = str(signature(registry.get("dataset", source)).parameters["split"].default)
        config = replace(config, split="test" if own == "train" and not trained else own)
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise UserError(f"{name}: no folder {root}. Set its root to where {source} lies.")
    records = list(registry.build("dataset", source, root, config.split, **config.options))
    if not records:
        others = _splits(source, root, config.options)
        there = f"Splits with samples: {', '.join(others)}. " if others else ""
        raise UserError(
            f"{name}: no samples of split {config.split!r} under {root}. {there}"
            f"`anomaly-ov datasets` shows the layout {source} expects."
        )
    known = sorted({r.category for r in records})
    for category in (*config.categories, *config.exclude):
        if category not in known:
            raise UserError(registry.unknown(f"category of {name}", category, known))
    kept = set(config.categories or known) - set(config.exclude)
    if not kept:
        raise UserError(f"{name}: exclude leaves no category. Known: {', '.join(known)}.")
    taken = part_of([r for r in records if r.category in kept], *config.share)
    if not taken:
        raise UserError(f"{name}: share {config.share} holds none of its groups. Take a larger share.")
    _check_agreed(name, config, taken, reader)
    return Index(name, config, taken, reader)


def open_all(config: Config, fit: bool) -> tuple[list[Index], list[Index]]:
    """Train and test sets of an experiment, refused where training or testing on them has no meaning.

    Args:
        config: the experiment.
        fit: whether train sets are needed.

    Raises:
        UserError: as ``open_index``; nothing to train or test on; one class only.
    """
    registry.load_plugins(config.plugins)
    if fit and not config.train:
        raise UserError(f"experiment {config.name}: train names no set, so there is nothing to fit.")
    if not config.test and not fit:
        raise UserError(f"experiment {config.name}: test names no set, so there is nothing to test.")
    train = [open_index(name, c, trained=True) for name, c in config.train.items()] if fit else []
    test = [open_index(name, c) for name, c in config.test.items()]
    for index in (*train, *test):
        _check_files(index)
    if config.store.views:
        train, test = (
            [replace(i, reader=keep_views(i.reader, i.config.domain, config.store.path)) for i in sets]
            for sets in (train, test)
        )
    if train:
        _check_train(train, config.optim.labels)
        for line in told(train, test):
            say(line)
    for index in test:
        if 0 in index.counts and not index.has_truth:
            kind = "anomalous" if index.counts[0] == 0 else "normal"
            raise UserError(
                f"{index.name}: all {len(index.records)} samples are {kind} and none has element truth, "
                "so no metric has a meaning. Add the other class or take the set out of test."
            )
    return train, test


def _splits(source: str, root: Path, options: dict[str, Any]) -> list[str]:
    """The splits that have a sample, of a set that tells which there are; see ``overlap.across_splits``."""
    if source not in registry.names("splits"):
        return []
    found = []
    for split, records in registry.get("splits", source)(root, **options).items():
        try:
            found += [split] if any(True for _ in records) else []
        except UserError:  # its own fault is told where it is asked for
            continue
    return found


def _check_domain(name: str, reader: Domain) -> None:
    """What a domain of a plug-in may have left out; see ``framework.types.Domain``."""
    words = (getattr(reader, "element", ""), getattr(reader, "unit", ""))
    methods = (getattr(reader, "read", None), getattr(reader, "save", None))
    suffixes = getattr(reader, "suffixes", None)
    if not (
        all(isinstance(w, str) and w for w in words) and all(map(callable, methods)) and isinstance(suffixes, tuple)
    ):
        raise UserError(
            f"domain {name!r} must have element and unit (one word each), suffixes (a tuple of file name endings), "
            "read(record) and save(sample, scores, stem)."
        )


def _check_agreed(name: str, config: DataConfig, records: list[Record], reader: Domain) -> None:
    """Let a domain that can say so refuse to read records otherwise than the dataset meant them."""
    check = getattr(reader, "check", None)
    if check is None:
        return
    parameters = signature(registry.get("dataset", f"{config.domain}/{config.dataset}")).parameters.values()
    defaults = {p.name: p.default for p in list(parameters)[2:] if p.default is not p.empty}
    try:
        check(records, defaults | config.options)
    except UserError as error:
        raise type(error)(f"{name}: {error}") from None


def _check_files(index: Index) -> None:
    """Every file the records name is there, so that a run does not stop in its middle."""
    for record in index.records:
        for path in (record.path, *record.beside):
            if not path.is_file():
                raise UserError(f"{index.name}: no file {path}, which its index names.")
        for truth in filter(None, (record.truth_path, *record.more_truth)):
            if not truth.is_file():
                raise TruthError(f"{record.path}: its ground truth {truth} is missing.")


def _check_train(train: list[Index], labels: str) -> None:
    normal, anomalous = (sum(i.counts[k] for i in train) for k in (0, 1))
    by_view = labels == "view" and any(i.has_truth for i in train)
    if anomalous == 0 or (normal == 0 and not by_view):
        names = ", ".join(i.name for i in train)
        kind = "normal" if anomalous == 0 else "anomalous"
        raise UserError(
            f"{names}: all {normal + anomalous} samples are {kind}; the expert learns from both classes. "
            "Choose a split with both, or add a set."
        )
