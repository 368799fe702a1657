"""A whole plug-in to copy from: a dataset for a domain that is there, and a domain of its own with a dataset.

Used as ``plugins: [example_plugin]`` in an experiment, or ``anomaly-ov datasets --plugin example_plugin``, with the
folder of this file on PYTHONPATH.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from framework.registry import register
from framework.types import Record, Sample

HEIGHT = 96  # pixels of a drawn curve


@register("dataset", "industrial/parts")
def parts(root: Path, split: str = "test") -> Iterator[Record]:
    """Photographs with labels only.

    Layout: ``<split>/{ok,bad}/*.png``.
    """
    for path in sorted(root.glob(f"{split}/*/*.png")):
        yield Record(path, anomalous=path.parent.name == "bad", category="part")


@register("domain", "signal")
class Signal:
    """Measured curves: the one view draws a curve as a filled area, an element is a time step."""

    element, unit, suffixes = "step", "machine", (".npy",)

    def read(self, record: Record) -> Sample:
        """The curve ``(E,)`` drawn ``HEIGHT`` pixels high; every pixel of a column shows the step of that column."""
        curve = np.load(record.path)
        level = (HEIGHT * (curve - curve.min()) / max(np.ptp(curve), 1e-9)).astype(int)  # (E,)
        filled = np.arange(HEIGHT)[::-1, None] < level  # (HEIGHT, E)
        views = np.where(filled, 60, 220).astype(np.uint8)[None, None].repeat(3, axis=1)  # (1, 3, HEIGHT, E)
        owner = np.broadcast_to(np.arange(len(curve), dtype=np.int32), (1, HEIGHT, len(curve)))
        truth = np.load(record.truth_path) if record.anomalous and record.truth_path else np.zeros(len(curve), bool)
        return Sample(record, views, owner, truth)

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Path]:
        """Write the score of every step, ``(E,)`` float32."""
        path = stem.with_name(f"{stem.name}.npy")
        np.save(path, scores)
        return {"map": path}


@register("dataset", "signal/curves")
def curves(root: Path, split: str = "test") -> Iterator[Record]:
    """Curves with the anomalous steps marked.

    Layout: ``<split>/{ok,bad}/<machine>_<number>.npy``, ``<split>/truth/`` holds a bool array for each bad one.
    """
    for path in sorted(root.glob(f"{split}/*/*.npy")):
        if path.parent.name != "truth":
            bad = path.parent.name == "bad"
            truth = root / split / "truth" / path.name if bad else path  # itself: no step is anomalous
            yield Record(path, bad, "curve", group=path.stem.rpartition("_")[0], truth_path=truth)
