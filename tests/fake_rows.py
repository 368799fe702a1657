"""Field values in; a whole Row, gallery item or sample, with the rest filled in plausibly, out."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image

from framework.leaderboard.rows import Row

_DEFAULTS: dict[str, Any] = {
    "run": "r1",
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "0123456789abcdef",
    "dirty": False,
    "config": "c" * 64,
    "seed": 0,
    "experiment": "transfer",
    "model": "look_twice",
    "backbone": "embedded",
    "weights": "w" * 64,
    "trained_on": "parts",
    "tested_on": "parts",
    "domain": "industrial",
    "dataset": "industrial/mvtec",
    "fingerprint": "f" * 64,
    "category": "all",
    "level": "sample",
    "element": "",
    "metric": "auroc",
    "value": 0.875,
    "error": 0.0,
    "low": 0.8125,
    "high": 0.9375,
    "interval": "bootstrap by group, 1000 resamples, 95 %",
    "unit": "object",
    "groups": 20,
    "chance": 0.5,
    "normal": 12,
    "anomalous": 8,
    "elements": None,
    "anomalous_elements": None,
    "in_domain": False,
    "overlap": 0,
    "protocol": "ranking/1",
    "hardware": "2 cores",
    "packages": "torch 2.13",
}


def row(**fields: Any) -> Row:
    """A row with these fields."""
    return Row(**(_DEFAULTS | fields))


def picture(shade: int = 120) -> bytes:
    """A PNG of 4 by 4 grey pixels."""
    buffer = BytesIO()
    Image.new("RGB", (4, 4), (shade, shade, shade)).save(buffer, "png")
    return buffer.getvalue()


def item(**fields: Any) -> dict[str, Any]:
    """A gallery item with these entries."""
    return {
        "tested_on": "parts",
        "trained_on": "parts",
        "domain": "industrial",
        "id": "parts/bolt/test/good/000.png",
        "category": "bolt",
        "label": False,
        "defect": "",
        "score": 0.91,
        "wrongness": 0.91,
        "view": picture(100),
        "overlay": picture(150),
        "truth": None,
        "title": None,
        **fields,
    }


def sample(**fields: Any) -> dict[str, Any]:
    """A sample's scores with these entries; exact in binary."""
    return {
        "id": "parts/bolt/test/good/000.png",
        "category": "bolt",
        "group": "000",
        "label": False,
        "score": 0.25,
        "logit": -1.125,
        "tested_on": "parts",
        **fields,
    }


def columns() -> dict[str, Any]:
    """What the rows of one set and model share."""
    own = ("category", "level", "element", "metric", "value", "error", "low", "high", "interval", "groups", "chance")
    counts = ("normal", "anomalous", "elements", "anomalous_elements", "in_domain", "overlap", "protocol")
    return {name: value for name, value in _DEFAULTS.items() if name not in (*own, *counts)}
