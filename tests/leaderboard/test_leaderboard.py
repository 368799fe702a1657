"""Run folders in; that one call reads, renders and writes them, or says in one line why not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fake_page import contents
from fake_rows import item, row

from framework.cli import main
from framework.errors import UserError
from framework.leaderboard import leaderboard
from framework.leaderboard.store import load, write_run

BEGINS = {"markdown": "# Leaderboard", "csv": "run,date,", "latex": "% needs", "html": "<!DOCTYPE html>"}


@pytest.mark.parametrize("fmt", list(BEGINS))
def test_the_text_is_returned_and_written_whole(tmp_path, fmt):
    write_run(tmp_path / "runs", {"run": "r1"}, [row()], [], [item()])
    out = tmp_path / "new" / "board"
    text = leaderboard([tmp_path / "runs"], fmt, out)
    assert text.lstrip().startswith(BEGINS[fmt]) and "parts" in text
    assert out.read_bytes().decode("utf-8") == text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "runs"] and list(out.parent.iterdir()) == [out]


def test_the_gallery_of_a_superseded_run_is_left_out(tmp_path):
    write_run(tmp_path, {"run": "r1"}, [row()], [], [item(id="old.png")])
    write_run(tmp_path, {"run": "r2"}, [row(run="r2", date="2027-01-01T00:00:00+00:00")], [], [item(id="new.png")])
    text = leaderboard([tmp_path], "html", None, "Two runs", ["A note."])
    assert [item["id"] for item in contents(text)[0]["gallery"]] == ["new.png"]
    assert "<h1>Two runs</h1>" in text and "A note." in text


def test_a_page_may_leave_pictures_out(tmp_path):
    write_run(tmp_path / "runs", {"run": "r1"}, [row()], [], [item(id="patient.png")])
    out = tmp_path / "page.html"
    arguments = ["leaderboard", str(tmp_path / "runs"), "--format", "html", "--out", str(out)]
    assert main([*arguments, "--without-pictures"]) == 0
    shown = out.read_text()
    assert contents(shown)[0]["gallery"] == [] and "patient.png" not in shown and "data:image/png" not in shown


def test_what_has_no_pictures_cannot_leave_them_out(tmp_path):
    write_run(tmp_path, {"run": "r1"}, [row()], [], [])
    with pytest.raises(UserError, match="--without-pictures: goes with html, not with 'csv'"):
        leaderboard([tmp_path], "csv", None, pictures=False)


def test_only_the_metrics_that_are_asked_for(tmp_path, capsys):
    of_elements = {"level": "element", "element": "pixel", "elements": 9, "anomalous_elements": 2}
    rows = [row(), row(metric="ap"), row(metric="aupro", **of_elements), row(metric="aupro_lineage", **of_elements)]
    write_run(tmp_path / "runs", {"run": "r1"}, rows, [], [])
    for fmt, first, last in (("markdown", "## ", "## All rows"), ("latex", "\\caption{", "begin{longtable}")):
        every = leaderboard([tmp_path / "runs"], fmt, None).split(last)[0]
        assert f"{first}Sample AUROC" in every and f"{first}Element AUPRO" in every and "most papers" not in every
        asked = leaderboard([tmp_path / "runs"], fmt, None, metrics=["sample_ap", "element_aupro_lineage"])
        assert "Sample AUROC" not in asked and f"{first}Sample AP" in asked
        assert f"{first}Element AUPRO as most papers print it" in asked
    table = tmp_path / "rows.parquet"
    leaderboard([tmp_path / "runs"], "parquet", table, metrics=["sample_ap"])
    assert [found.metric for found in load([table])] == ["ap"]
    assert main(["leaderboard", str(tmp_path / "runs"), "--metric", "sample_aurok"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--metric: no metric of these runs called 'sample_aurok'. Did you mean 'sample_auroc'?" in line


def test_the_page_tells_the_command_of_a_run_as_one_types_it(tmp_path):
    command = ["fit", "my files/x.yaml", "seed=3"]
    write_run(tmp_path, {"run": "r1", "command": command, "settings": {"seed": 3}}, [row()], [], [])
    write_run(tmp_path, {"run": "r2", "command": []}, [row(run="r2", seed=1)], [], [])
    write_run(tmp_path, {"run": "r3"}, [row(run="r3", seed=2)], [], [])
    told = contents(leaderboard([tmp_path], "html", None))[0]["records"]
    assert {run: record["command"] for run, record in told.items()} == {
        "r1": "anomaly-ov fit 'my files/x.yaml' seed=3",
        "r2": "",
        "r3": None,
    }
    assert told["r1"]["settings"] == '{\n "seed": 3\n}' and told["r2"]["settings"] == ""


def test_a_record_that_is_no_json_is_named(tmp_path):
    (write_run(tmp_path, {"run": "r1"}, [row()], [], []) / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json: not a readable run record .*Restore this run") as error:
        leaderboard([tmp_path], "html", None)
    assert "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_is_named_in_one_line(tmp_path):
    write_run(tmp_path / "runs", {"run": "r1"}, [row()], [], [])
    with pytest.raises(UserError, match=r"runs: is a folder; name the file to write"):
        leaderboard([tmp_path / "runs"], "csv", tmp_path / "runs")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot make this folder") as error:
        leaderboard([tmp_path / "runs"], "csv", tmp_path / "file" / "board.csv")
    assert "\n" not in str(error.value)


def test_an_unknown_format_is_refused_with_the_known(tmp_path):
    with pytest.raises(UserError, match=r"no format 'pdf'. Known: markdown, csv, latex, html"):
        leaderboard([tmp_path], "pdf", None)  # type: ignore[arg-type]


def test_a_leaderboard_loads_no_torch(tmp_path):
    write_run(tmp_path, {"run": "r1"}, [row()], [], [item()])
    code = "import sys; from pathlib import Path; from framework.leaderboard import leaderboard as l\n"
    code += "[l([Path(sys.argv[1])], f, None) for f in ('markdown', 'csv', 'latex', 'html')]\n"
    code += "print(sorted({'torch', 'lightning', 'transformers', 'open3d', 'monai'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
