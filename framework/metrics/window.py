"""Scores of any range -> bins of an axis that grows with what was seen; a coarser axis joins whole bins of a finer one.

What is counted where follows from the scores alone, not from their order: the axis is a function of what was seen, and
the counts of a finer one, joined, are those of a coarser one. There are four axes, none a guess about what scores mean.
HALF and BRAIN: each float16 or bfloat16 has its bin, while all scores so far were such; nothing is lost. SHARE: while
all scores lie in [0, 1], the float32 bits of p below 1/2, mirrored above, so as fine near 1 as near 0. LINE:
floor(x / 2^e). SHARE and LINE keep the span that was seen in a ring: bin ``id`` lies at ``id mod bins``. Edges are
multiples of powers of two, so bins of SHARE lie within those of a LINE that is no finer than its ``FLOOR``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from framework.metrics.regions import where

HALF, BRAIN, SHARE, LINE = range(4)
LOW, HIGH, INNER_LOW, INNER_HIGH, NOT_HALF, NOT_BRAIN, FLOOR = range(7)  # columns of what was seen, lows negated
EMPTY = (-math.inf, -math.inf, -math.inf, -math.inf, 0.0, 0.0, -126.0)
SLOTS = 4  # after the ring: the bins of -inf, 0, 1 and inf
_VALUES = (-math.inf, 0.0, 1.0, math.inf)  # of the slots
_MIDDLE = 0x3F000000  # bits of 0.5
_TYPES = (torch.float16, torch.bfloat16)  # of the first two axes


@dataclass(frozen=True, slots=True)
class Axis:
    """Where scores are counted: which of the four, and, of the last two, how many bits or halvings it is coarser."""

    kind: int
    exponent: int
    start: int  # number of the ring's first bin


def look(scores: Tensor, seen: list[float]) -> tuple[list[float], tuple[float, float]]:
    """``seen`` and these scores.

    Args:
        scores: ``(E,)`` floating point, E > 0.
        seen: 7 numbers, at first ``EMPTY``. Of two sets of scores together it is the larger of each.

    Returns:
        The same with these, and the least and highest of these, infinite or not.

    Raises:
        ValueError: a score is NaN.
    """
    values = scores.float()
    low, high = (float(x) for x in torch.aminmax(values))
    if low != low:
        raise ValueError(f"scores hold NaN ({int(scores.isnan().sum())} of {scores.numel()})")
    found, ends = list(seen), (low, high)
    found[NOT_HALF] = max(seen[NOT_HALF], 0.0 if not seen[NOT_HALF] and _all(scores, torch.float16) else 1.0)
    found[NOT_BRAIN] = max(seen[NOT_BRAIN], 0.0 if not seen[NOT_BRAIN] and _all(scores, torch.bfloat16) else 1.0)
    if math.isinf(low) or math.isinf(high):
        values = values[values.isfinite()]
        if not len(values):
            return found, ends
        low, high = (float(x) for x in torch.aminmax(values))
    inner_low, inner_high = low, high
    if low >= 0 and high <= 1 and (low == 0 or high == 1):
        values = values[(values > 0) & (values < 1)]
        inner_low, inner_high = (float(x) for x in torch.aminmax(values)) if len(values) else (math.inf, -math.inf)
    extremes = (-low, high, -inner_low, inner_high)
    found[:NOT_HALF] = [max(a, b) for a, b in zip(seen[:NOT_HALF], extremes, strict=True)]
    return found, ends


def axis_of(seen: list[float], bins: int) -> Axis:
    """The finest axis that holds all that was seen in so many bins."""
    if bins >= 1 << 16 and not (seen[NOT_HALF] and seen[NOT_BRAIN]):
        return Axis(BRAIN if seen[NOT_HALF] else HALF, 0, 0)
    low, high = -seen[LOW], seen[HIGH]
    if high == -math.inf:
        return Axis(LINE, int(seen[FLOOR]), 0)
    if low >= 0 and high <= 1 and seen[FLOOR] == EMPTY[FLOOR]:
        if seen[INNER_HIGH] == -math.inf:
            return Axis(SHARE, 0, 0)
        first, last = (int(_code(torch.tensor([x]))) for x in (-seen[INNER_LOW], seen[INNER_HIGH]))
        exponent = 0
        while (last >> exponent) - (first >> exponent) >= bins:
            exponent += 1
        return Axis(SHARE, exponent, first >> exponent)
    exponent = max(math.frexp(max(abs(low), abs(high)))[1] - 25, int(seen[FLOOR]))  # finer than float32 there: no use
    while math.floor(math.ldexp(high, -exponent)) - math.floor(math.ldexp(low, -exponent)) >= bins:
        exponent += 1
    return Axis(LINE, exponent, math.floor(math.ldexp(low, -exponent)))


def keys(scores: Tensor, axis: Axis, bins: int) -> Tensor:
    """``(E,)`` int32, the bin of each score; of 0, 1 and infinities one that ``slots`` tells to move them from.

    Args:
        scores: ``(E,)`` float32, or float64 with values that are floor of a bin; within what the axis was made for.
        axis: of ``axis_of``.
        bins: of the ring, a power of two.
    """
    if axis.kind == LINE:
        wide = scores.double() if axis.exponent > 0 else scores  # so that nothing rounds to 0
        return wide.mul(2.0**-axis.exponent).floor_().to(torch.int32).bitwise_and_(bins - 1)
    scores = scores.float()
    if axis.kind == SHARE:
        found = scores.view(torch.int32) >> axis.exponent
        upper = where(scores >= 0.5)  # few, as a rule
        if len(upper):
            found[upper] = _code(scores.index_select(0, upper)) >> axis.exponent
        return found.bitwise_and_(bins - 1)
    found = scores.half().view(torch.int16).int() if axis.kind == HALF else scores.view(torch.int32) >> 16
    return found.bitwise_xor_((found >> 15).bitwise_and_(0x7FFF)).add_(1 << 15)


def count(row: Tensor, scores: Tensor, axis: Axis, bins: int, ends: tuple[float, float]) -> None:
    """Count ``(E,)`` floating point scores in a ``(bins + SLOTS,)`` int64 row, as ``counted`` would, in fewer passes.

    Args:
        row: of a histogram, changed in place.
        scores: float32, or of half precision where the axis is of their type.
        axis: of ``axis_of``.
        bins: of the ring.
        ends: least and highest of these scores.
    """
    if axis.kind <= BRAIN:
        if scores.dtype == _TYPES[axis.kind] and ends[0] > 0:
            _tally(row[1 << 15 :], scores.view(torch.int16))
        else:
            _tally(row, counted(scores.float(), axis, bins))
        return
    scores = scores.float()
    if math.isinf(ends[0]) or math.isinf(ends[1]):
        row[bins] += int((scores == -math.inf).sum())
        row[bins + _VALUES.index(math.inf)] += int((scores == math.inf).sum())
        scores = scores[scores.isfinite()]
    _tally(row, keys(scores, axis, bins))
    for value in (0.0, 1.0) if axis.kind == SHARE else (0.0,):
        if ends[0] <= value <= ends[1]:
            same = len(scores) - int(torch.count_nonzero(scores)) if value == 0 else int((scores == value).sum())
            row[int(keys(torch.tensor([value]), axis, bins))] -= same
            row[bins + _VALUES.index(value)] += same


def counted(scores: Tensor, axis: Axis, bins: int) -> Tensor:
    """``(E,)`` int32, where each score is counted: ``keys``, or a slot after the ring."""
    if axis.kind <= BRAIN:
        return keys(scores + 0.0, axis, bins)  # 0.0 and -0.0 are one score
    found = keys(torch.nan_to_num(scores, posinf=0.0, neginf=0.0) + 0.0, axis, bins)
    for number, value in enumerate(_VALUES):
        if value != 1 or axis.kind == SHARE:
            found = found.masked_fill_(scores == value, bins + number)
    return found


def places(axis: Axis, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The bins in the order of scores.

    Returns:
        ``(K,)`` int64 positions in a histogram, float64 lower and upper edges (a bin holds its lower one, and not its
        upper one unless they are equal), and bool, whether no two float32 scores share the bin.
    """
    if axis.kind <= BRAIN:
        code = (order := np.arange(1 << 16)) - (1 << 15)
        bits = (code ^ ((code >> 15) & 0x7FFF)).astype(np.int16)
        value = bits.view(np.float16) if axis.kind == HALF else (bits.astype(np.int32) << 16).view(np.float32)
        keep = ~np.isnan(value)
        edges = value[keep].astype(np.float64) + 0.0
        return order[keep], edges, edges, np.ones(len(edges), bool)
    ids = axis.start + np.arange(bins)
    edges = _edges(np.append(ids, ids[-1] + 1), axis)
    low, top = edges[:-1], edges[1:]
    if axis.kind == LINE:
        single = np.minimum(abs(ids), abs(ids + 1)) >= 1 << 23
    else:
        single = np.full(bins, axis.exponent == 0) | ((low >= 0.5) & (top - low <= 2.0**-24))
    slots = {value: bins + i for i, value in enumerate(_VALUES) if value != 1 or axis.kind == SHARE}
    own = list(slots)
    at = np.searchsorted(low, own)  # 0 before the rest of its bin
    columns = ((ids & (bins - 1), list(slots.values())), (low, own), (top, own), (single, [True] * len(own)))
    position, low, top, single = (np.insert(held, at, extra) for held, extra in columns)
    return position, low, top, single


def moved(hist: Tensor, old: Axis, new: Axis, bins: int) -> Tensor:
    """``(R, bins + SLOTS)`` int64 counts of one axis as those of a coarser one."""
    if ((same := old.kind == new.kind) and (old.kind <= BRAIN or old.exponent == new.exponent)) or not bool(
        hist[:2].any()
    ):
        return hist  # a ring may start elsewhere
    if same:
        ring = torch.arange(bins, device=hist.device)
        ids = old.start + ((ring - old.start) & (bins - 1))
        target = torch.cat(
            [(ids >> new.exponent - old.exponent) & (bins - 1), torch.arange(bins, bins + SLOTS).to(ids)]
        )
        return torch.zeros_like(hist).index_add_(1, target, hist)
    position, low, top, _ = places(old, bins)
    used = hist[:2].any(0).cpu().numpy()[position]
    position, values, exact = position[used], torch.from_numpy(low[used]), torch.from_numpy((low == top)[used])
    target = keys(values.nan_to_num(posinf=0.0, neginf=0.0), new, bins)
    target[exact] = counted(values[exact].float(), new, bins)
    source = torch.from_numpy(position).to(hist.device)
    return torch.zeros_like(hist).index_add_(1, target.to(hist.device), hist.index_select(1, source))


def agreed(seen: list[float], hists: Tensor, old: list[Axis], bins: int) -> list[float]:
    """``seen`` with the ``FLOOR`` that it needs where counts were made on other axes, a row of ``hists`` each.

    It is the exponent of a LINE within whose bins those used of a SHARE lie.
    """
    floor = seen[FLOOR]
    for hist, axis in zip(hists, old, strict=True) if axis_of(seen, bins).kind == LINE else ():
        if axis.kind == SHARE:
            position, low, top, _ = places(axis, bins)
            used = hist[:2].any(0).cpu().numpy()[position] & (top > low)
            floor = max(floor, math.ceil(math.log2((top[used] - low[used]).max(initial=2.0**-126))))
    return [*seen[:FLOOR], floor]


def _code(shares: Tensor) -> Tensor:
    """``(E,)`` float32 in [0, 1] -> int32 that grows with them: bits below 1/2, and above those of 1 - p, mirrored."""
    mirrored = 2 * _MIDDLE - (1 - shares).view(torch.int32)
    return torch.where(shares < 0.5, shares.view(torch.int32), mirrored)


def _tally(row: Tensor, found: Tensor) -> None:
    """Add to a row how often each number occurs; a fresh count pays where there are many more numbers than bins."""
    if found.is_cuda or (found.dtype == torch.int32 and len(found) < 2 * len(row)):
        row.index_add_(0, found.int(), torch.ones((), dtype=torch.int64, device=row.device).expand(len(found)))
    else:
        counts = torch.bincount(found)
        row[: len(counts)] += counts


def _edges(ids: np.ndarray, axis: Axis) -> np.ndarray:
    """Lower edges of numbered bins, exact in float64."""
    if axis.kind == LINE:
        return np.ldexp(ids.astype(np.float64), axis.exponent)
    codes = np.clip(ids << axis.exponent, 0, 2 * _MIDDLE)
    lower, upper = np.minimum(codes, _MIDDLE), 2 * _MIDDLE - np.maximum(codes, _MIDDLE)
    bits = np.where(codes < _MIDDLE, lower, upper).astype(np.int32).view(np.float32).astype(np.float64)
    return np.where(codes < _MIDDLE, bits, 1 - bits)


def _all(scores: Tensor, dtype: torch.dtype) -> bool:
    """Whether all scores are numbers of a type of half precision; most are not, and the first 4096 tell."""
    parts = () if scores.dtype == dtype else (scores[:4096], scores[4096:])
    return all(torch.equal(part.to(dtype).to(part.dtype), part) for part in parts)
