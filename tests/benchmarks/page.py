"""Made rows of 60 runs -> size of the page, time to build it, and time to its first matrix in headless Chromium.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/page.py`` (a minute). Goals: with 65,000 rows, and all pairs of 60
methods, at most 500 kB beside its pictures, with 200,000 rows open in under 2 seconds. Times in the browser are its
own: ``performance.now()`` when the first matrix has been drawn, and when everything has. Without Chromium they are left
out.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project

import fake_browser
from fake_rows import row

from framework.leaderboard.comparison import BETTER, UNCLEAR, WORSE, Comparison
from framework.leaderboard.matrix import matrices
from framework.leaderboard.means import all_sets, means
from framework.leaderboard.render.page import page
from framework.leaderboard.rows import Row
from framework.leaderboard.statistics.student import p_value

SETS = {64_800: 9, 201_600: 28}  # test sets, by the number of rows that makes with the rest
SOURCES, METHODS, CATEGORIES = 12, 5, 15
METRICS = ("auroc", "ap", "f1_max", "aupro")
STARTS = 3


def rows(sets: int) -> Iterator[Row]:
    """60 runs, each tested on all sets: 14 categories and their mean, four metrics of samples and four of pixels."""
    random = np.random.default_rng(0)
    for source in range(SOURCES):
        for method in range(METHODS):
            run = f"20261127T1231{source:02d}{method:06d}-transfer-{random.integers(1 << 32):08x}"
            common = {"run": run, "trained_on": f"source_{source}", "model": f"method_{method}"}
            common |= {"config": random.bytes(32).hex(), "weights": random.bytes(32).hex()}
            for target in range(sets):
                for category in range(CATEGORIES):
                    yield from _numbers(random, common, source, target, category)


def _numbers(
    random: np.random.Generator, common: dict[str, str], source: int, target: int, category: int
) -> Iterator[Row]:
    """One category of one set."""
    counts = np.random.default_rng([target, category]).integers(20, 400, 3)
    shared = common | {
        "tested_on": f"source_{target}",
        "domain": ("industrial", "medical", "pointcloud")[target % 3],
        "fingerprint": f"{target:02d}" * 32,
        "category": f"category_{category}" if category else "all",
        "normal": int(counts[0]),
        "anomalous": int(counts[1]),
        "groups": int(counts[0] + counts[1]),
        "in_domain": source == target,
    }
    for level in ("sample", "element"):
        pixels = {
            "element": "pixel",
            "elements": int(counts[:2].sum()) << 16,
            "anomalous_elements": int(counts[2]) << 9,
        }
        for metric in METRICS:
            value = random.uniform(0.5, 0.98)
            ends = {"low": value - random.uniform(0.01, 0.08), "high": min(value + random.uniform(0.01, 0.08), 1.0)}
            chance = round(counts[1] / counts[:2].sum(), 6) if metric == "ap" else 0.5
            more = pixels | {"error": random.uniform(0, 1e-4)} if level == "element" else {}
            yield row(**shared, **more, **ends, level=level, metric=metric, value=value, chance=chance)


def pairs(made: list[Row]) -> Iterator[Comparison]:
    """Made paired tests of all methods, on each set and in the mean of all, of all but the last metric."""
    random = np.random.default_rng(0)
    for matrix in matrices(made)[:-1]:
        values = {key: cell.value for key, cell in matrix.cells.items()}
        values |= {(line, all_sets(matrix)): mean.value for line, mean in means(matrix).items()}
        for tested in [*matrix.tested, all_sets(matrix)]:
            for a, b in combinations(matrix.trained, 2):
                apart, error = values[a, tested] - values[b, tested], random.uniform(0.01, 0.04)
                p = min(1.0, 100 * p_value(apart, error))
                verdict = UNCLEAR if p > 0.05 else BETTER if apart > 0 else WORSE
                ends = apart, max(-1.0, apart - 2 * error), min(1.0, apart + 2 * error)
                yield Comparison(a, b, tested, matrix.level, matrix.metric, *ends, p, p, verdict, 222, "paired DeLong")


async def opened(path: Path) -> tuple[float, float]:
    """Milliseconds to the first matrix and to the whole page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with fake_browser.open_page(path.as_uri(), Path(profile)) as shown:
            await shown.until("document.documentElement.dataset.whole")
            assert shown.faults == [], shown.faults
            told = await shown.run("[document.documentElement.dataset.drawn, document.documentElement.dataset.whole]")
            return float(told[0]), float(told[1])


def main() -> None:
    print(f"{'rows':>8}{'pairs':>8}{'page kB':>9}{'build s':>9}{'first matrix ms':>17}{'whole page ms':>15}")
    for count, sets in SETS.items():
        made = list(rows(sets))
        found = list(pairs(made)) if sets == min(SETS.values()) else []
        assert len(made) == count
        start = time.perf_counter()
        text = page(made, [], "Leaderboard", [], found=found)
        seconds = time.perf_counter() - start
        times = ("-", "-")
        if fake_browser.CHROMIUM:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                path = Path(folder, "page.html")
                path.write_text(text, encoding="utf-8")
                starts = [asyncio.run(opened(path)) for _ in range(STARTS)]
            first, whole = zip(*starts, strict=True)
            times = tuple(f"{min(each):.0f}-{max(each):.0f}" for each in (first, whole))
        print(
            f"{count:8}{len(found):8}{len(text.encode()) / 1000:9.0f}{seconds:9.1f}{times[0]:>17}{times[1]:>15}",
            flush=True,
        )


if __name__ == "__main__":
    main()
