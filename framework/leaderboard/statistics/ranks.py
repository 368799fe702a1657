"""p values of many comparisons, or who is better than whom, in; adjusted p values, or shared ranks, out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that, with all of them read at 5 %, one or more false ones are found in at most 5 % of families.

    The k-th smallest of n is multiplied by n - k + 1, and is no smaller than the ones before it, nor above 1. It asks
    for no independence, which pairs that share a method do not have.

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, floor = [0.0] * len(order), 0.0
    for place, i in enumerate(order):
        floor = max(floor, min(1.0, (len(order) - place) * p_values[i]))
        adjusted[i] = floor
    return adjusted


def shared_ranks(
    names: Iterable[str], better: Collection[tuple[str, str]], counted: Collection[str] | None = None
) -> dict[str, int]:
    """Rank of each name: 1 + how many of those that count are significantly better.

    A rank is a count, so ranks are ordered however "cannot be told apart" behaves, which is not transitive: a may be
    better than c while b can be told from neither. Then a and b have rank 1 and c has rank 2. A higher rank alone does
    not say that one is better than the other: pairs say that.

    Args:
        names: to rank.
        better: pairs ``(a, b)`` where a is better than b.
        counted: names that push others down; None for all.
    """
    return {name: 1 + sum(b == name and (counted is None or a in counted) for a, b in better) for name in names}
