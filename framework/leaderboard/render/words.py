"""Values, counts and rows in; the words, digits and colours that every format shows, out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from framework.leaderboard.apart import Columns, newest
from framework.leaderboard.matrix import Cell, Matrix, reached
from framework.leaderboard.means import Mean
from framework.leaderboard.rows import CONTROL, Row

METRIC_NAMES = {
    **{"auroc": "AUROC", "ap": "AP", "f1_max": "F1-max", "aupro": "AUPRO", "aupro_05": "AUPRO at 0.05"},
    **{"aupro_lineage": "AUPRO as most papers print it"},
    **{"f1_source": "F1 at the source's threshold"},
    **{"dice_best": "Dice, best threshold", "dice_fixed": "Dice at 0.5", "sensitivity": "sensitivity at 1 FP a scan"},
    **{"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "precision": "precision", "recall": "recall"},
    **{"f1": "F1", "coverage": "coverage", "rouge_l": "ROUGE-L", "similarity": "similarity", "judge": "judge"},
    **{"judge_coverage": "judge coverage", "judge_agreement": "judge agreement"},
}
HEADS = (
    *("trained on", "tested on", "category", "level", "metric", "value", "interval", "chance", "error", "samples"),
    *("method", "seed", "run", "date", "commit", "fingerprint", "protocol", "note"),
)
DAGGER, TRANSDUCTIVE, REACHED, NEAR_CHANCE, BELOW_CHANCE, MISSING = "†", "§", "‡", "≈", "↓", "–"
CONTROLS = (
    f"{REACHED} a control is as good, on the set or on one of its categories: where a slice, pixel, voxel or point "
    "lies, how bright it is, or how large a file is, tells as much as the method. A control knows no defect, and which "
    "of its two directions is anomalous is chosen by the labels of each category, so it is as strong as it can be. Of "
    "elements it has no interval, and random scores are the line of chance."
)
TRANSDUCED = f"{TRANSDUCTIVE} transductive: the method looked at other samples of the test set before it scored one."
APART = (
    "A set with several columns has (data …) where its files, labels or groups were others, or how its metric was "
    "defined: such numbers are never ranked together, averaged or paired. The newest column is first, and means over "
    "sets take it alone."
)
FLOORS = {"auroc": 0.5, "balanced_accuracy": 0.5}  # where the colours of a metric begin; else at 0
VIRIDIS = (  # eleven even steps of matplotlib's viridis (CC0); lightness rises evenly
    ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725"]
)


def percent(value: float | None) -> str:
    """A share times 100 with one decimal, or a dash."""
    return MISSING if value is None else f"{100 * value:.1f}"


def span(low: float | None, high: float | None) -> str:
    """Bounds of an interval times 100, or a dash."""
    return MISSING if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}"


def count(number: int | None) -> str:
    """Digits in threes, set apart by narrow spaces, or a dash."""
    return MISSING if number is None else f"{number:,}".replace(",", "\u202f")


def samples(row: Row) -> str:
    """How many samples, how many of them anomalous, and what the interval resamples."""
    whole = f"{count(row.normal + row.anomalous)} ({count(row.anomalous)} anomalous)"
    return f"{whole}, {count(row.groups)} × {row.unit}" if row.unit else whole


def elements(row: Row) -> str:
    """How many pixels, points or voxels are anomalous, for example "61 031 of 3 145 728 voxels"; "" where not known."""
    if row.elements is None:
        return ""
    return f"{count(row.anomalous_elements)} of {count(row.elements)} {row.element or 'element'}s"


def level(row: Row) -> str:
    """The level, and at element level what the elements are: "sample", "pixel", "point", "voxel"."""
    return row.element or row.level


def title(matrix: Matrix) -> str:
    """For example "Element AUROC (pixel, voxel)", or of slices "Slice AUROC"."""
    named = level_name(matrix.level, [matrix])
    elements = [] if named.lower() in _elements([matrix]) else _elements([matrix])
    kinds = f" ({', '.join(elements)})" if elements else ""
    return f"{named} {METRIC_NAMES[matrix.metric]}{kinds}"


def level_name(level: str, shown: Sequence[Matrix]) -> str:
    """A level as its sets call it: "Slice", "Patient"; where they differ, or of elements, by its own name."""
    elements = _elements([m for m in shown if m.level == level])
    return elements[0].capitalize() if level in ("view", "group") and len(elements) == 1 else level.capitalize()


def _elements(shown: Sequence[Matrix]) -> list[str]:
    """What elements are called in some matrices, sorted."""
    return sorted({row.element for m in shown for cell in m.cells.values() for row in cell.rows if row.element})


def column(matrix: Matrix, tested: str) -> str:
    """The name of a test set, and where its samples are parts of one, such as slices, which."""
    found = re.search(r"each sample is a (\w+)", matrix.column(tested)[0].rows[0].definition)
    return f"{tested} ({found[1]}s)" if found else tested


def marks(cell: Cell) -> str:
    """† in-domain, § transductive, ‡ where a control is as good, ≈ where the interval holds chance, ↓ where below."""
    against = BELOW_CHANCE if cell.below_chance else "" if cell.above_chance else NEAR_CHANCE
    told = ((DAGGER, cell.in_domain), (TRANSDUCTIVE, cell.transductive), (REACHED, cell.reached))
    return "".join(mark for mark, holds in told if holds) + against


def mean_marks(mean: Mean) -> str:
    """Those of ``marks`` that a mean over sets can have."""
    return (DAGGER if mean.in_domain else "") + (TRANSDUCTIVE if mean.transductive else "")


def chance(matrix: Matrix, tested: str) -> float | None:
    """What random scores reach on one test set; None where unknown."""
    return matrix.column(tested)[0].rows[0].chance


def legend(rows: Sequence[Row]) -> list[str]:
    """Sentences without which a matrix cannot be read."""
    runs = {row.run for row in rows}
    methods = sorted({row.interval for row in rows if row.interval})
    return [
        f"Runs: {len(runs)}. Rows: {len(rows)}. All values are times 100.",
        "A matrix shows the unweighted mean over the categories of a test set; its rows are what a model was trained "
        "on, and of several models which; its columns are what it was tested on. An empty entry was not measured.",
        f"The range beside a value is its interval ({'; '.join(methods) or 'none given'}). There is none where a class "
        "has a single group, where every resample has the same value, or where scores crowd so that the histograms "
        "that are resampled miss the value. Of several seeds: means, whose interval holds the sampling of the test set "
        "and that of the seeds.",
        f"{DAGGER} in-domain: the model was trained on samples of this test set, also such as were stored again, or on "
        f"others of its patients or objects, or is known to have been. {NEAR_CHANCE} the interval holds "
        f"chance, the value of random scores; {BELOW_CHANCE} it lies below: "
        "the scores are upside down.",
        *([TRANSDUCED] if any(row.transductive for row in rows) else []),
        *([APART] if Columns(newest(rows)).apart else []),
        *([CONTROLS] if any(row.control for row in rows) else []),
    ]


def grid(matrix: Matrix, show: Callable[[Cell, str, str], str]) -> list[list[str]]:
    """Head, a line per training set and a line of chance levels; ``show`` writes a cell of a line and a column."""
    lines = [["trained on \\ tested on", *(column(matrix, tested) for tested in matrix.tested)]]
    for trained in matrix.trained:
        cells = [matrix.cells.get((trained, tested)) for tested in matrix.tested]
        lines.append(
            [trained, *(show(c, trained, t) if c else MISSING for c, t in zip(cells, matrix.tested, strict=True))]
        )
    return [*lines, ["chance", *(percent(chance(matrix, tested)) for tested in matrix.tested)]]


def listing(rows: Sequence[Row]) -> list[list[str]]:
    """Every row as the texts under ``HEADS``."""
    current, controls = set(newest(rows)), reached(rows)
    return [[*_facts(row, controls), "; ".join(_notes(row, row in current, controls.get(row)))] for row in rows]


def control_value(control: Row) -> str:
    """For example "control: slice position 93.0"."""
    return f"{control.model} {percent(control.value)}"


def control_cell(cell: Cell) -> str:
    """For example "93.0, slice position (90.1–95.2)"; of elements, of which controls have none, without interval."""
    bounds = "" if cell.low is None else f" ({span(cell.low, cell.high)})"
    return f"{percent(cell.value)}{marks(cell)}, {cell.rows[0].model.removeprefix(CONTROL)}{bounds}"


def _facts(row: Row, controls: Mapping[Row, Row]) -> list[str]:
    """The texts under ``HEADS`` but for the last."""
    told = ((DAGGER, row.in_domain), (TRANSDUCTIVE, row.transductive), (REACHED, row in controls))
    value = percent(row.value) + "".join(mark for mark, holds in told if holds)
    error = f"±{100 * row.error:.2g}" if row.error else "exact"
    return [
        *(row.trained_on, row.tested_on, row.category, level(row), METRIC_NAMES[row.metric], value),
        *(span(row.low, row.high), percent(row.chance), error),
        ", ".join(filter(None, [samples(row), elements(row)])),
        f"{row.experiment}, {row.model}, {row.backbone}",
        *(str(row.seed), row.run, row.date[:10], row.commit[:9] + ("*" if row.dirty else "")),
        *(row.fingerprint[:12], row.protocol),
    ]


def _notes(row: Row, current: bool, control: Row | None) -> list[str]:
    """What a reader of one row has to know besides."""
    notes = [] if current else ["superseded by a newer run"]
    notes += [f"{number} test samples {how}" for number, how in trained_on(row)]
    notes += [f"published: {row.known}"] if row.known else []
    return [*notes, control_value(control)] if control else notes


def trained_on(row: Row) -> list[tuple[int, str]]:
    """How many of its samples training has seen, and of how many others of their group."""
    unit = "group" if row.unit in ("", "sample") else row.unit
    counted = [(row.overlap, "seen in training"), (row.near, "seen in training as another file")]
    counted += [(row.related, f"of a {unit} seen in training")]
    return [(number, how) for number, how in counted if number]


def heat(value: float, metric: str) -> tuple[str, str]:
    """Colours of a cell: viridis from the metric's floor to 1, and black or white, whichever reads better on it.

    The better of the two has a contrast of at least 4.58 (the root of 21) on any colour; WCAG 2.2 AA asks for 4.5.

    Args:
        value: in [0, 1]; below the floor it takes the colour of the floor.
        metric: one of ``METRICS``.

    Returns:
        Background and text, "#rrggbb".
    """
    floor = FLOORS.get(metric, 0.0)
    place = max(0.0, (value - floor) / (1 - floor)) * (len(VIRIDIS) - 1)
    index = min(int(place), len(VIRIDIS) - 2)
    steps = [[int(step[i : i + 2], 16) for i in (0, 2, 4)] for step in VIRIDIS]
    first, second = list(pairwise(steps))[index]
    colour = [round(a + (place - index) * (b - a)) for a, b in zip(first, second, strict=True)]
    light = luminance(colour)
    text = "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"
    return "#" + "".join(f"{channel:02x}" for channel in colour), text


def luminance(colour: Sequence[int]) -> float:
    """Relative luminance, in [0, 1], of sRGB channels in 0..255. Source: WCAG 2.2, "relative luminance"."""
    shares = [channel / 255 for channel in colour]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
