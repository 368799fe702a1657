"""Nothing in -> two tables: CPU time to find the object of an organised scan, and to read the labels of a cloud.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/scans.py [--repeats 3]`` (about a minute).
Goals: a scan of 800 x 800 pixels a hundred times sooner than the published way, a plane and then clusters in space, and
the labels of a million points in a second. Peers: Open3D's RANSAC and DBSCAN with the thresholds published for MVTec
3D-AD, and NumPy's genfromtxt, which the loader published with Real3D-AD calls.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project: else tests/domains is taken for domains

from fake_clouds import scan

from domains.pointcloud.files import Shape
from domains.pointcloud.files.background import remove
from domains.pointcloud.library import open3d
from domains.pointcloud.truth import truth_of
from framework.types import Record


def best_ms(repeats: int, run: Callable[..., Any], *arguments: Any) -> float:
    """Least process CPU time of several calls, milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run(*arguments)
        times.append(time.process_time() - start)
    return min(times) * 1e3


def published(xyz: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """``(H, W)`` bool: 4 mm around a plane through the border of 10 pixels, 5 mm away from it, the largest cluster."""
    o3d = open3d()
    border = np.ones_like(valid)
    border[10:-10, 10:-10] = False
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(xyz[border & valid].astype(np.float64)))
    plane = np.array(cloud.segment_plane(0.004, 50, 1000)[0])
    kept = valid & (np.abs(xyz @ plane[:3] + plane[3]) > 0.005)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(xyz[kept].astype(np.float64)))
    labels = np.asarray(cloud.cluster_dbscan(0.006, 30))
    kept[kept] = labels == np.bincount(labels[labels >= 0]).argmax()
    return kept


def overlap(kept: np.ndarray, shown: np.ndarray) -> float:
    """Intersection over union."""
    return float((kept & shown).sum() / (kept | shown).sum())


def measure_ground(side: int, repeats: int) -> None:
    """Print both ways on one scan, and how well each finds the object."""
    xyz, shown, _ = scan(side, dent=True)
    valid = (xyz != 0).any(-1)
    ours, theirs = remove(xyz, valid)[0], published(xyz, valid)
    times = best_ms(repeats, remove, xyz, valid), best_ms(1, published, xyz, valid)
    print(f"{side:6} {times[0]:8.1f} {times[1]:10.1f} {overlap(ours, shown):9.4f} {overlap(theirs, shown):9.4f}")


def measure_labels(count: int, repeats: int) -> None:
    """Print the time that labels of ``count`` points take, in the order of the cloud, in another, and by genfromtxt."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(count, 3)).astype(np.float32)
    rows = np.c_[points, rng.random(count) < 0.02]
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for order in (np.arange(count), rng.permutation(count)):
            path = Path(folder) / "gt.txt"
            np.savetxt(path, rows[order], ["%.6f"] * 3 + ["%d"])
            record = Record(Path(folder) / "a.pcd", True, "duck", truth_path=path)
            times.append(best_ms(repeats, truth_of, record, Shape(points)))
        times.append(best_ms(1, np.genfromtxt, path))
    print(f"{count:8} " + " ".join(f"{t:10.0f}" for t in times))


def main() -> None:
    """Measure scans of two sizes and clouds of two sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    open3d().utility.set_max_threads(1)
    print("ground: CPU-ms, and intersection over union with the object\n  side     ours  published      ours published")
    for side in (400, 800):
        measure_ground(side, repeats)
    print("labels: CPU-ms\n  points   in order   shuffled genfromtxt")
    for count in (100_000, 1_000_000):
        measure_labels(count, repeats)


if __name__ == "__main__":
    main()
