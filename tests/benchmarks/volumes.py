"""Nothing in -> a table: what a scan takes from its file to views and back, and how much memory a CT takes on that way.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/volumes.py [--repeats 3]`` (two minutes).
Goals: 240 x 240 x 155 from a gz file to views in 0.4 CPU-seconds without resampling, and 2 ms a slice from kept ones.
Peer: MONAI's LoadImage, Orientation and ScaleIntensityRangePercentiles, and Spacing, on the same file. A CT of
512 x 512 x 300 goes through a process of its own: file, all views, maps one by one, scores of all voxels, saved map.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project: else tests/domains is taken for domains

from fake_scans import oblique, write

from domains.medical import Medical, cache
from framework.types import Record

HEAD, CT = (240, 240, 155), (512, 512, 300)


def best_ms(repeats: int, run: Callable[..., Any], *arguments: Any) -> float:
    """Least process CPU time of several calls, milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run(*arguments)
        times.append(time.process_time() - start)
    return min(times) * 1e3


def head(folder: Path) -> Path:
    """A scan as an MR of the head is: smooth and noisy inside an ellipsoid, 0 outside, int16."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in HEAD), indexing="ij", sparse=True)
    inside = sum((a / r) ** 2 for a, r in zip(axes, (0.6, 0.75, 0.8), strict=True)) < 1
    smooth = 400 + 100 * np.sin(5 * axes[0]) * np.cos(4 * axes[1]) + 50 * np.sin(6 * axes[2])
    noisy = smooth + rng.normal(0, 15, HEAD).astype(np.float32)
    voxels = np.where(inside, noisy, 0).astype(np.int16)
    return write(folder / "head.nii.gz", voxels, oblique((0, 1, 2), (-1, -1, 1), np.ones(3)))


def body(folder: Path) -> Path:
    """A scan as a CT is: air of -1024, a body with noise, int16."""
    rng, path = np.random.default_rng(0), folder / "ct.nii.gz"
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in CT[:2]), indexing="ij", sparse=True)
    plane = np.where((axes[0] / 0.7) ** 2 + (axes[1] / 0.5) ** 2 < 1, 40, -1024)
    voxels = np.empty(CT, np.int16, order="F")
    for k in range(CT[2]):
        voxels[:, :, k] = plane + rng.normal(0, 12, CT[:2])
    return write(path, voxels, np.diag([-0.7, -0.7, 1.25, 1.0]))


def read(path: Path, folder: Path | None = None, frame: int | None = None, **options: Any) -> np.ndarray:
    """Views of a scan, nothing of which is remembered."""
    cache._scans.clear()
    cache._mapped.clear()
    reader = Medical(**options)
    if folder is not None:
        reader = reader.keep(folder, print)
    return reader.read(Record(path, False, "", frame=frame)).views


def monai(path: Path, spacing: float | None = None) -> np.ndarray:
    """The same scan in grey by MONAI."""
    import warnings

    from monai.transforms import Compose, LoadImage, Orientation, ScaleIntensityRangePercentiles, Spacing

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = [LoadImage(image_only=True, ensure_channel_first=True), Orientation("RAS", labels=None)]
        steps += [] if spacing is None else [Spacing(spacing, mode="bilinear")]
        steps += [ScaleIntensityRangePercentiles(0.5, 99.5, 0, 255, clip=True)]
        return np.asarray(Compose(steps)(path)).astype(np.uint8)


def measure_head(repeats: int, folder: Path) -> None:
    """Print times of a scan of the head."""
    path = head(folder)
    monai(path), read(path)  # imports
    for options in ({}, {"axis": "sagittal"}, {"axis": "all"}, {"crop": "foreground"}, {"spacing": 1.2}):
        theirs = ""
        if not options or "spacing" in options:
            theirs = f"{best_ms(repeats, lambda o=options: monai(path, o.get('spacing'))):10.0f}"
        ours = best_ms(repeats, lambda o=options: read(path, **o))
        print(f"{options or 'file to views'!s:32} {ours:8.0f} {theirs}")
    kept = folder / "kept"
    views = len(read(path, kept))
    print(f"{'from kept slices, all ' + str(views):32} {best_ms(repeats, read, path, kept) / views:8.3f}   a slice")
    one = best_ms(repeats * 10, lambda: read(path, kept, frame=70))
    print(f"{'from kept slices, one, opened anew':32} {one:8.3f}   a slice")
    reader = Medical().keep(kept, print)
    again = best_ms(repeats * 10, lambda: reader.read(Record(path, False, "", frame=71)))
    print(f"{'from kept slices, one, still open':32} {again:8.3f}   a slice")
    for options in ({}, {"axis": "sagittal"}, {"axis": "all"}, {"spacing": 1.2}):
        sample = Medical(**options).read(Record(path, False, ""))
        maps = [np.full(sample.views.shape[2:], 0.5, np.float32)] * len(sample.views)
        print(f"{'maps back, ' + str(options):32} {best_ms(repeats, lambda s=sample, m=maps: s.back(iter(m))):8.0f}")


def peak_mb() -> float:
    """Most memory this process has had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def whole_way(path: Path, options: dict[str, Any]) -> None:
    """A CT from file to saved map; print the peak above what imports take, and seconds."""
    import nibabel
    import torch  # noqa: F401

    if options.get("crop") == "foreground":
        import monai.transforms.croppad.array  # noqa: F401

    del nibabel
    base, start = peak_mb(), time.process_time()
    reader = Medical(**options)
    sample = reader.read(Record(path, False, ""))
    after = peak_mb()

    def maps() -> Iterator[np.ndarray]:
        """One constant map after the other."""
        for view in range(len(sample.views)):
            yield np.full(sample.views.shape[2:], 0.5 + view / 1e4, np.float32)

    scores = sample.back(maps())
    back, lifted = peak_mb(), time.process_time()
    reader.save(sample, scores, path.with_name("map"))
    print(
        f"{options or 'plain'!s:32} {base:8.0f} {after - base:8.0f} {back - base:8.0f} {peak_mb() - base:8.0f}"
        f" {lifted - start:8.1f} {time.process_time() - lifted:8.1f}"
    )


def main() -> None:
    """Measure a head in this process, a CT in others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ct", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--options", default="{}", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ct:
        import json

        whole_way(given.ct, json.loads(given.options))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"{HEAD[0]} x {HEAD[1]} x {HEAD[2]}, CPU-ms: {'ours':>16} {'MONAI':>10}")
        measure_head(given.repeats, Path(folder))
        path = body(Path(folder))
        print(
            f"{CT[0]} x {CT[1]} x {CT[2]}, peak in MB: imports, above them after views, scores, saved; CPU-s, to save"
        )
        for options in ("{}", '{"window": ["brain", "lung", "bone"]}', '{"axis": "all"}', '{"spacing": 1.25}'):
            subprocess.run([sys.executable, __file__, "--ct", path, "--options", options], check=True)


if __name__ == "__main__":
    main()
