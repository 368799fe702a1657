"""Truth of volumes -> how long numbering its regions takes: ours, scipy's and, where installed, cc3d's labelling.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/regions.py`` (half a minute). Least CPU time of five calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from framework.metrics.regions import components

try:
    import cc3d
except ImportError:
    cc3d = None

SHAPE, SMALL = (240, 240, 155), (128, 128, 128)


def lesions(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Balls of 3 to 3000 voxels."""
    rng = np.random.default_rng(0)
    truth = np.zeros(shape, bool)
    for _ in range(count):
        radius = (np.exp(rng.uniform(np.log(3), np.log(3000))) * 3 / 4 / np.pi) ** (1 / 3)
        near, middle = np.ogrid[-9:10, -9:10, -9:10], [rng.integers(20, n - 20) for n in shape]
        ball = sum(x**2 for x in near) <= radius**2
        truth[tuple(slice(m - 9, m + 10) for m in middle)] |= ball
    return truth


def blobs(shape: tuple[int, int, int], share: float) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape).astype(np.float32), 3)
    return smooth > np.quantile(smooth[::7], 1 - share)


def least_ms(run: Callable[[np.ndarray], object], truth: np.ndarray) -> float:
    times = []
    for _ in range(5):
        start = time.process_time()
        run(truth)
        times.append(time.process_time() - start)
    return min(times) * 1e3


def main() -> None:
    """Print the table."""
    cases = {f"{n} lesions": lesions(SHAPE, n) for n in (5, 20, 60)} | {"none": np.zeros(SHAPE, bool)}
    cases |= {f"{share:.0%} in blobs": blobs(SHAPE, share) for share in (0.02, 0.3)}
    cases |= {"noise": np.random.default_rng(0).random(SHAPE) < 0.5}
    cases |= {"128^3, 30 lesions": lesions(SMALL, 30), "128^3, 2% in blobs": blobs(SMALL, 0.02)}
    peers: dict[str, Callable[[np.ndarray], object]] = {"ours": components}
    peers["scipy"] = lambda truth: ndimage.label(truth, np.ones((3, 3, 3)))
    if cc3d:
        peers["cc3d"] = lambda truth: cc3d.connected_components(truth, connectivity=26)
    print(f"{'ms':20}{'voxels':>9}{'regions':>9}" + "".join(f"{name:>9}" for name in peers))
    for name, truth in cases.items():
        times = "".join(f"{least_ms(run, truth):9.1f}" for run in peers.values())
        print(f"{name:20}{truth.sum():9}{components(truth).max():9}{times}", flush=True)


if __name__ == "__main__":
    main()
