"""Text such as "3 pitch" or "0.03..0.1 size, 3 pitch" in; how far a defect moves the surface out.

A pitch is the distance of neighbouring samples; a size is the object's radius. Of several amounts the largest counts,
so "0.05 size, 3 pitch" is a twentieth of the radius, but nothing that the sampling cannot show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from framework.errors import UserError

NAMED = {
    "any": "0.03..0.1 size, 3 pitch",
    "faint": "2..4 pitch",
    "plain": "0.08..0.12 size, 6 pitch",
}
DEFAULT = NAMED["any"]
LEAST_PITCH = 1.0  # a smaller defect moves hardly a point visibly
MOST_SIZE = 0.5
_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_AMOUNT = re.compile(rf"\s*{_NUMBER}\s*(?:\.\.\s*{_NUMBER})?\s*(pitch|size)\s*")


@dataclass(frozen=True, slots=True)
class Amount:
    """From ``low`` to ``high`` of a unit, "pitch" or "size"; even in the logarithm."""

    low: float
    high: float
    unit: str


def parse(text: str) -> tuple[Amount, ...]:
    """Amounts of a text, or of a name of ``NAMED``.

    Raises:
        UserError: it reads otherwise, or is too small or too large to be a defect.
    """
    amounts = []
    for part in NAMED.get(text, text).split(","):
        found = _AMOUNT.fullmatch(part)
        if not found:
            raise UserError(
                f'amplitude {text!r}: write "3 pitch", "0.05 size", a range "2..6 pitch", the larger of two '
                f'"0.05 size, 3 pitch", or {", ".join(NAMED)}.'
            )
        low = float(found[1])
        amount = Amount(low, float(found[2] or low), found[3])
        if not 0 < amount.low <= amount.high:
            raise UserError(
                f"amplitude {text!r}: goes from {amount.low:g} to {amount.high:g}; write the smaller first."
            )
        if amount.unit == "size" and amount.high > MOST_SIZE:
            raise UserError(f"amplitude {text!r}: more than {MOST_SIZE:g} size leaves little of the object.")
        amounts.append(amount)
    if all(a.unit == "pitch" and a.low < LEAST_PITCH for a in amounts):
        raise UserError(f"amplitude {text!r}: below {LEAST_PITCH:g} pitch a defect is lost among the samples.")
    return tuple(amounts)


def draw(amounts: tuple[Amount, ...], pitch: float, rng: np.random.Generator) -> float:
    """How far the surface moves at most, in the unit of ``pitch`` where the object's radius is 1."""
    share = rng.random()
    return max(a.low * (a.high / a.low) ** share * (pitch if a.unit == "pitch" else 1.0) for a in amounts)
