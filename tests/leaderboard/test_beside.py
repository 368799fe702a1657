"""Published numbers beside ours: averages of whole lines only, differences by hand, three formats."""

import csv
import re
from io import StringIO

import pytest
from fake_rows import row

from framework.cli import main
from framework.errors import UserError
from framework.leaderboard.render.beside import beside, lines, read
from framework.leaderboard.store import write_run

SETS = ["mvtec", "visa", "aitex", "elpv", "btad", "mpdd", "brain_mri", "head_ct", "br35h"]


def rows(names=SETS, **fields):
    fields = {"low": None, "high": None, "interval": "", "chance": 0.4} | fields
    return [row(tested_on=name, trained_on="web", value=0.5 + i / 100, **fields) for i, name in enumerate(names)]


def test_the_published_lines_are_those_of_the_paper():
    published = read("table2")
    assert list(published.columns) == SETS
    theirs, _ = lines(rows(), published)
    values = {line.name: line.values for line in theirs}
    assert values["Anomaly-OV"][:9] == [94.0, 91.1, 72.0, 83.0, 89.0, 81.7, 93.9, 97.6, 95.5]
    assert round(values["Anomaly-OV"][9], 1) == 88.6  # as the paper gives it
    assert values["CoPS, own"][9] is None and values["MuSc, transductive, own"][3] is None


def test_ours_have_a_difference_and_an_average_of_whole_lines_only():
    _, (line,) = lines(rows(), read("table2"))
    assert line.name == "web" and line.values == pytest.approx([*(50 + i for i in range(9)), 54])
    assert line.differences[0] == pytest.approx(50 - 94) and line.differences[9] == pytest.approx(54 - 797.8 / 9)
    _, (line,) = lines(rows(SETS[:-1]), read("table2"))
    assert line.values[-2:] == [None, None] and line.differences[-2:] == [None, None]


def test_other_sets_controls_and_categories_have_no_line():
    others = rows(["elsewhere"]) + rows(SETS[:1], category="bolt") + rows(SETS[:1], metric="ap")
    assert lines(others, read("table2"))[1] == []
    assert lines(rows(SETS[:1], model="control: brightness"), read("table2"))[1] == []
    assert "(no run has these sets)" in beside(others, "table2", "markdown")


def test_markdown_marks_what_was_trained_on():
    found = beside(rows(SETS, in_domain=True), "table2", "markdown")
    ours = next(line for line in found.splitlines() if line.startswith("| web "))
    assert "| 50.0† (-44.0) |" in ours and ours.endswith("| 54.0 (-34.6) |")
    assert "| CLIP | 74.1 | 66.4 |" in found and "| – |" in found
    counts = {line.count("|") for line in found.splitlines() if line.startswith("|")}
    assert counts == {12}


def test_csv_has_a_line_a_number():
    found = list(csv.DictReader(StringIO(beside(rows(), "table2", "csv"))))
    assert len(found) == 17 * 10
    (cell,) = [r for r in found if r["source"] == "ours" and r["tested_on"] == "visa"]
    assert (cell["auroc"], cell["difference to Anomaly-OV"]) == ("51.0000", "-40.1000")
    assert all(r["auroc"] == "" for r in found if r["method"] == "CoPS, own" and r["tested_on"] == "average")


def test_latex_is_balanced_and_escaped():
    found = beside(rows(), "table2", "latex")
    assert found.count(r"\begin") == found.count(r"\end") == 2
    body = [line for line in found.splitlines() if line.endswith(r"\\")]
    assert len(body) == 18 and {len(re.findall(r"(?<!\\)&", line)) for line in body} == {10}


def test_a_run_on_disk_and_mistakes(tmp_path, capsys):
    write_run(tmp_path / "runs", {"run": "r1"}, rows(), [], [])
    assert main(["leaderboard", str(tmp_path / "runs"), "--beside", "table2"]) == 0
    assert "54.0 (-34.6)" in capsys.readouterr().out
    for arguments, message in (
        (["--beside", "tabel2"], "published: no file tabel2, nor one of that name. Did you mean table2?"),
        (["--beside", "table2", "--format", "html"], "--beside: goes with markdown, latex or csv, not with 'html'."),
    ):
        assert main(["leaderboard", str(tmp_path / "runs"), *arguments]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rows: {a: [1.0]}", "rows.a: 1 numbers for 2 columns."),
        ("rows: {a: [1.0, 200.0]}", "rows.a: 200.0 is no percentage."),
        ("rows: {b: [1.0, 2.0]}", "reference: no row called 'a'. Known: b."),
        ("rows: {a: [x, 2.0]}", "write a number, not 'x'"),
    ],
)
def test_a_wrong_file_of_numbers_is_refused(tmp_path, change, message):
    path = tmp_path / "own.yaml"
    head = "title: t\nmetric: auroc\nlevel: sample\nreference: a\ncolumns: {x: X, y: Y}\n"
    path.write_text(f"{head}{change}\n")
    with pytest.raises(UserError) as error:
        read(str(path))
    assert message in str(error.value) and str(path) in str(error.value)


def test_a_set_of_several_data_has_a_column_for_each_and_the_newest_counts_in_the_average():
    late = {"date": "2026-02-02T03:04:05+00:00", "run": "r2", "trained_on": "late"}
    mine = [*rows(), *(row(**late, tested_on=name, value=0.75, low=None, high=None) for name in SETS[1:])]
    mine.append(row(**late, tested_on="mvtec", value=0.5, low=None, high=None, fingerprint="e" * 64))
    theirs, ours = lines(mine, read("table2"))
    values = {line.name: line.values for line in [*theirs, *ours]}
    assert values["Anomaly-OV"][:3] == [94.0, 94.0, 91.1] and round(values["Anomaly-OV"][-1], 1) == 88.6
    assert values["late"][:3] == [50.0, None, 75.0] and values["late"][-1] == pytest.approx((50 + 8 * 75) / 9)
    assert values["web"][:2] == [None, 50.0] and values["web"][-1] is None
    text = beside(mine, "table2", "markdown")
    assert "(data eeeeee) |" in text and "(data ffffff) |" in text and "never ranked together" in text
    heads = {r["tested_on"] for r in csv.DictReader(StringIO(beside(mine, "table2", "csv")))}
    assert {"mvtec (data eeeeee)", "mvtec (data ffffff)"} < heads and "mvtec" not in heads
