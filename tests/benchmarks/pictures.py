"""Clouds of growing size -> a table: seconds of ``predict`` with its pages and pictures, and without, in the same run.

    OMP_NUM_THREADS=1 python tests/benchmarks/pictures.py [--times 3]

The small embedded backbone scores, so that the pictures weigh more than they will beside any other. Least wall-clock
time of several calls of one process each; sizes are those of the files. Goals at 100,000 points: pictures add at most
a second, the page has at most 5 MB at any size.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project: else tests/domains is taken for domains

from fake_predict import on_photographs

from domains.pointcloud.making.procedural import write_pcd
from domains.pointcloud.making.shapes import SHAPES, sample
from framework.tasks.predict import Predictor, _line

COUNTS = (10_000, 100_000, 1_000_000)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="calls, of which the least counts (default: 3)")
    times = parser.parse_args().times
    print(f"{'points':>9} {'without s':>10} {'with s':>8} {'added s':>8} {'page MB':>8} {'PNG MB':>7} {'PDF MB':>7}")
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            predictor = Predictor(on_photographs(Path(folder)), device="cpu")
        for count in COUNTS:
            points, _ = sample(SHAPES["torus"](np.random.default_rng(0)), count, np.random.default_rng(1))
            path = Path(folder) / "torus.pcd"
            write_pcd(path, points)
            plain, whole = (min(_seconds(predictor, path, p) for _ in range(times)) for p in (False, True))
            sizes = [
                (path.with_name(f"torus{end}")).stat().st_size / 1e6
                for end in ("_viewer.html", "_views.png", "_views.pdf")
            ]
            told = " ".join(f"{size:{width}.2f}" for size, width in zip(sizes, (8, 7, 7), strict=True))
            print(f"{count:>9,} {plain:>10.2f} {whole:>8.2f} {whole - plain:>8.2f} {told}", flush=True)


def _seconds(predictor: Predictor, path: Path, pictures: bool) -> float:
    start = time.perf_counter()
    line = _line(predictor, path, path.with_suffix(""), pictures)
    assert "error" not in line, line
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
