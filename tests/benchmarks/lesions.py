"""Nothing in -> a table: CPU time of one lesion of each kind on a scan and on a picture, beside MONAI's deformation.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/lesions.py [--repeats 5]`` (about a minute).
"study" is what a file costs once, however many lesions are made on it. A kind's time is the mean over as many seeds as
repeats: the lesion in its box and its mask, and "whole" what it costs to copy them into a volume. Peer of "mass", which
pushes tissue aside: MONAI's Rand3DElastic (Rand2DElastic for the picture), which bends all of it and makes no mask.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2]))  # the project: else tests/domains is taken for domains

from domains.medical.making.host import study
from domains.medical.making.spoiling import KINDS, spoil

SCAN, PICTURE = (240, 240, 155), (512, 512)


def cpu_ms(work: Callable[[int], object], repeats: int) -> float:
    """Mean CPU time of the process over seeds 0, 1, ..."""
    start = time.process_time()
    for seed in range(repeats):
        work(seed)
    return 1e3 * (time.process_time() - start) / repeats


def body(shape: tuple[int, ...]) -> np.ndarray:
    """Tissue with structure and noise in an ellipsoid, 0 around, as without a skull; int16, or uint8 in 2D."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*((np.arange(n) - (n - 1) / 2) / (0.4 * n) for n in shape), indexing="ij", sparse=True)
    coarse = rng.normal(size=[n // 8 + 2 for n in shape])
    rough = ndimage.zoom(coarse, 8, order=1)[tuple(slice(n) for n in shape)]
    tissue = (120 + 30 * rough + rng.normal(0, 4, shape)).clip(20, 250)
    return np.where(sum(a * a for a in axes) < 1, tissue, 0).astype(np.int16 if len(shape) == 3 else np.uint8)


def peer(values: np.ndarray) -> Callable[[int], object]:
    """MONAI's elastic deformation of all of it, with its usual smoothness and strength."""
    import torch
    from monai.transforms.spatial.array import Rand2DElastic, Rand3DElastic

    torch.set_num_threads(1)
    image = torch.from_numpy(values.astype(np.float32))[None]
    if values.ndim == 3:
        deform = Rand3DElastic(sigma_range=(5, 7), magnitude_range=(50, 150), prob=1.0)
    else:
        deform = Rand2DElastic(spacing=(20, 20), magnitude_range=(1, 2), prob=1.0)
    return lambda seed: deform.set_random_state(seed)(image)


def row(shape: tuple[int, ...], repeats: int) -> list[float]:
    """Milliseconds of a study, of each kind, of copies of the whole, and of the peer."""
    values, spacing = body(shape), (1.0,) * len(shape)
    host = study(values, spacing)
    made = spoil(host, "mass", (0,))

    def of(kind: str) -> float:
        return cpu_ms(lambda seed: spoil(host, kind, (seed,)), repeats)

    whole = cpu_ms(lambda _: (made.values, made.mask), repeats)
    first = cpu_ms(lambda _: study(values, spacing), repeats)
    return [first, *map(of, KINDS), whole, cpu_ms(peer(values), min(repeats, 3))]


def main() -> None:
    """Measure both shapes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("CPU-ms         " + "".join(f"{name:>10}" for name in ("study", *KINDS, "whole", "elastic")))
    for shape in (SCAN, PICTURE):
        print(f"{' x '.join(map(str, shape)):15}" + "".join(f"{t:10.1f}" for t in row(shape, repeats)))


if __name__ == "__main__":
    main()
