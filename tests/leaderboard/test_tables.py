"""Rows in; that Markdown, CSV and LaTeX hold every number, and that no name breaks out of its cell."""

from __future__ import annotations

import csv as comma
import re

import numpy as np
import pytest
from fake_rows import row, sample

from framework.leaderboard.render.tables import csv, latex, markdown
from framework.leaderboard.render.words import METRIC_NAMES, heat, luminance
from framework.leaderboard.rows import ANSWERS, COLUMNS, METRICS
from framework.leaderboard.statistics import auroc

PAIR = [
    row(in_domain=True, overlap=3),
    row(run="r2", trained_on="nothing", value=0.5625, low=0.4375, high=0.6875),
    row(run="r2", trained_on="nothing", tested_on="cups", domain="pointcloud", value=1.0, low=None, high=None),
]


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_markdown_shows_the_matrix_with_interval_marks_and_chance():
    text = markdown(PAIR)
    assert "## Sample AUROC" in text
    head = text[text.index("## Sample AUROC") :].splitlines()[2:7]
    assert head == [
        r"| trained on \\ tested on | parts | cups | mean of 2 sets |",
        "| --- | --- | --- | --- |",
        "| **parts** | 87.5† (81.2–93.8) | – | – |",
        "| **nothing** | 56.2≈ (43.8–68.8) | 100.0 (–) | 78.1 (–) |",
        "| **chance** | 50.0 | 50.0 | – |",
    ]
    assert (
        "† in-domain: the model was trained on samples of this test set, also such as were stored again, or on "
        "others of its patients or objects, or is known to have been." in text
    )


def test_markdown_lists_every_row_and_says_which_are_superseded():
    rows = [*PAIR, row(run="r3", date="2027-01-01T00:00:00+00:00", value=0.25, low=0.125, high=0.375)]
    text = markdown(rows)
    listed = lines(text[text.index("## All rows") :], "| ")[2:]
    assert len(listed) == 4
    assert "| 87.5† | 81.2–93.8 | 50.0 | exact | 20 (8 anomalous), 20 × object |" in listed[0]
    assert listed[0].endswith("| superseded by a newer run; 3 test samples seen in training |")
    assert "superseded" not in listed[3] and "| 25.0 | 12.5–37.5 |" in listed[3]


def test_markdown_says_how_several_seeds_spread():
    text = markdown([row(value=0.75, low=0.7, high=0.8), row(seed=1, value=0.875, low=0.825, high=0.925)])
    assert "| **parts** | 81.2≈ ± 8.8 (2 seeds) (34.3–100.0) |" in text  # two seeds so far apart say little


def test_element_rows_name_their_elements_and_certified_error():
    fields = {"level": "element", "element": "voxel", "elements": 3_145_728, "anomalous_elements": 61_031}
    text = markdown([row(**fields, error=4e-5)])
    assert "## Element AUROC (voxel)" in text
    assert "| ±0.004 | 20 (8 anomalous), 20 × object, 61\u202f031 of 3\u202f145\u202f728 voxels |" in text


def test_markdown_keeps_hostile_names_in_their_cell():
    text = markdown([row(trained_on="a|b\n<script>*x*_y_", tested_on="`c`")])
    assert r"| **a\|b \<script\>\*x\*\_y\_** | 87.5 (81.2–93.8) |" in text
    assert r"\`c\`" in text and "<script>" not in text


def test_csv_is_one_table_in_full_precision_that_rebuilds_the_matrix():
    rows = [row(value=1 / 3, low=0.1, high=0.9), row(category="bolt"), row(metric="ap"), row(seed=1, value=0.5)]
    rows.append(row(run="old", date="2025-01-01T00:00:00+00:00", value=0.25, low=None, high=None))
    read = list(comma.DictReader(csv(rows).splitlines()))
    assert list(read[0]) == [*COLUMNS, "superseded", "in_matrix", "column", "line", "rank", "better_than", "worse_than"]
    assert [float(r["value"]) for r in read] == [r.value for r in rows]
    assert [r["superseded"] for r in read] == ["False"] * 4 + ["True"]
    assert [r["in_matrix"] for r in read] == ["True", "False", "True", "True", "False"]
    assert read[4]["low"] == ""


def test_latex_colours_cells_like_the_page_and_escapes_names():
    text = latex([row(trained_on="50%_a&b #1 ~ \\x{}^$", in_domain=True)])
    background, ink = heat(0.875, "auroc")
    cell = f"\\cellcolor[HTML]{{{background[1:].upper()}}}\\textcolor[HTML]{{{ink[1:].upper()}}}"
    assert cell + r"{87.5\textsuperscript{\textdagger} (81.2--93.8)} \\" in text
    name = r"50\%\_a\&b \#1 \textasciitilde{} \textbackslash{}x\{\}\textasciicircum{}\$"
    assert name + r" & \cellcolor" in text
    assert text.isascii()


def test_latex_closes_what_it_opens_and_keeps_its_columns():
    text = latex([*PAIR, row(metric="ap")])
    assert re.findall(r"\\begin\{(\w+)\}", text).count("tabular") == 2
    assert sorted(re.findall(r"\\begin\{(\w+)\}", text)) == sorted(re.findall(r"\\end\{(\w+)\}", text))
    plain = re.sub(r"\\[{}]", "", text)
    assert plain.count("{") == plain.count("}")
    first = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert {line.count(" & ") for line in first.splitlines() if line.endswith(r"\\")} == {3}
    assert "nothing & \\cellcolor" in first and first.count(" & -- ") == 2


@pytest.mark.parametrize("write", [markdown, csv, latex])
def test_every_format_sets_apart_what_cannot_be_compared(write):
    text = write([row(), row(run="r2", trained_on="cups", fingerprint="e" * 64)])
    assert "parts (data ffffff)" in text and "parts (data eeeeee)" in text
    assert ("never ranked together" in text) == (write is not csv)
    assert "never ranked together" not in write([row(), row(trained_on="cups")])


def test_a_mean_over_sets_takes_the_newest_column_of_each_alone():
    late = {"date": "2026-02-02T03:04:05+00:00", "run": "r2", "trained_on": "cups"}
    rows = [row(tested_on="nuts", value=0.25, low=None, high=None), row(fingerprint="e" * 64, value=0.25, low=0.125)]
    rows += [row(**late, tested_on="nuts", value=0.5, low=None, high=None), row(**late, value=0.75, low=0.5)]
    text = markdown(rows)
    assert "| nuts | parts (data ffffff) | parts (data eeeeee) | mean of 2 sets |" in text
    assert "| **cups** | 50.0≈ (–) | 75.0≈ (50.0–93.8) | – | 62.5 (–) |" in text
    assert next(line for line in text.splitlines() if line.startswith("| **parts**")).endswith("| – |")


@pytest.mark.parametrize("write", [markdown, csv, latex])
def test_transductive_near_copies_and_published_overlaps_are_seen_in_every_format(write):
    text = write([row(in_domain=True, overlap=1, near=2, known="A in B", transductive=True)])
    assert "A in B" in text
    if write is not csv:
        marks = {markdown: "87.5†§", latex: "87.5\\textsuperscript{\\textdagger}\\S{}"}[write]
        assert text.count(marks) == 2  # in the matrix and in the list
        assert "2 test samples seen in training as another file" in text


@pytest.mark.parametrize("metric", METRICS)
def test_text_on_heat_colours_is_readable(metric):
    def channels(colour: str) -> list[int]:
        return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]

    for value in np.linspace(0, 1, 501):
        lights = sorted(luminance(channels(colour)) for colour in heat(float(value), metric))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5


def test_heat_colours_run_from_the_floor_of_the_metric_to_one():
    assert heat(1.0, "auroc") == ("#fde725", "#000000")
    assert heat(0.5, "auroc") == heat(0.2, "auroc") == heat(0.0, "ap") == ("#440154", "#ffffff")
    assert heat(0.75, "auroc")[0] == heat(0.5, "ap")[0] == "#21918c"
    np.testing.assert_allclose(luminance([255, 255, 255]), 1.0)
    np.testing.assert_allclose(luminance([119, 119, 119]), 0.18447, atol=1e-5)  # #777 on white: 4.48 to 1


SAID = [
    row(),
    row(level="answer", metric="balanced_accuracy", value=0.75, low=0.5, high=0.8125),
    row(level="published answer", metric="balanced_accuracy", value=0.5, low=None, high=None),
    row(level="answer", metric="rouge_l", value=0.25, low=None, high=None, chance=None, interval=""),
]


def test_markdown_sets_what_is_said_beside_what_is_scored():
    text = markdown(SAID)
    heads = lines(text, "## ")
    assert heads == [
        "## Sample AUROC",
        "## Answer balanced accuracy",
        "## Answer ROUGE-L",
        "## Published answer balanced accuracy",
        "## All rows",
    ]
    assert "| **parts** | 75.0≈ (50.0–81.2) |" in text and "| **parts** | 25.0 (–) |" in text
    assert "| parts | parts | all | published answer | balanced accuracy | 50.0 | – | 50.0 |" in text


def test_latex_and_csv_hold_answers_too():
    text = latex(SAID)
    assert r"\caption{Published answer balanced accuracy}" in text and r"\caption{Answer ROUGE-L}" in text
    read = list(comma.DictReader(csv(SAID).splitlines()))
    assert [(r["level"], r["metric"], r["chance"]) for r in read][2:] == [
        ("published answer", "balanced_accuracy", "0.5"),
        ("answer", "rouge_l", ""),
    ]


def test_colours_of_balanced_accuracy_begin_at_a_coin_and_of_others_at_nothing():
    assert heat(0.5, "balanced_accuracy") == heat(0.0, "rouge_l") == heat(0.0, "accuracy")
    assert heat(0.75, "balanced_accuracy") == heat(0.5, "judge")


def test_every_metric_has_a_name():
    assert set(METRIC_NAMES) == {*METRICS, *ANSWERS} and len(set(METRIC_NAMES.values())) == len(METRIC_NAMES)


def test_a_column_says_where_samples_are_slices():
    rows = [row(), row(tested_on="ms", domain="medical", protocol="auroc/1; each sample is a slice")]
    assert "| trained on \\\\ tested on | parts | ms (slices) |" in markdown(rows)


def test_slices_and_patients_are_called_so():
    rows = [row(level="view", element="slice"), row(level="group", element="patient")]
    text = markdown([row(), *rows, row(level="view", element="frame", tested_on="films", metric="ap")])
    for heading in ("## Sample AUROC", "## Slice AUROC", "## Frame AP", "## Patient AUROC"):
        assert f"{heading}\n" in text


def scored(name, gain, tested="parts", **told):
    """A row and the samples it is of."""
    labels = np.arange(60) % 3 == 0
    logits = gain * labels + np.random.default_rng(len(name)).normal(size=60)
    made = row(run=name, trained_on=name, tested_on=tested, value=auroc(logits, labels), low=0.0, high=1.0, **told)
    told = {"run": name, "tested_on": tested, "hist": None, "regions": None}
    facts = zip(labels.tolist(), logits.tolist(), strict=True)
    return made, [sample(id=f"{i}", group=f"{i}", label=y, logit=s, **told) for i, (y, s) in enumerate(facts)]


RANKED = [scored("parts", 3, in_domain=True, overlap=2), scored("bb", 2.9), scored("c", -1), scored("dd dd", 2.95)]


def test_ranks_stand_beside_values_and_pairs_below():
    rows, samples = [made for made, _ in RANKED], [line for _, lines in RANKED for line in lines]
    text = markdown(rows, samples)
    matrix = text[text.index("## Sample AUROC") : text.index("## Who")]
    assert re.findall(r"\*\*(.+?)\*\*.*, rank (\S+) \|", matrix) == [
        ("parts", "(1)"),
        ("bb", "1"),
        ("c", "3"),
        ("dd dd", "1"),
    ]
    pairs = lines(text[text.index("## Who is better: Sample AUROC") : text.index("## All rows")], "| parts |")
    assert len(pairs) == 6 and sum("| better than | c |" in line for line in pairs) == 3
    assert "- Tests: paired DeLong. Seeds are" in text
    assert r"Who is better: Sample AUROC" in latex(rows, samples) and ", rank (1)}" in latex(rows, samples)
    assert latex(rows, samples).isascii()
    read = {r["line"]: r for r in comma.DictReader(csv(rows, samples).splitlines())}
    assert [read[n]["rank"] for n in ("parts", "bb", "c")] == ["1", "1", "3"]
    assert read["c"]["worse_than"] == "parts; bb; dd dd" and read["bb"]["better_than"] == "c"


def test_of_many_methods_only_pairs_with_the_best_are_told():
    made = [*RANKED, *(scored("m" * k, 1.5) for k in range(6, 10))]
    rows, samples = [own for own, _ in made], [line for _, part in made for line in part]
    text = markdown(rows, samples)
    pairs = lines(text[text.index("## Who is better") : text.index("## All rows")], "| parts |")
    best = max((own for own in rows if not own.in_domain), key=lambda own: own.value).trained_on
    assert len(pairs) == 7 and all(f"| {best} |" in line for line in pairs)


def test_without_saved_scores_there_are_neither_ranks_nor_pairs():
    text = markdown([made for made, _ in RANKED])
    assert "rank 1" not in text and "Rank: " not in text and "Who is better" not in text


def test_transductive_methods_are_marked():
    text = markdown([row(transductive=True)])
    assert "| **parts** | 87.5§ (81.2–93.8) |" in text and "§ transductive: the method looked at other" in text
    assert r"87.5\S{} (" in latex([row(transductive=True)])


def told_by(name, value, **fields):
    own = {"model": f"control: {name}", "trained_on": "nothing", "experiment": "controls", "backbone": "none"}
    return row(**own, value=value, interval="", **fields)


def test_tables_have_one_line_of_controls_which_is_named_in_the_cell_and_the_list_has_all():
    cups = {"tested_on": "cups", "domain": "pointcloud"}
    rows = [*PAIR, told_by("file size", 0.625, low=0.5, high=0.75), told_by("position", 0.5625, low=None, high=None)]
    rows += [told_by("file size", 0.5, low=None, high=None, **cups)]
    rows += [told_by("position", 0.875, low=None, high=None, **cups)]
    text = markdown(rows)
    matrix, listed = text[text.index("## Sample AUROC") :].split("## All rows")
    assert [line.split(" | ")[0] for line in lines(matrix, "| **")] == [
        *("| **parts**", "| **nothing**", "| **best control**", "| **chance**"),
    ]
    assert "| **best control** | 62.5≈, file size (50.0–75.0) | 87.5, position | – |" in matrix
    assert "| **nothing** | 56.2‡≈ (43.8–68.8) |" in matrix
    assert listed.count("control: file size, none") == 2 and listed.count("control: position, none") == 2
    printed = latex(rows)
    assert printed.count("best control & ") == 1 and "62.5$\\approx$, file size (50.0--75.0)" in printed
    assert [line.split(",")[-4] for line in csv(rows).splitlines()[4:]] == [
        *("control: file size", "control: position", "control: file size", "control: position"),
    ]
