"""The card of a checkpoint: what travels beside its weights -> the first thing that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import torch

from framework.data.looks import unpacked

SCHEMA = 1  # of the card; raise it when a key of ``describe`` is added, removed, or changes its meaning
CARD = {  # what ``describe`` writes and a reader of the card relies on
    "backbone": {"name": str, "options": dict, "identity": dict},
    "expert": {"name": str, "options": dict},
    "crops": str,
    "pool": str,
    "trained_on": list,
    "run": dict,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """One set a checkpoint was trained on.

    Attributes:
        name: in the experiment.
        source: ``domain/dataset``.
        fingerprint: of its content.
        digests: of every sample, sorted, to find overlap with a test set.
        reader: options its domain was read with.
        root, groups: the folder it lay in, and the hashes of its groups, see ``data/kinship.py``.
        looks: of its pictures, packed, to find such as were stored again, see ``data/looks.py``.
    """

    name: str
    source: str
    fingerprint: str
    digests: list[str]
    reader: dict[str, Any] = field(default_factory=dict)
    root: str = ""
    groups: list[str] = field(default_factory=list)
    looks: str = ""


def fault(card: Any, weights: Any) -> str:
    """The first thing in which a checkpoint differs from what ``trained.save`` writes; "" where there is none."""
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        return f"its card has no schema {SCHEMA}"
    missing = _missing(card, CARD, "")
    if missing:
        return f"its card has no {missing}"
    if not all(map(_is_origin, card["trained_on"])):
        return "its card lists trained_on in another form"
    selected = card.get("selection", {})
    if not isinstance(selected, dict) or not isinstance(selected.get("threshold", 0.0), float | int):
        return "its card tells its selection in another form"
    if not isinstance(weights, dict) or not all(isinstance(w, torch.Tensor) for w in weights.values()):
        return "its state_dict holds more than tensors"
    if broken := next((name for name, w in weights.items() if w.isnan().any()), ""):
        return f"{broken} holds NaN"
    return ""


def _is_origin(told: Any) -> bool:
    """Whether it is an ``Origin`` as ``describe`` writes it."""
    needed = {"name", "source", "fingerprint", "digests"}  # the others have defaults
    if not isinstance(told, dict) or not needed <= told.keys() <= {f.name for f in fields(Origin)}:
        return False
    kinds = {"digests": list, "groups": list, "reader": dict}
    if not all(isinstance(value, kinds.get(key, str)) for key, value in told.items()):
        return False
    try:
        unpacked(told.get("looks", ""))
    except ValueError:
        return False
    return True


def _missing(values: dict[str, Any], wanted: dict[str, Any], prefix: str) -> str:
    """The first key that is absent or of another type, with its path; "" where there is none."""
    for key, kind in wanted.items():
        inner = kind if isinstance(kind, dict) else None
        if not isinstance(values.get(key), dict if inner is not None else kind):
            return f"{prefix}{key}"
        if inner is not None and (found := _missing(values[key], inner, f"{prefix}{key}.")):
            return found
    return ""
