"""Element metrics of one set of maps, ours against others, in one run -> a table of time and memory.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/metrics.py [pictures] [side]``, or ``… volumes [count] [side]``. Linux
only (fork, peak memory).
Each contender runs in a process of its own: CPU time, and peak memory beyond what the maps themselves take.
"""

import multiprocessing
import resource
import sys
import time

import numpy as np
import torch
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision, BinaryPrecisionRecallCurve

from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import components

BATCH = 10


def maps(count, side):
    """``(count, side, side)`` float32 probabilities and bool truth: 40 % of the pictures have round defects."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    truth = np.zeros((count, side, side), bool)
    for picture in truth[: count * 2 // 5]:
        for _ in range(rng.integers(1, 4)):
            cy, cx, radius = rng.integers(0, side), rng.integers(0, side), rng.uniform(0.02, 0.09) * side
            picture |= (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    logits = rng.normal(size=truth.shape) - 3 + 3 * truth
    return (1 / (1 + np.exp(-logits))).astype(np.float32), truth


def volumes(count, side):
    """The same of ``(count, side, side, side)``: every volume has round lesions, 1 % of its voxels or less."""
    rng = np.random.default_rng(0)
    truth, steps = np.zeros((count, side, side, side), bool), np.arange(side)
    for volume in truth:
        for _ in range(rng.integers(5, 30)):
            radius, middle = rng.uniform(1, 9) * side / 128, rng.integers(0, side, 3)
            z, y, x = ((steps - m) ** 2 for m in middle)
            volume |= z[:, None, None] + y[:, None] + x <= radius**2
    logits = rng.normal(size=truth.shape) - 3 + 3 * truth
    return (1 / (1 + np.exp(-logits))).astype(np.float32), truth


def ours(scores, truth, batch=1):
    """All four, regions found on the way; one update a picture or volume, as evaluation does."""
    metric = AnomalyCurves(["all"], regions=True)
    for start in range(0, len(scores), batch):
        some, regions, count = truth[start : start + batch], [], 0
        for picture in some:
            numbers = components(picture if picture.ndim == 3 else picture[None])
            regions.append(torch.from_numpy(numbers + count * (numbers > 0) if count else numbers))
            count += int(numbers.max())
        maps = torch.from_numpy(scores[start : start + batch])
        metric.update(maps.flatten(), torch.from_numpy(some).flatten(), torch.cat(regions))
    found = metric.compute()["all"]
    return found.auroc, found.ap, found.f1_max, found.aupro


def ours_in_batches(scores, truth):
    return ours(scores, truth, BATCH)


def torchmetrics_exact(scores, truth):
    metrics = MetricCollection([BinaryAUROC(), BinaryAveragePrecision(), BinaryPrecisionRecallCurve()])
    for start in range(0, len(scores), BATCH):
        metrics.update(
            *(torch.from_numpy(a[start : start + BATCH]).flatten() for a in (scores, truth.astype(np.int64)))
        )
    found = metrics.compute()
    precision, recall, _ = found["BinaryPrecisionRecallCurve"]
    f1 = (2 * precision * recall / (precision + recall).clamp(min=1e-12)).max()
    return float(found["BinaryAUROC"]), float(found["BinaryAveragePrecision"]), float(f1), None


def scikit_learn(scores, truth):
    scores, truth = scores.ravel(), truth.ravel()
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    return roc_auc_score(truth, scores), average_precision_score(truth, scores), f1, None


def sorted_pro(scores, truth, limit=0.3):
    """AUPRO as MVTec's evaluation code: sort all pixels, accumulate, trapezoids."""
    steps = np.zeros(scores.shape)
    count = 0
    for picture, step in zip(truth, steps, strict=True):
        labels, regions = ndimage.label(picture, np.ones((3,) * picture.ndim))
        areas = np.bincount(labels.ravel())
        step[picture] = 1 / areas[labels[picture]]
        count += regions
    order = np.argsort(scores, axis=None)[::-1]
    fpr = np.cumsum(~truth.ravel()[order]) / (~truth).sum()
    coverage = np.cumsum(steps.ravel()[order]) / count
    keep = np.append(np.diff(scores.ravel()[order]) != 0, True)
    fpr, coverage = np.append(0, fpr[keep]), np.append(0, coverage[keep])
    inside = fpr <= limit
    end = np.interp(limit, fpr, coverage)
    return None, None, None, np.trapezoid(np.append(coverage[inside], end), np.append(fpr[inside], limit)) / limit


def measure(contender, scores, truth, pipe):
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    contender(scores[:2], truth[:2])  # the time of what a first call loads is not counted
    start = time.process_time()
    values = contender(scores, truth)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((time.process_time() - start, (peak - before) / 1024, values))


def main(kind="pictures", count=100, side=256, repeats=3):
    scores, truth = (volumes if kind == "volumes" else maps)(count, side)
    size, share = f"{scores.size / 1e6:.1f} M elements", f"{truth.mean():.2%} anomalous"
    print(f"{count} x {side}^{scores.ndim - 1} maps, {size}, {share}, 1 thread")
    measured = f"{'CPU s':>9}{'ms/map':>9}{'ns/elem':>9}{'extra MB':>10}{'x ours':>8}"
    print(f"{'':20}{measured}  AUROC     AP        F1-max    AUPRO")
    fork, baseline = multiprocessing.get_context("fork"), 0.0
    for contender in (ours, ours_in_batches, torchmetrics_exact, scikit_learn, sorted_pro):
        runs = []
        for _ in range(repeats):
            receive, send = fork.Pipe(duplex=False)
            process = fork.Process(target=measure, args=(contender, scores, truth, send))
            process.start()
            runs.append(receive.recv())
            process.join()
        seconds, memory, values = min(runs)
        baseline = baseline or seconds
        shown = "  ".join("-".ljust(8) if v is None else f"{v:.6f}" for v in values)
        each = f"{seconds:9.3f}{seconds / len(scores) * 1e3:9.1f}{seconds / scores.size * 1e9:9.1f}"
        figures = f"{each}{memory:10.0f}{seconds / baseline:8.0f}"
        print(f"{contender.__name__:20}{figures}  {shown}", flush=True)


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    main("volumes", *(numbers or (5, 128))) if "volumes" in sys.argv else main("pictures", *numbers)
