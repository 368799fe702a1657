"""Nothing in -> a table: what drawing a sample costs, and reading it back where its views were kept.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/views.py`` (a minute). 14 views of 384 pixels, CPU seconds.

CPU seconds are the least of three calls.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from domains.pointcloud import PointCloud
from domains.pointcloud.making.procedural import write_pcd
from domains.pointcloud.making.shapes import SHAPES, sample
from framework.data.views import keep_views
from framework.types import Record

COUNTS = (10_000, 100_000, 1_000_000)


def best_s(run: Callable[[], object]) -> float:
    """Least process CPU time of three calls."""
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    print(f"{'points':>10} {'drawn s':>9} {'kept s':>8} {'times':>7} {'MB':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            path = Path(folder) / f"{count}.pcd"
            write_pcd(path, sample(SHAPES["gear"](np.random.default_rng(0)), count, np.random.default_rng(1))[0])
            record = Record(path, False, "gear", truth_path=path)
            reader = PointCloud()
            kept = keep_views(reader, "pointcloud", folder)
            drawn = best_s(lambda reader=reader, record=record: reader.read(record))
            kept.read(record)
            read = best_s(lambda kept=kept, record=record: kept.read(record))
            size = kept.path(record).stat().st_size / 1e6  # type: ignore[attr-defined]
            print(f"{count:>10,} {drawn:9.2f} {read:8.2f} {drawn / read:6.1f}x {size:7.1f}", flush=True)


if __name__ == "__main__":
    main()
