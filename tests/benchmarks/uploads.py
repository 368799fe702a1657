"""A picture, a cloud and a scan -> a table: seconds until ``serve`` has read an upload, in a fresh process and in ours.

    OMP_NUM_THREADS=1 python tests/benchmarks/uploads.py [--times 3]

Both ways read with the same limits in a process of its own and in turn, wall-clock medians. Fresh: a new interpreter,
which imports what the domain needs. Forked: from the process that has it imported; the time that this takes once, and
its resident memory, are told apart. Views must be the same, or the script ends.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from framework.web import reading

FRESH = "import sys; from pathlib import Path; from framework.web import reading; "
FRESH += "reading.main(Path(sys.argv[1]), sys.argv[2], {})"
FILES = {"a.png": "industrial", "ball.ply": "pointcloud", "head.nii.gz": "medical"}


def write(folder: Path) -> None:
    """A picture of 640 x 480 pixels, a ball of 20,000 points, a scan of 96 x 96 x 40 voxels."""
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 256, (480, 640, 3), np.uint8)).save(folder / "a.png")
    points = draw.normal(size=(20_000, 3)).astype("<f4")
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 20000\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    (folder / "ball.ply").write_bytes(header.encode() + points.tobytes())
    voxels = draw.normal(100, 2, (96, 96, 40)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / "head.nii.gz")


def fresh(path: Path, domain: str) -> np.ndarray:
    """Views, by a process that begins with nothing."""
    subprocess.run([sys.executable, "-c", FRESH, str(path), domain], check=True)
    with np.load(path.with_name(reading.ARRAYS), allow_pickle=False) as arrays:
        return arrays["views"]


def forked(path: Path, domain: str) -> np.ndarray:
    """Views, as ``serve`` reads them."""
    return asyncio.run(reading.read(path, domain))[0].views


def resident_mb() -> int:
    """Of the process that readers are forked from."""
    number = forkserver._forkserver._forkserver_pid
    (line,) = [x for x in Path(f"/proc/{number}/status").read_text().splitlines() if x.startswith("VmRSS")]
    return int(line.split()[1]) >> 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        begin = time.perf_counter()
        forked(folder / "a.png", "industrial")
        print(f"warm after {time.perf_counter() - begin:.1f} s, {resident_mb()} MB resident")
        print(f"{'file':12} {'fresh s':>8} {'forked s':>9} {'times':>6}")
        for file, domain in FILES.items():
            seconds: dict[str, list[float]] = {"fresh": [], "forked": []}
            for _ in range(times):
                views = []
                for way in (fresh, forked):
                    begin = time.perf_counter()
                    views.append(way(folder / file, domain))
                    seconds[way.__name__].append(time.perf_counter() - begin)
                if not np.array_equal(*views):
                    sys.exit(f"{file}: views differ")
            a, b = (statistics.median(seconds[way]) for way in ("fresh", "forked"))
            print(f"{file:12} {a:8.2f} {b:9.2f} {a / b:6.1f}", flush=True)


if __name__ == "__main__":
    main()
