"""Rows in; that what goes out has every field that the Every Eval Ever schema and its validator ask for."""

from __future__ import annotations

import json
import re

from fake_rows import row

from framework.leaderboard import leaderboard
from framework.leaderboard.exchange import export
from framework.leaderboard.store import load, write_run

REQUIRED = {  # eval.schema.json 0.3.0: required, and all that may stand at the top
    *("schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info", "eval_library"),
    "evaluation_results",
}
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ROWS = [
    row(),
    row(low=None, high=None, interval="", level="element", element="pixel", elements=64, anomalous_elements=3),
    row(run="r2", model="control: file size, 100 %"),
]


def texts(values):
    return all(isinstance(value, str) for value in values.values())


def test_each_run_and_method_is_a_file_in_the_place_that_the_validator_wants(tmp_path):
    files = [str(p.relative_to(tmp_path)) for p in export(ROWS, tmp_path)]
    assert len(files) == 2
    assert re.fullmatch(rf"data/anomaly-ov/transfer/control-file-size-100/{UUID4}\.json", files[0])
    assert re.fullmatch(rf"data/anomaly-ov/transfer/look_twice/{UUID4}\.json", files[1])


def test_a_file_has_what_the_schema_requires(tmp_path):
    log = json.loads(export(ROWS[:2], tmp_path)[0].read_text())
    assert REQUIRED | {"evaluation_timestamp"} == set(log) and log["schema_version"] == "0.3.0"
    assert log["retrieved_timestamp"] == "1767323045"  # 2026-01-02T03:04:05Z in seconds of Unix
    assert log["source_metadata"]["source_type"] == "evaluation_run"
    assert log["model_info"]["id"] == "transfer/look_twice"
    details = log["model_info"]["additional_details"]
    assert details["deployment_type"] == "self_deployed" and details["model_availability"] == "unknown"
    assert texts(details) and texts(log["eval_library"]["additional_details"])
    assert log["eval_library"]["version"] == row().commit
    first, second = log["evaluation_results"]
    assert first["score_details"]["score"] == 0.875 and texts(first["score_details"]["details"])
    bounds = first["score_details"]["uncertainty"]["confidence_interval"]
    assert (bounds["lower"], bounds["upper"], bounds["confidence_level"]) == (0.8125, 0.9375, 0.95)
    assert "confidence_interval" not in second["score_details"]["uncertainty"]
    for result in (first, second):
        metric = result["metric_config"]
        assert (metric["score_type"], metric["min_score"], metric["max_score"]) == ("continuous", 0.0, 1.0)
        assert metric["lower_is_better"] is False and result["source_data"]["source_type"] == "other"
        assert result["score_details"]["details"]["protocol"] == "ranking/1"
    assert len({r["evaluation_result_id"] for r in log["evaluation_results"]}) == 2


def test_the_same_rows_give_the_same_files(tmp_path):
    first, second = export(ROWS, tmp_path / "a"), export(list(reversed(ROWS[:2])) + ROWS[2:], tmp_path / "b")
    assert [p.name for p in first] == [p.name for p in second]
    assert export(ROWS, tmp_path / "a") == first  # written over, not beside


def test_rows_go_out_as_one_parquet_file_and_come_back(tmp_path):
    write_run(tmp_path / "runs", {"run": "r1"}, ROWS[:2], [], [])
    write_run(tmp_path / "runs", {"run": "r2"}, ROWS[2:], [], [])
    said = leaderboard([tmp_path / "runs"], "parquet", tmp_path / "board.parquet")
    assert said.endswith("board.parquet: 3 rows")
    assert load([tmp_path / "board.parquet"]) == load([tmp_path / "runs"])
    said = leaderboard([tmp_path / "runs"], "every_eval_ever", tmp_path / "shared")
    assert said.endswith("shared: 3 results in 2 files of the Every Eval Ever schema")
