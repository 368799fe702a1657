"""Saved scores on disk: read as asked for, the same as those in memory, nothing of a changed file."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_rows import row, sample

from framework.errors import UnreadableError
from framework.leaderboard.columns import table, write, write_rows
from framework.leaderboard.comparison import comparisons
from framework.leaderboard.matrix import transfer_matrix
from framework.leaderboard.scores import HEAVY, Held, Stored
from framework.leaderboard.store import load_samples, write_run


def runs(folder):
    """Two runs on two sets; of the second run only one has scores."""
    found = []
    for run, sets in (("r1", ("nuts", "parts")), ("r2", ("parts",))):
        hist = np.arange(6, dtype=np.float32).tobytes()
        lines = [
            sample(id=f"{s}{i}", group=f"{i}", label=i % 2 == 1, logit=i / 4, tested_on=s, hist=hist, regions=i % 2)
            for s in sets
            for i in range(4)
        ]
        rows = [row(run=run, tested_on=s, trained_on=run, value=1.0) for s in ("nuts", "parts")]
        write_run(folder, {"run": run}, rows, lines, [])
        found += rows
    return found


def test_what_is_on_disk_is_what_was_in_memory(tmp_path):
    runs(tmp_path)
    stored, held = Stored([tmp_path]), Held(load_samples([tmp_path]))
    assert stored.runs == held.runs == {"r1", "r2"}
    for run, tested in (("r1", "parts"), ("r1", "nuts"), ("r2", "parts"), ("r2", "nuts"), ("r3", "parts")):
        assert stored.of(run, tested, heavy=HEAVY) == held.of(run, tested, heavy=HEAVY)
    assert [len(stored.of(run, "nuts", heavy=HEAVY)) for run in ("r1", "r2")] == [4, 0]


def test_histograms_are_left_on_disk_where_they_are_not_asked_for(tmp_path):
    runs(tmp_path)
    (line, *_) = Stored([tmp_path]).of("r1", "parts")
    assert "hist" not in line and line["logit"] == 0


def test_only_sets_on_which_methods_are_compared_are_read(tmp_path, monkeypatch):
    rows, asked = runs(tmp_path), []
    scores = Stored([tmp_path])
    of = scores.of

    def watched(run, tested, heavy=()):
        asked.append((run, tested))
        return of(run, tested, heavy)

    monkeypatch.setattr(scores, "of", watched)
    matrix = transfer_matrix([r for r in rows if (r.run, r.tested_on) != ("r2", "nuts")], "auroc", "sample")
    (pair,) = comparisons(matrix, scores)
    assert pair.tested == "parts" and sorted(asked) == [("r1", "parts"), ("r2", "parts")]


def test_each_set_lies_in_a_row_group_of_its_own(tmp_path):
    runs(tmp_path)
    (path,) = (f for f in tmp_path.glob("*/samples.parquet") if "r1" in pq.read_table(f)["run"].to_pylist())
    with pq.ParquetFile(path) as file:
        groups = [file.read_row_group(i)["tested_on"].to_pylist() for i in range(file.num_row_groups)]
    assert groups == [["nuts"] * 4, ["parts"] * 4]


def test_of_a_file_of_several_runs_each_has_its_own(tmp_path):
    lines = [sample(run=run, id=f"{i}", logit=float(i)) for run in ("r1", "r2") for i in range(3)]
    (tmp_path / "both").mkdir()
    write(table("samples", lines), tmp_path / "both" / "samples.parquet")
    write_rows([row(run=run) for run in ("r1", "r2")], tmp_path / "both" / "rows.parquet")
    stored = Stored([tmp_path])
    assert stored.runs == {"r1", "r2"} and [line["run"] for line in stored.of("r2", "parts")] == ["r2"] * 3


def test_a_run_in_two_folders_is_read_once(tmp_path):
    runs(tmp_path / "a")
    runs(tmp_path / "b")
    assert len(Stored([tmp_path]).of("r1", "parts")) == 4


def test_methods_that_saw_other_data_are_never_paired(tmp_path):
    rows = runs(tmp_path)
    apart = [row(run="r2", tested_on="parts", trained_on="r2", value=1.0, fingerprint="e" * 64)]
    assert len(comparisons(transfer_matrix(rows, "auroc", "sample"), Stored([tmp_path]))) == 2
    assert comparisons(transfer_matrix([*rows[:2], *apart], "auroc", "sample"), Stored([tmp_path])) == []


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_file_that_was_changed_is_named(tmp_path, damage):
    runs(tmp_path)
    file = tmp_path / "r1" / "samples.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-9] if damage == "cut" else content[:-1] + b"x")
    with pytest.raises(UnreadableError, match=r"r1/samples\.parquet: "):
        Stored([tmp_path])


def test_a_file_without_a_seal_that_is_no_parquet_file_is_named(tmp_path):
    runs(tmp_path)
    (tmp_path / "r1" / "run.json").unlink()
    (tmp_path / "r1" / "samples.parquet").write_bytes(b"nonsense")
    with pytest.raises(UnreadableError, match=r"r1/samples\.parquet: not a readable Parquet file"):
        Stored([tmp_path])
