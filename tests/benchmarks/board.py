"""Made runs with saved scores of every sample -> what `leaderboard` takes as a page: seconds, memory, size with pairs.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/board.py [runs]`` (60 runs: some minutes, most of them to make the
runs; 1 GB of disk). Each run is tested on nine sets, of 2,000 samples together and 14 categories a set, so that there
are 1,080 rows a run and, of 60, 1,770 pairs a set and metric. Goals: 500 kB beside pictures with every pair; seconds.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project

from fake_rows import row, sample

from framework.leaderboard import leaderboard
from framework.leaderboard.rows import Row
from framework.leaderboard.statistics.bootstrap import element_parts, element_values, sample_values
from framework.leaderboard.statistics.draws import Values, resampled
from framework.leaderboard.statistics.exact import ELEMENT_METRICS, SAMPLE_METRICS
from framework.leaderboard.store import write_run

RUNS, SETS, CATEGORIES, SAMPLES, BINS = 60, 9, 14, 224, 512


def made(run: str, method: int, target: int) -> tuple[list[Row], list[dict[str, object]]]:
    """Rows and samples of one method on one set; what is hard about a sample is hard for all methods."""
    world, own = np.random.default_rng(target), np.random.default_rng([method, target])
    labels = np.arange(SAMPLES) % 2 == 1
    categories = np.arange(SAMPLES) // 2 % CATEGORIES
    logits = labels * own.uniform(0.5, 3) + world.normal(size=SAMPLES) + own.uniform(0.2, 1) * own.normal(size=SAMPLES)
    places = np.linspace(-4, 6, BINS)
    hists = np.zeros((SAMPLES, 3, BINS), np.float32)
    hists[:, 0] = np.round(2000 * np.exp(-((places - world.normal(0, 0.3, SAMPLES)[:, None]) ** 2)))
    hot = np.round(200 * np.exp(-((places - logits[:, None]) ** 2))) * labels[:, None]
    hists[:, 1], hists[:, 2] = hot, hot / np.maximum(hot.sum(1, keepdims=True), 1)
    regions = labels.astype(int)
    names = [f"category_{c}" for c in categories]
    common: dict[str, object] = {"run": run, "model": f"method_{method:02d}", "trained_on": f"source_{method % 12}"}
    common |= {"tested_on": f"set_{target}", "fingerprint": f"{target:02d}" * 32, "groups": SAMPLES}
    rows = list(_rows(common, names, logits, labels, hists, regions))
    lines = [
        sample(id=f"{i}", category=names[i], group=f"{i}", label=bool(labels[i]), logit=float(logits[i]))
        | {"hist": hists[i].tobytes(), "regions": int(regions[i]), "tested_on": f"set_{target}"}
        for i in range(SAMPLES)
    ]
    return rows, lines


def _rows(
    common: dict[str, object],
    names: list[str],
    logits: np.ndarray,
    labels: np.ndarray,
    hists: np.ndarray,
    regions: np.ndarray,
) -> Iterator[Row]:
    """Of each category and their mean, seven metrics."""
    pixels = {"level": "element", "element": "pixel", "elements": 1 << 22, "anomalous_elements": 1 << 14}
    groups = [str(i) for i in range(len(labels))]
    for name in ["all", *sorted(set(names))]:
        own = np.array([name in ("all", each) for each in names])
        kept = [each for each, is_own in zip(names, own, strict=True) if is_own]
        held = np.stack([~labels[own], labels[own]], 1)
        of = [groups[i] for i in np.flatnonzero(own)]
        both: tuple[tuple[tuple[str, ...], np.ndarray, Values, dict[str, object]], ...] = (
            (SAMPLE_METRICS, held, sample_values(logits[own][None], labels[own], SAMPLE_METRICS), {}),
            (
                ELEMENT_METRICS,
                element_parts(hists[own], regions[own]),
                element_values(hists[own], regions[own], ELEMENT_METRICS),
                pixels,
            ),
        )
        for metrics, parts, values, more in both:
            found = resampled(of, kept, parts, values, 2, 0)
            assert found is not None
            centres = found.values.reshape(len(metrics), -1)[:, 0]
            for metric, value in zip(metrics, centres.tolist(), strict=True):
                down, up = np.random.default_rng(int(value * 1e9)).uniform(0.01, 0.08, 2)
                ends = {"low": max(0.0, value - down), "high": min(1.0, value + up)}
                yield row(**common, **more, **ends, category=name, metric=metric, value=min(value, 1.0))


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as folder:
        for method in range(runs):
            run = f"20261127T123100-method-{method:02d}"
            parts = [made(run, method, target) for target in range(SETS)]
            rows, samples = ([each for part in parts for each in part[i]] for i in (0, 1))
            write_run(Path(folder), {"run": run, "command": ["test", "x.yaml"]}, rows, samples, [])
        start, cpu, before = (
            time.perf_counter(),
            time.process_time(),
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        )
        text = leaderboard([Path(folder)], "html", None)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{'runs':>6}{'samples':>9}{'seconds':>9}{'of CPU':>8}{'peak MB, before':>17}{'after':>7}{'page kB':>9}")
    size = len(text.encode()) / 1000
    print(
        f"{runs:6}{runs * SETS * SAMPLES:9}{seconds:9.1f}{cpu:8.1f}{before / 1024:17.0f}{after / 1024:7.0f}{size:9.0f}"
    )


if __name__ == "__main__":
    main()
