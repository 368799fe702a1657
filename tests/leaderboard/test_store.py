"""Runs in temporary folders in; that they are read back as written, or not at all."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_rows import item, row, sample

from framework.errors import UnreadableError, UserError
from framework.leaderboard import store
from framework.leaderboard.scores import HEAVY, Stored
from framework.leaderboard.store import load, load_gallery, load_records, load_samples, write_run

ROWS = [row(), row(level="element", element="pixel", elements=64, anomalous_elements=3, low=None, high=None)]


def unsealed(folder: Path) -> Path:
    """A run folder as it was written before there were seals, so that its files may be changed."""
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k not in ("files", "seal")}))
    return folder


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fake_rows import row
from framework.errors import UserError
from framework.leaderboard.scores import HEAVY, Stored
from framework.leaderboard.store import write_run
write_run(Path(sys.argv[1]), {"run": sys.argv[3]}, [row(run=sys.argv[3])], [], [])
try:
    write_run(Path(sys.argv[1]), {"run": "shared"}, [row(run="shared")], [], [])
    print("written")
except UserError as error:
    print("there already" if "is there already" in str(error) else error)
"""

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fake_rows import row
from framework.leaderboard import store
calls = iter(range(9))
store.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == 2 else None
store.write_run(Path(sys.argv[1]), {"run": "r1"}, [row()], [], [])
"""


NOT_KEPT = dict.fromkeys(
    ("flagged", "pooled", "view_logits", "view_labels", "grid", "grid_hist", "grid_regions", "found")
)  # of a sample unless it is given


def test_a_run_is_read_back_as_it_was_written(tmp_path):
    samples = [sample(), sample(id="b", label=True, hist=b"\x00\x01", regions=2)]
    folder = write_run(tmp_path, {"run": "r1", "config": {"seed": 0}}, ROWS, samples, [item(truth=b"\x89PNG"), item()])
    assert folder == tmp_path / "r1"
    assert sorted(p.name for p in folder.iterdir()) == [
        "gallery.parquet",
        "rows.parquet",
        "run.json",
        "samples.parquet",
    ]
    record = json.loads((folder / "run.json").read_text())
    assert {k: v for k, v in record.items() if k not in ("files", "seal")} == {"run": "r1", "config": {"seed": 0}}
    assert load_records([tmp_path]) == {"r1": record}
    assert load([folder]) == ROWS
    assert load_samples([folder]) == [{"run": "r1", "hist": None, "regions": None} | NOT_KEPT | s for s in samples]
    assert load_gallery([folder]) == [{"run": "r1"} | i for i in (item(truth=b"\x89PNG"), item())]


def test_samples_from_before_views_groups_and_grids_were_kept_are_read(tmp_path):
    kept = {"flagged": True, "pooled": 0.5, "view_logits": b"1234", "grid": "56 px", "grid_regions": 2}
    file = unsealed(write_run(tmp_path, {"run": "r1"}, [row()], [sample(**kept)], [])) / "samples.parquet"
    assert load_samples([tmp_path])[0] == {"run": "r1", "hist": None, "regions": None} | NOT_KEPT | sample(**kept)
    pq.write_table(pq.read_table(file).drop_columns(list(NOT_KEPT)), file)
    assert load_samples([tmp_path])[0] == {"run": "r1", "hist": None, "regions": None} | NOT_KEPT | sample()
    assert Stored([tmp_path]).of("r1", "parts", HEAVY) == load_samples([tmp_path])


def test_rows_from_before_patients_were_counted_are_read(tmp_path):
    file = unsealed(write_run(tmp_path, {"run": "r1"}, [row(related=3)], [], [])) / "rows.parquet"
    assert load([tmp_path]) == [row(related=3)]
    pq.write_table(pq.read_table(file).drop_columns(["related"]), file)
    assert load([tmp_path]) == [row()]


def test_a_gallery_from_before_there_were_titles_is_read(tmp_path):
    file = unsealed(write_run(tmp_path, {"run": "r1"}, [row()], [], [item(title="bolt 0")])) / "gallery.parquet"
    assert [i["title"] for i in load_gallery([tmp_path])] == ["bolt 0"]
    pq.write_table(pq.read_table(file).drop_columns(["title"]), file)
    assert load_gallery([tmp_path]) == [{"run": "r1"} | item()]
    pq.write_table(pq.read_table(file).drop_columns(["score"]), file)
    with pytest.raises(UserError, match="holds no gallery of schema"):
        load_gallery([tmp_path])


def test_attached_files_come_with_the_run_or_not_at_all(tmp_path):
    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="r1: run not written, the disk is full"):
        write_run(tmp_path, {"run": "r1"}, [row()], [], [], {"expert.ckpt": full})
    assert list(tmp_path.iterdir()) == []
    folder = write_run(
        tmp_path, {"run": "r1"}, [row()], [], [], {"expert.ckpt": lambda path: path.write_bytes(b"whole")}
    )
    assert (folder / "expert.ckpt").read_bytes() == b"whole"


def test_a_second_run_leaves_the_first_as_it_was(tmp_path):
    first = write_run(tmp_path, {"run": "r1"}, [row()], [], [])
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in first.iterdir()}
    write_run(tmp_path, {"run": "r2"}, [row(run="r2")], [], [])
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in first.iterdir()} == before
    assert [r.run for r in load([tmp_path])] == ["r1", "r2"]


def test_a_run_is_never_overwritten(tmp_path):
    write_run(tmp_path, {"run": "r1"}, [row()], [], [])
    with pytest.raises(UserError, match=r"r1: this run is there already"):
        write_run(tmp_path, {"run": "r1"}, [row(value=0.1, low=None, high=None)], [], [])
    assert load([tmp_path]) == [row()]


def test_a_killed_process_leaves_nothing_that_is_taken_for_a_run(tmp_path):
    tests = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), tests], check=False)
    assert done.returncode == -signal.SIGKILL
    left = list(tmp_path.iterdir())
    assert len(left) == 1 and left[0].name.startswith(store.PARTIAL) and (left[0] / "rows.parquet").exists()
    with pytest.raises(UserError, match="no runs found"):
        load([tmp_path])
    with pytest.raises(UserError, match="no runs found"):
        load(left)


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), UserError, "r1: run not written, the disk is full"),
        (OSError(errno.EIO, "Input/output error"), UserError, "r1: run not written, Input/output error"),
        (KeyboardInterrupt("stopped"), KeyboardInterrupt, "stopped"),
    ],
)
def test_a_full_disk_or_ctrl_c_leaves_no_folder_and_says_so_in_one_line(
    tmp_path, monkeypatch, raised, expected, message
):
    def fail(handle: int) -> None:
        raise raised

    monkeypatch.setattr(store.os, "fsync", fail)
    with pytest.raises(expected, match=message) as error:
        write_run(tmp_path, {"run": "r1"}, [row()], [], [])
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_refuses_rows_of_another_run_bad_names_and_missing_keys(tmp_path):
    with pytest.raises(ValueError, match="must be a file name, and that of all its rows"):
        write_run(tmp_path, {"run": "r2"}, [row()], [], [])
    with pytest.raises(ValueError, match="must be a file name"):
        write_run(tmp_path, {"run": "../r1"}, [], [], [])
    with pytest.raises(ValueError, match=r"samples: keys \['id', 'run'\], expected"):
        write_run(tmp_path, {"run": "r1"}, [row()], [{"id": "a"}], [])
    assert list(tmp_path.iterdir()) == []


def test_runs_are_found_at_any_depth_under_any_name_and_once(tmp_path):
    odd = tmp_path / "a[b]*" / "run=other"
    write_run(odd, {"run": "r1"}, [row()], [sample()], [])
    write_run(tmp_path, {"run": "r0"}, [row(run="r0", date="2026-02-02T00:00:00+00:00")], [], [])
    paths = [tmp_path, odd, odd / "r1" / "rows.parquet"]
    assert [r.run for r in load(paths)] == ["r1", "r0"]  # by date
    assert [s["run"] for s in load_samples(paths)] == ["r1"]
    assert load([odd / "r1" / "rows.parquet"]) == [row()]


def test_what_is_missing_or_empty_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such file or folder"):
        load([tmp_path / "nowhere"])
    with pytest.raises(UserError, match=rf"{tmp_path.name}: no runs found"):
        load([tmp_path])


def test_rows_of_another_schema_are_refused_by_name(tmp_path):
    file = unsealed(write_run(tmp_path, {"run": "r1"}, [row()], [], [])) / "rows.parquet"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"anomaly-ov": b"rows/99"}), file)
    with pytest.raises(UserError, match=r"r1/rows.parquet: holds no rows of schema 1"):
        load([tmp_path])
    pq.write_table(pa.table({"loss": [0.5]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"other.parquet: holds no rows of schema 1"):
        load([tmp_path / "other.parquet"])
    with pytest.raises(UserError, match=r"samples.parquet: holds no rows"):
        load([tmp_path / "r1" / "samples.parquet"])


def test_values_that_no_row_can_have_are_refused_by_name(tmp_path):
    file = unsealed(write_run(tmp_path, {"run": "r1"}, [row()], [], [])) / "rows.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index("value")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array([7.0])), file)
    with pytest.raises(UnreadableError, match=r"rows.parquet: row 'parts' sample auroc .* value is 7.0"):
        load([tmp_path])


@pytest.mark.parametrize("damage", ["cut", "empty", "scrambled"])
def test_a_corrupt_file_is_named_in_one_line(tmp_path, damage):
    write_run(tmp_path, {"run": "r2"}, [row(run="r2")], [], [])
    file = unsealed(write_run(tmp_path, {"run": "r1"}, [row()], [], [])) / "rows.parquet"
    whole = file.read_bytes()
    damaged = {"cut": whole[: len(whole) // 2], "empty": b"", "scrambled": whole[:4] + b"\xff" * 600 + whole[604:]}
    file.write_bytes(damaged[damage])
    with pytest.raises(UnreadableError, match=r"r1/rows.parquet: not a readable Parquet file") as error:
        load([tmp_path])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["rows.parquet", "samples.parquet", "gallery.parquet"])
def test_a_file_that_was_changed_cut_off_or_removed_is_noticed(tmp_path, name):
    file = write_run(tmp_path, {"run": "r1"}, [row()], [sample()], [item()]) / name
    reader = {"rows": load, "samples": load_samples, "gallery": load_gallery}[file.stem]
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(UnreadableError, match=rf"r1/{name}: has {len(whole) - 1:,} bytes, {len(whole):,} were written"):
        reader([tmp_path])
    file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    with pytest.raises(UnreadableError, match=rf"r1/{name}: was changed after the run was written"):
        reader([tmp_path])
    file.write_bytes(whole)
    assert len(reader([tmp_path])) == 1
    file.unlink()
    with pytest.raises(UnreadableError, match=rf"r1/{name}: is missing, though the run had it"):
        reader([tmp_path])


def test_rows_that_are_valid_but_not_what_was_measured_are_noticed(tmp_path):
    file = write_run(tmp_path, {"run": "r1"}, [row()], [], []) / "rows.parquet"
    better = write_run(tmp_path / "elsewhere", {"run": "r1"}, [row(value=0.99, high=1.0)], [], []) / "rows.parquet"
    file.write_bytes(better.read_bytes())
    with pytest.raises(UnreadableError, match=r"r1/rows.parquet: .* Restore this run or take it out"):
        load([tmp_path / "r1"])


def test_a_record_that_was_edited_is_noticed_but_not_one_that_was_indented(tmp_path):
    record = write_run(tmp_path, {"run": "r1", "seed": 1}, [row()], [], []) / "run.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content, indent=8))
    assert len(load([tmp_path])) == 1
    record.write_text(json.dumps(content | {"seed": 22}))
    with pytest.raises(UnreadableError, match=r"r1/run.json: was changed after the run was written"):
        load([tmp_path])
    record.write_text("{")
    with pytest.raises(UnreadableError, match=r"r1/run.json: not a readable run record"):
        load([tmp_path])


def test_a_file_that_was_added_is_noticed(tmp_path):
    folder = write_run(tmp_path, {"run": "r1"}, [row()], [], [])
    record = json.loads((folder / "run.json").read_text())
    del record["files"]["samples.parquet"], record["seal"]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(UnreadableError, match=r"samples.parquet: was added after the run was written"):
        load_samples([tmp_path])


def test_several_writers_at_once_lose_nothing(tmp_path):
    """Four processes write a run each, and all of them one run more: three are told that it is there."""
    tests, out = str(Path(__file__).parents[1]), tmp_path / "runs"
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(out), tests, f"r{i}"], stdout=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    said = [process.communicate()[0].strip() for process in started]
    assert sorted(r.run for r in load([out])) == ["r0", "r1", "r2", "r3", "shared"]
    assert sorted(said) == ["there already"] * 3 + ["written"]
    assert sorted(p.name for p in out.iterdir()) == ["r0", "r1", "r2", "r3", "shared"]


def test_a_run_that_another_writer_finished_first_is_not_overwritten(tmp_path, monkeypatch):
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "r1" and real(path))  # seen too early
    write_run(tmp_path, {"run": "r1"}, [row()], [], [])
    with pytest.raises(UserError, match=r"r1: this run is there already"):
        write_run(tmp_path, {"run": "r1"}, [row(value=0.1, low=None, high=None)], [], [])
    assert load([tmp_path]) == [row()] and [p.name for p in tmp_path.iterdir()] == ["r1"]
