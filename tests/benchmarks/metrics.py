"""Element metrics of one set of maps, score range unknown, ours against others in one run -> time, memory, values.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/metrics.py`` (500 maps of 256 px, 100 of 512, 5 volumes of 128^3), or
``… pictures [count] [side]``, ``… volumes [count] [side]``. Linux only (fork, peak memory).
Peers, in a folder of their own: ``uv pip install --target PEERS --no-deps anomalib==2.7.0 adeval==1.1.0 scikit-image
lazy-loader imageio tifffile kornia kornia-rs FrEIA opencv-python-headless jsonargparse rich matplotlib contourpy cycler
kiwisolver fonttools python-dateutil pyparsing six pandas python-dotenv einops albumentations``, then with
``PYTHONPATH=.:PEERS``; one that is missing is left out. Each contender runs in a process of its own: CPU time (ours and
adeval: the least of five runs), and peak memory beyond what the maps themselves take. The code of papers is timed on
100 of the maps.
"""

import multiprocessing
import resource
import sys
import time
from importlib.util import find_spec

import numpy as np
import torch
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision, BinaryPrecisionRecallCurve

from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import numbered

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


def ours(scores, truth, batch=BATCH):
    """All of ours, regions found on the way."""
    metric = AnomalyCurves(["all"], "any", regions=True)
    for start in range(0, len(scores), batch):
        some, parts, count = truth[start : start + batch], [], 0
        for picture in some:
            parts.append(numbered(picture if picture.ndim == 3 else picture[None]) + count)
            count = int(parts[-1].max(initial=count))
        maps = torch.from_numpy(scores[start : start + batch])
        metric.update(maps.flatten(), torch.from_numpy(some).flatten(), torch.from_numpy(np.concatenate(parts)))
    found = metric.compute()["all"]
    errors = found.auroc_error, found.ap_error, found.f1_max_error, found.aupro_error
    return (found.auroc, found.ap, found.f1_max, found.aupro, found.aupro_lineage), max(
        e for e in errors if e is not None
    )


def ours_one_by_one(scores, truth):
    return ours(scores, truth, 1)


def ours_half(scores, truth):
    """Of float16 scores, which ``measure`` makes."""
    return ours(scores, truth)


def anomalib(scores, truth):
    """Its four metrics, with the names without underscore taken off: those want its own batches."""
    from anomalib.metrics.aupr import _AUPR
    from anomalib.metrics.aupro import _AUPRO
    from anomalib.metrics.auroc import _AUROC
    from anomalib.metrics.f1_score import _F1Max

    metrics = [_AUROC(), _AUPR(), _F1Max(), _AUPRO()]
    for start in range(0, len(scores), BATCH):
        some = torch.from_numpy(scores[start : start + BATCH])
        marked = torch.from_numpy(truth[start : start + BATCH].astype(np.int64))
        for metric in metrics:
            metric.update(some, marked)
    return tuple(float(metric.compute()) for metric in metrics), None


def adeval(scores, truth):
    """1,000 strips between bounds that are given; it has no F1-max."""
    import adeval

    vars(np).setdefault("trapz", np.trapezoid)  # gone from NumPy 2.4
    found = adeval.EvalAccumulator(0.0, 1.0)
    for some, marked in zip(scores, truth, strict=True):
        found.add_anomap(some, marked.astype(np.uint8))
    found.add_image(np.array([0.1, 0.9]), np.array([0, 1]))
    values = found.summary()
    return (values["p_auroc"], values["p_aupr"], None, values["p_aupro"]), None


def papers(scores, truth):
    """AUROC, AP and F1-max by scikit-learn and ``cal_pro_score`` as AnomalyCLIP has it."""
    from skimage import measure as image

    values, _ = scikit_learn(scores, truth)
    rates, covered = [], []
    least, highest = scores.min(), scores.max()
    for t in np.arange(least, highest, (highest - least) / 200):
        above, shares = scores > t, []
        for some, marked in zip(above, truth, strict=True):
            for region in image.regionprops(image.label(marked)):
                shares.append(some[region.coords[:, 0], region.coords[:, 1]].sum() / region.area)
        covered.append(np.mean(shares))
        rates.append(np.logical_and(~truth, above).sum() / (~truth).sum())
    x, y = (np.array(a)[np.array(rates) < 0.3][::-1] for a in (rates, covered))
    return (*values[:3], None, float(np.trapezoid(y, (x - x.min()) / (x.max() - x.min())))), None


def torchmetrics_exact(scores, truth):
    metrics = MetricCollection([BinaryAUROC(), BinaryAveragePrecision(), BinaryPrecisionRecallCurve()])
    for start in range(0, len(scores), BATCH):
        metrics.update(
            *(torch.from_numpy(a[start : start + BATCH]).flatten() for a in (scores, truth.astype(np.int64)))
        )
    found = metrics.compute()
    precision, recall, _ = found["BinaryPrecisionRecallCurve"]
    f1 = (2 * precision * recall / (precision + recall).clamp(min=1e-12)).max()
    return (float(found["BinaryAUROC"]), float(found["BinaryAveragePrecision"]), float(f1), None), None


def scikit_learn(scores, truth):
    scores, truth = scores.ravel(), truth.ravel()
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    return (roc_auc_score(truth, scores), average_precision_score(truth, scores), f1, None), None


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
    area = np.trapezoid(np.append(coverage[inside], end), np.append(fpr[inside], limit)) / limit
    return (None, None, None, area), None


def measure(contender, scores, truth, pipe):
    torch.set_num_threads(1)
    scores = scores.astype(np.float16) if contender is ours_half else scores
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    contender(scores[:2], truth[:2])  # the time of what a first call loads is not counted
    start = time.process_time()
    values, width = contender(scores, truth)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((seconds, (peak - before) / 1024, values, width))


OURS, FAST = (ours, ours_one_by_one, ours_half), (ours, ours_one_by_one, ours_half, adeval)
CONTENDERS = (*OURS, adeval, torchmetrics_exact, anomalib, papers, scikit_learn, sorted_pro)
NEEDS = {adeval: "adeval", anomalib: "anomalib", papers: "skimage"}


def main(kind="pictures", count=500, side=256):
    scores, truth = (volumes if kind == "volumes" else maps)(count, side)
    size, share = f"{scores.size / 1e6:.1f} M elements", f"{truth.mean():.2%} anomalous"
    print(f"\n{count} x {side}^{scores.ndim - 1} maps, {size}, {share}, 1 thread")
    measured = f"{'CPU s':>9}{'ms/map':>9}{'ns/elem':>9}{'extra MB':>10}{'x ours':>8}"
    print(f"{'':20}{measured}  AUROC     AP        F1-max    AUPRO     printed   half-width")
    fork, baseline = multiprocessing.get_context("fork"), 0.0
    for contender in CONTENDERS:
        if find_spec(NEEDS.get(contender, "numpy")) is None or (kind == "volumes" and contender in NEEDS):
            print(f"{contender.__name__:20}  left out: {NEEDS[contender]} is not installed, or does not take volumes")
            continue
        used, runs = min(count, 100) if contender is papers else count, []
        for _ in range(5 if contender in FAST else 1):
            receive, send = fork.Pipe(duplex=False)
            process = fork.Process(
                target=measure, args=(contender, scores[:: count // used], truth[:: count // used], send)
            )
            process.start()
            runs.append(receive.recv())
            process.join()
        seconds, memory, values, width = min(runs, key=lambda run: run[0])
        seconds *= count / used
        baseline = baseline or seconds
        shown = "  ".join("-".ljust(8) if v is None else f"{v:.6f}" for v in (*values, None)[:5])
        each = f"{seconds:9.3f}{seconds / count * 1e3:9.2f}{seconds / scores.size * 1e9:9.1f}"
        figures = f"{each}{memory:10.0f}{seconds / baseline:8.1f}"
        print(f"{contender.__name__:20}{figures}  {shown}  {'' if width is None else f'{width:.1e}'}", flush=True)


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    if "volumes" in sys.argv or numbers:
        main("volumes" if "volumes" in sys.argv else "pictures", *(numbers or (5, 128)))
    else:
        main()
        main("pictures", 100, 512)
        main("volumes", 5, 128)
