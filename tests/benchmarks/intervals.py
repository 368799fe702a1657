"""Intervals and paired tests, ours against loops over scikit-learn and others, in one run -> a table of CPU time.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/intervals.py [side]``: pictures of so many pixels (128). About two
minutes. Loops are timed over a few resamples and scaled to as many as ours does. ``confidenceinterval`` is timed where
it is installed. The last part is a whole matrix: 60 methods on 15 sets, every pair of every set.
"""

import sys
import time

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from framework.leaderboard.comparison import comparisons
from framework.leaderboard.evidence import Saved
from framework.leaderboard.matrix import Cell, Matrix
from framework.leaderboard.rows import Row
from framework.leaderboard.statistics import SAMPLE_METRICS
from framework.leaderboard.statistics.bootstrap import element_parts, element_values, sample_values
from framework.leaderboard.statistics.delong import placed
from framework.leaderboard.statistics.draws import resampled
from framework.leaderboard.statistics.exact import ELEMENT_METRICS
from framework.metrics.regions import coarse

CATEGORIES, BOARD, PIXELS = 15, 2000, 1000  # resamples of samples, and of pictures


def timed(call, repeats=3):
    """Least CPU time in seconds, and what the call gives."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        found = call()
        taken.append(time.process_time() - start)
    return min(taken), found


def board():
    """Scores ``(2, n)``, labels and categories of two models on 15 categories as large as MVTec AD's."""
    rng = np.random.default_rng(0)
    counts = [(int(rng.integers(20, 60)), int(rng.integers(50, 120))) for _ in range(CATEGORIES)]
    labels = np.concatenate([np.arange(a + b) >= a for a, b in counts])
    first = labels * 1.6 + rng.normal(size=len(labels))
    second = 0.75 * first + 0.45 * rng.normal(size=len(labels)) + 0.1 * labels
    return np.stack([first, second]), labels, np.repeat(np.arange(CATEGORIES), [a + b for a, b in counts])


def ours(scores, labels, categories):
    """Of three metrics the interval of each model's mean over categories, and of their difference."""
    held, groups = np.stack([~labels, labels], 1), np.arange(len(labels))
    found = resampled(groups, categories, held, sample_values(scores, labels, SAMPLE_METRICS), BOARD, 0).values
    differences = found[:, 0] - found[:, 1]
    return np.quantile(found[..., 1:], [0.025, 0.975], axis=-1), np.quantile(differences[:, 1:], [0.025, 0.975], -1)


def delong(scores, labels, categories):
    a, b = (placed(own, labels, categories) for own in scores)
    return a.value - b.value, np.sqrt(np.square(a.deviations - b.deviations).sum())


def three(labels, scores):
    precision, recall, _ = precision_recall_curve(labels, scores)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    return roc_auc_score(labels, scores), average_precision_score(labels, scores), best


def loop(scores, labels, categories, resamples=10):
    """The same with scikit-learn, for a few resamples."""
    rng = np.random.default_rng(1)
    sides = [np.flatnonzero((categories == c) & (labels == side)) for c in range(CATEGORIES) for side in (False, True)]
    for _ in range(resamples):
        drawn = [rng.choice(side, len(side)) for side in sides]
        for own in scores:
            for normal, anomalous in zip(drawn[::2], drawn[1::2], strict=True):
                rows = np.concatenate([normal, anomalous])
                three(labels[rows], own[rows])


def scipys(scores, labels, categories, resamples=50):
    """AUROC of one model and one category by scipy.stats.bootstrap."""
    own = np.flatnonzero(categories == 0)
    sides = [own[~labels[own]], own[labels[own]]]

    def auroc(normal, anomalous):
        rows = np.concatenate([normal, anomalous])
        return roc_auc_score(labels[rows], scores[0, rows])

    return bootstrap(sides, auroc, n_resamples=resamples, vectorized=False, method="percentile")


def pictures(count, side):
    """``(count, side^2)`` logits and truth: every second picture has one square defect."""
    rng = np.random.default_rng(2)
    truth = np.zeros((count, side, side), bool)
    truth[::2, : side // 6, : side // 6] = True
    shift = rng.normal(size=(count, 1, 1)) / 2
    return (rng.normal(size=truth.shape) - 3 + 3 * truth + shift).reshape(count, -1), truth.reshape(count, -1)


def elements(hists, regions):
    held, groups = element_parts(hists), np.arange(len(hists))
    return resampled(groups, None, held, element_values(hists, regions, ELEMENT_METRICS), PIXELS, 0).values


def matrix(methods=60, sets=15, count=100):
    """A matrix of element AUPRO and the saved samples of its runs; histograms are shared to spare memory."""
    rng = np.random.default_rng(3)
    logits, truth = pictures(count, 32)
    variants = [
        [
            coarse(own + rng.normal(0, 0.5, own.shape) * k, t, t.astype(int), scores_kind="logit")
            for own, t in zip(logits, truth, strict=True)
        ]
        for k in range(1, 9)
    ]
    lines, rows = [], {}
    for m in range(methods):
        for s in range(sets):
            own = variants[(m + s) % len(variants)]
            for i, (hist, number) in enumerate(own):
                told = {"run": f"r{m}", "tested_on": f"set {s}", "id": f"{i}", "category": "a", "group": f"{i}"}
                lines.append(told | {"label": not i % 2, "logit": 0.0, "hist": hist.tobytes(), "regions": number})
            rows[f"method {m}", f"set {s}"] = (f"r{m}", f"set {s}", own)
    values = {}
    for _, _, own in rows.values():
        if id(own) not in values:
            hists, numbers = np.stack([h for h, _ in own]), np.array([n for _, n in own])
            values[id(own)] = float(elements(hists, numbers)[-1, 0])
    cells = {key: Cell((_row(run, tested, values[id(own)]),)) for key, (run, tested, own) in rows.items()}
    names = [f"method {m}" for m in range(methods)], [f"set {s}" for s in range(sets)]
    return Matrix("aupro", "element", *names, cells), lines


def _row(run, tested, value):
    return Row(
        *(run, "2026-01-01T00:00:00+00:00", "c", False, "c", 0, "e", run, "b", "w", "t", tested, "d", "d", "f", "all"),
        *("element", "pixel", "aupro", value, 0.0, None, None, "", "picture", 100, None, 50, 50, 100, 10, False, 0),
        *("aupro/1", "h", "p"),
    )


def show(name, seconds, against=None):
    ratio = f"{seconds / against:9.0f} x" if against else ""
    print(f"{name:78s} {seconds:10.3f} s {ratio}")


def main(side=128):
    given = board()
    spent, _ = timed(lambda: ours(*given))
    print(f"samples: 2 models, {CATEGORIES} categories, {len(given[1])} samples, 3 metrics, {BOARD} resamples, paired")
    show("ours", spent)
    slow, _ = timed(lambda: loop(*given), 1)
    show("loop over scikit-learn, scaled", slow * BOARD / 10, spent)
    part, _ = timed(lambda: scipys(*given), 1)
    scaled = part * BOARD / 50 * CATEGORIES * 2
    show("scipy.stats.bootstrap, AUROC alone, not paired, one category, scaled", scaled, spent)
    quick, found = timed(lambda: delong(*given))
    show(f"ours, AUROC by DeLong, paired: {found[0]:.4f} +- {1.96 * found[1]:.4f}", quick)
    try:
        import confidenceinterval
    except ImportError:
        print("confidenceinterval: not installed")
    else:
        own = given[2] == 0
        label, score = given[1][own].astype(int), given[0][0, own]
        peer, _ = timed(lambda: confidenceinterval.roc_auc_score(label, score))
        show("confidenceinterval, DeLong, not paired, one category, scaled", peer * CATEGORIES * 2, quick)

    logits, truth = pictures(100, side)
    made = [coarse(own, t, t.astype(int), scores_kind="logit") for own, t in zip(logits, truth, strict=True)]
    hists, regions = np.stack([h for h, _ in made]), np.array([n for _, n in made])
    spent, _ = timed(lambda: elements(hists, regions))
    print(f"pixels: 100 pictures of {side} px, {PIXELS} resamples of pictures")
    show("ours, AUROC, AP, F1-max, AUPRO", spent)
    slow, _ = timed(lambda: three(truth.ravel(), logits.ravel()), 1)
    show("loop over scikit-learn, AUROC, AP, F1-max, one resample, scaled", slow * PIXELS, spent)

    shown, lines = matrix()
    spent, pairs = timed(lambda: comparisons(shown, Saved(lines)), 1)
    print("a matrix: 60 methods, 15 sets of 100 pictures, all four metrics resampled, 1000 resamples")
    show(f"ours, {len(pairs)} pairs, {sum(pair.verdict != 'cannot tell' for pair in pairs)} told apart", spent)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
