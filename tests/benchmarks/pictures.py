"""Clouds and scans -> a table: seconds of ``predict`` with its pages and pictures, and without, in the same run.

    OMP_NUM_THREADS=1 python tests/benchmarks/pictures.py [--times 3]

The small embedded backbone scores, so that the pictures weigh more than they will beside any other. Least CPU
time of several calls of one process each; sizes are those of the files. Goals at 100,000 points: pictures add at most
a second, the page has at most 5 MB at any size. Goals of a scan of 240 x 240 x 155 voxels, noise in all of them: 2
seconds and 6 MB.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project: else tests/domains is taken for domains

from fake_predict import on_photographs

from domains.pointcloud.making.procedural import write_pcd
from domains.pointcloud.making.shapes import SHAPES as SOLIDS
from domains.pointcloud.making.shapes import sample
from framework.tasks.predict import Predictor, _line

COUNTS = (10_000, 100_000, 1_000_000)
SHAPES = ((72, 84, 44), (240, 240, 155))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="calls, of which the least counts (default: 3)")
    times = parser.parse_args().times
    print(f"{'size':>15} {'without s':>10} {'with s':>8} {'added s':>8} {'page MB':>8} {'PNG MB':>7} {'PDF MB':>7}")
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            predictor = Predictor(on_photographs(Path(folder)), device="cpu")
        for count in COUNTS:
            points, _ = sample(SOLIDS["torus"](np.random.default_rng(0)), count, np.random.default_rng(1))
            path = Path(folder) / "torus.pcd"
            write_pcd(path, points)
            _row(predictor, f"{count:,} points", path, times)
        for shape in SHAPES:
            path = Path(folder) / "scan.nii.gz"
            nibabel.save(nibabel.Nifti1Image(head(shape), np.eye(4)), path)
            _row(predictor, " x ".join(map(str, shape)), path, times)


def head(shape: tuple[int, int, int]) -> np.ndarray:
    """A volume like an MR: smooth tissue in an ellipsoid, air around it, noise in all; int16."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    inside = sum((axis / 0.85) ** 2 for axis in axes) < 1
    tissue = 500 + 150 * np.sin(9 * axes[0]) * np.cos(7 * axes[1]) * np.sin(8 * axes[2])
    return np.abs(np.where(inside, tissue, 0) + rng.normal(0, 15, shape)).astype(np.int16)


def _row(predictor: Predictor, size: str, path: Path, times: int) -> None:
    """Measure one file and print its line."""
    plain, whole = (min(_seconds(predictor, path, p) for _ in range(times)) for p in (False, True))
    stem = path.name.partition(".")[0]
    ends = ("_viewer.html", "_views.png", "_views.pdf")
    sizes = [path.with_name(f"{stem}{end}").stat().st_size / 1e6 for end in ends]
    told = " ".join(f"{size:{width}.2f}" for size, width in zip(sizes, (8, 7, 7), strict=True))
    print(f"{size:>15} {plain:>10.2f} {whole:>8.2f} {whole - plain:>8.2f} {told}", flush=True)


def _seconds(predictor: Predictor, path: Path, pictures: bool) -> float:
    start = time.process_time()
    line = _line(predictor, path, path.with_name(path.name.partition(".")[0]), pictures, folder=None)
    assert "error" not in line, line
    return time.process_time() - start


if __name__ == "__main__":
    main()
