"""False positives and lesions found of one scan, at all thresholds against loops over 64 of them -> time and memory.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/detections.py [ct]`` (2 minutes). Linux only (fork, peak memory).
Ours counts at each of 131,071 thresholds. The loops label the blobs at 64 of them, with scipy and, where it can be
imported, connected-components-3d; where they looked, the counts are compared. "ct" adds 512 x 512 x 300 (ours alone).
Each contender runs in a process of its own: CPU time, and peak memory beyond what the scan itself takes.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import torch
from scipy import ndimage

from framework.metrics import axis
from framework.metrics.detections import tally
from framework.metrics.regions import components

try:
    import cc3d
except ImportError:
    cc3d = None

STEPS, PATCH = 64, 9
Scan = tuple[np.ndarray, np.ndarray]


def scan(shape: tuple[int, int, int], kind: str, lesions: int = 30) -> Scan:
    """Scores as of patches of 9 x 9 pixels a slice, and numbered lesions of 3 to 3000 voxels, which score higher."""
    rng = np.random.default_rng(0)
    truth, centre = np.zeros(shape, bool), np.array(shape) / 2
    for _ in range(lesions):
        radius = (np.exp(rng.uniform(np.log(3), np.log(3000))) * 3 / 4 / np.pi) ** (1 / 3)
        middle = (centre + rng.uniform(-0.3, 0.3, 3) * shape).astype(int)
        near = np.stack(np.mgrid[tuple(slice(-int(radius) - 1, int(radius) + 2) for _ in shape)])
        at = (near.reshape(3, -1) + middle[:, None])[:, (near.reshape(3, -1) ** 2).sum(0) <= radius**2]
        truth[tuple(at)] = True
    if kind == "noise":
        return rng.random(shape, np.float32), components(truth)
    sides = tuple(-(-n // PATCH) for n in shape[:2])
    patches = torch.from_numpy(rng.normal(size=(shape[2], 1, *sides)).astype(np.float32))
    logits = torch.nn.functional.interpolate(patches, size=shape[:2], mode="bilinear")[:, 0].permute(1, 2, 0)
    scores = torch.sigmoid(2 * logits - 3 + 3 * torch.from_numpy(truth)).numpy().copy()
    if kind == "head":  # nothing was looked at outside
        away = np.stack(np.mgrid[tuple(slice(0, n) for n in shape)]) - centre[:, None, None, None]
        scores[(away**2 / (centre**2)[:, None, None, None]).sum(0) > 0.6] = 0
    return scores, components(truth)


def thresholds(scores: np.ndarray) -> np.ndarray:
    """``(STEPS,)`` int, bins: the highest first, evenly among the scores above 0."""
    keys = axis.keys(torch.from_numpy(scores[scores > 0][::97]), "probability").numpy()
    return np.quantile(keys, np.linspace(1, 0.001, STEPS), method="nearest")


def ours(scores: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    found = tally(torch.from_numpy(scores).flatten(), torch.from_numpy(numbers), scores.shape)
    return found[2:, ::-1].cumsum(1)[:, ::-1][:, thresholds(scores)]


def loop_scipy(scores: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return loop(scores, numbers, lambda flagged: ndimage.label(flagged, np.ones((3, 3, 3))))


def loop_cc3d(scores: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return loop(scores, numbers, lambda flagged: cc3d.connected_components(flagged, connectivity=26, return_N=True))


def loop(scores: np.ndarray, numbers: np.ndarray, label: Callable[[np.ndarray], tuple[np.ndarray, int]]) -> np.ndarray:
    """``(2, STEPS)``: blobs without a lesion, lesions found."""
    keys = axis.keys(torch.from_numpy(scores).flatten(), "probability").numpy().reshape(scores.shape)
    places = np.unravel_index(np.flatnonzero(numbers), scores.shape)
    owners, counts = numbers[numbers > 0], []
    for threshold in thresholds(scores):
        flagged = keys >= threshold
        blobs, count = label(flagged)
        hit = flagged[places]
        counts.append((count - len(np.unique(blobs[places][hit])), len(np.unique(owners[hit]))))
    return np.array(counts).T


def measure(contender: Callable[..., np.ndarray], held: Scan, pipe: Connection) -> None:
    torch.set_num_threads(1)
    contender(*scan((32, 32, 16), "plain"))  # the time of what a first call loads is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    counts = contender(*held)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((time.process_time() - start, (peak - before) / 1024, counts))


def main(*arguments: str) -> None:
    """Print the table."""
    fork = multiprocessing.get_context("fork")
    cases = [((240, 240, 155), kind) for kind in ("plain", "head", "noise")] + [((128, 128, 128), "plain")]
    contenders = [ours, loop_scipy] + ([loop_cc3d] if cc3d else [])
    print(f"{'scan':24}{'contender':12}{'CPU s':>8}{'extra MB':>10}  counts")
    for shape, kind in cases + [((512, 512, 300), "head")] * ("ct" in arguments):
        held, expected = scan(shape, kind), None
        for contender in contenders[: 1 if shape[0] == 512 else None]:
            runs = []
            for _ in range(3 if contender is ours else 1):
                receive, send = fork.Pipe(duplex=False)
                process = fork.Process(target=measure, args=(contender, held, send))
                process.start()
                runs.append(receive.recv())
                process.join()
            seconds, memory, counts = min(runs, key=lambda run: run[0])
            told = "" if expected is None else "equal" if np.array_equal(counts, expected) else "DIFFERENT"
            expected = counts if expected is None else expected
            name = f"{'x'.join(map(str, shape))} {kind}"
            print(f"{name:24}{contender.__name__:12}{seconds:8.2f}{memory:10.0f}  {told}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
