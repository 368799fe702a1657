"""Nothing in -> a table: seconds and memory that reading a DICOM series takes, each way in a process of its own.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/dicom.py [--slices 300] [--side 512]`` (about a minute).
Goal: less time and memory than the peer, MONAI's PydicomReader on the folder. Of ours the slices alone, as they come;
the volume in float32, as the peer makes it; and the views of the reader with its default options. ``sum`` is that of
all values, the same in all ways that make them.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project: else tests/domains is taken for domains

from fake_dicom import series

from domains.medical import Medical, dicom, geometry, volumes
from framework.types import Record


def slices(folder: Path) -> float:
    """Slice by slice."""
    return sum(float(plane.sum(dtype=np.float64)) for plane in dicom.planes(dicom.read(first(folder))))


def volume(folder: Path) -> float:
    """All slices in memory."""
    return float(volumes.stored(geometry.read(first(folder))).voxels.sum(dtype=np.float64))


def views(folder: Path) -> float:
    """What the domain's reader makes of it; its values are grey."""
    sample = Medical().read(Record(first(folder), False, "scan"))
    assert sample.views.any()
    return float("nan")


def monai(folder: Path) -> float:
    """The peer."""
    from monai.data.image_reader import PydicomReader

    reader = PydicomReader()
    values, _ = reader.get_data(reader.read(str(folder)))
    return float(values.sum(dtype=np.float64))


def first(folder: Path) -> Path:
    """Any file of the series."""
    return next(folder.iterdir())


WAYS: dict[str, Callable[[Path], float]] = {f.__name__: f for f in (slices, volume, views, monai)}


def measure(way: str, folder: Path) -> None:
    """Print the line of one way; imports are not counted."""
    for module in ("monai.data.image_reader", "pydicom.pixels.decoders"):  # so that no way pays for them
        importlib.import_module(module)
    logging.disable()
    warnings.simplefilter("ignore")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, wall = time.process_time(), time.perf_counter()
    total = WAYS[way](folder)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{way:8} {cpu:8.2f} {wall:8.2f} {peak:9.0f} {peak - before:9.0f} {total:.6g}")


def main() -> None:
    """Write the series, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--side", type=int, default=512, help="pixels of a slice")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        measure(given.way, given.folder)
        return
    rng, side = np.random.default_rng(0), given.side
    plane = rng.integers(-1000, 1000, (side, side)).astype(np.int16)
    with tempfile.TemporaryDirectory() as name:
        series(Path(name), np.stack([plane + np.int16(k) for k in range(given.slices)]), RescaleSlope=1)
        print(f"{'way':8} {'CPU s':>8} {'wall s':>8} {'peak MB':>9} {'+ MB':>9} sum")
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--folder", name]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
