"""The groups of samples in; how often each of many resamples holds each group out.

A group (a patient, an object) is drawn with all of its samples, as samples of one group are not independent. Groups
are drawn with replacement inside strata: a category's groups of normal samples only, of anomalous ones only, and of
both. So every resample keeps both classes of each category. A stratum of one group does not vary; where a class of
a category lives in no stratum of at least two groups nothing is drawn: one group says nothing about the spread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Labels = Sequence[str] | Sequence[int] | np.ndarray
Values = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""``(rows, owner, drawn)`` of one category -> ``(..., 1 + resamples)``, the value of each resample."""


@dataclass(frozen=True, slots=True)
class Resampled:
    """Means over categories, of the data themselves and of resamples.

    Attributes:
        values: ``(..., 1 + resamples)``, the first of the data themselves.
        units: how many groups were resampled.
        strata: in how many strata these are, over all categories.
    """

    values: np.ndarray
    units: int
    strata: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Draws of the groups of some samples, for any number of methods that scored them.

    Attributes:
        parts: of each category of both classes the first three arguments of ``Values``.
        units: how many groups are resampled.
        strata: in how many strata these are, over all categories.
        scarcest: how many groups the rarer class has, over all categories.
    """

    parts: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    units: int
    strata: int
    scarcest: int

    def apply(self, values: Values) -> Resampled:
        """Mean over categories of ``values``."""
        total: np.ndarray | None = None
        for part in self.parts:
            found = values(*part)
            total = found if total is None else total + found
        assert total is not None
        return Resampled(total / len(self.parts), self.units, self.strata)


class Plans:
    """Plans, each made once and kept for the next method on the same samples; 4 kB a group for 1,000 resamples.

    Args:
        resamples: how many.
        seed: of the draws.
        kept: how many plans; the one that was asked for longest ago goes.
    """

    def __init__(self, resamples: int, seed: int, kept: int = 4) -> None:
        self._resamples, self._seed, self._kept = resamples, seed, kept
        self._known: dict[bytes, Plan | None] = {}

    def of(self, groups: Sequence[str], categories: Sequence[str], held: np.ndarray) -> Plan | None:
        """As ``planned``."""
        text = "\0".join(["\0".join(groups), "\0".join(categories)]).encode()
        key = hashlib.sha256(b"%d,%d;" % (len(groups), len(text)) + text + held.tobytes()).digest()
        plan = self._known.pop(key) if key in self._known else self._made(groups, categories, held)
        self._known[key] = plan
        if len(self._known) > self._kept:
            del self._known[next(iter(self._known))]
        return plan

    def _made(self, groups: Sequence[str], categories: Sequence[str], held: np.ndarray) -> Plan | None:
        return planned(groups, categories, held, self._resamples, self._seed)


def resampled(
    groups: Labels, categories: Labels | None, held: np.ndarray, values: Values, resamples: int, seed: int
) -> Resampled | None:
    """Mean over categories of ``values``, under the draws of ``planned``, whose arguments and None these are."""
    plan = planned(groups, categories, held, resamples, seed)
    return None if plan is None else plan.apply(values)


def planned(groups: Labels, categories: Labels | None, held: np.ndarray, resamples: int, seed: int) -> Plan | None:
    """Draws that depend on the groups, ``held`` and the seed alone.

    Two methods that scored the same samples, given in the same order of groups, are thus resampled alike: their
    difference is paired.

    Args:
        groups: ``(n,)``, the group of each sample.
        categories: ``(n,)``, or None for one category. Those of one class have no value and are left out.
        held: ``(n, 2)`` bool, whether a sample has a normal, and an anomalous part.
        resamples: how many.
        seed: of the draws.

    Returns:
        None where a class of a category lives in no stratum of two groups or more, or no category has both classes.
    """
    parts = []
    units = strata = 0
    rarer = np.zeros(2, np.int64)
    groups = np.asarray(groups)
    for number, rows in enumerate(category_rows(categories, len(held))):
        owner, names = _owners(groups[rows])
        has = np.stack([np.bincount(owner, side, len(names)) > 0 for side in held[rows].T], 1)  # (G, 2)
        rarer += has.sum(0)
        if not has.any(0).all():
            continue
        drawn, kinds = draw(has, resamples, (seed, number))
        if drawn is None:
            return None
        parts.append((rows, owner, drawn))
        units, strata = units + len(names), strata + kinds
    return Plan(tuple(parts), units, strata, int(rarer.min())) if parts else None


def category_rows(categories: Labels | None, count: int) -> Iterator[np.ndarray]:
    """Positions of each category's samples, categories sorted by name."""
    if categories is None:
        yield np.arange(count)
        return
    names, number = np.unique(np.asarray(categories), return_inverse=True)
    order = np.argsort(number, kind="stable")
    yield from np.split(order, np.bincount(number, minlength=len(names)).cumsum()[:-1])


def draw(has: np.ndarray, resamples: int, seed: tuple[int, int]) -> tuple[np.ndarray | None, int]:
    """How often each resample holds each group of one category.

    Takes ``(G, 2)`` bool, whether a group has something normal and something anomalous. Returns ``(1 + resamples, G)``
    float32, every group once and then the resamples, or None where a class lives in no stratum of two groups; and how
    many strata there are.
    """
    kind = 1 * has[:, 0] + 2 * has[:, 1]  # 3: both
    sizes = np.bincount(kind, minlength=4)
    strata = int((sizes > 0).sum())
    if max(sizes[1], sizes[3]) < 2 or max(sizes[2], sizes[3]) < 2:
        return None, strata
    generator = np.random.default_rng(seed)
    drawn = np.ones((1 + resamples, len(kind)), np.float32)
    for stratum, size in enumerate(sizes.tolist()):
        if size:
            picks = generator.integers(0, size, (resamples, size), np.int32) + size * np.arange(resamples)[:, None]
            drawn[1:, kind == stratum] = np.bincount(picks.ravel(), minlength=resamples * size).reshape(-1, size)
    return drawn, strata


def _owners(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(n,)`` the position of each sample's group among its groups sorted by name, and these."""
    names, owner = np.unique(groups, return_inverse=True)
    return owner, names
