"""The root of an industrial set in; its splits and their records out, so that a group in several is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from domains.industrial.datasets.mvtec import AD2
from framework import registry
from framework.types import Record

SPLITS = {
    **dict.fromkeys(("mvtec", "visa", "btad", "aitex", "elpv", "dagm", "ksdd", "ksdd2", "realiad", "deeppcb", "csv")),
    "mvtec_loco": ("train", "validation", "test"),
    "mvtec_ad2": AD2,
}  # None: train and test


def _of(name: str) -> None:
    """Register the splits of one set, each listed only once it is looked at."""

    @registry.register("splits", name)
    def splits(root: Path, **options: Any) -> dict[str, Iterator[Record]]:
        known = SPLITS[name.partition("/")[2]] or ("train", "test")
        return {split: registry.get("dataset", name)(root, split, **options) for split in known}


for each in SPLITS:
    _of(f"industrial/{each}")
