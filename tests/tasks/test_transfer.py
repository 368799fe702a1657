"""A small matrix made for real: rows, going on after a kill, two at once, a cell that fails, several processes."""

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace

import fake_process
import pytest

from framework import provenance, registry
from framework.cli import main
from framework.leaderboard.store import load
from framework.locks import held
from framework.tasks import run
from framework.tasks import transfer as tasks
from framework.tasks.cells import BUSY, DONE, FAILED, PLACES, Cells, Outcome
from framework.tasks.transfer import Progress, Worker, _drain, _spread
from framework.transfer import cells
from framework.transfer import load as read

MATRIX = """
name: small
model: {{backbone: {{name: embedded}}, expert: {{weights: embedded}}, crops: base}}
sources:
  one: {{domain: industrial, dataset: mvtec, root: {root}/source, categories: [woven]}}
  two: {{domain: industrial, dataset: mvtec, root: {root}/target, categories: [leather]}}
targets: {{two: "${{sources.two}}"}}
methods: {{look_twice: {{}}, start: {{train: false}}}}
optim: {{batch_size: 6}}
store: {{mode: always, test: true, path: {root}/store}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 1, enable_progress_bar: false}}
out: {root}/runs
"""
STOPS = """
import os, signal, sys
from framework.cli import main
from framework.leaderboard import store
sync, calls = store._sync, []
def killed(paths):  # called twice a run: before it is renamed into place, and after
    calls.append(paths)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(paths)
store._sync = killed
main(sys.argv[1:])
"""
TWICE = """
import os, sys
import torchmetrics, pyarrow.parquet
from framework.cli import main
second = os.fork()
status = main(sys.argv[1:])
if not second:
    os._exit(status)
sys.exit(status or os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    registry.load_domain("industrial")
    registry.build("procedural", "industrial", folder, seed=3, samples=12)
    (folder / "m.yaml").write_text(MATRIX.format(root=folder))
    return folder


def runs(folder):
    """Experiment and training sets of each run, and its folder."""
    found = [json.loads(p.read_text()) for p in sorted(folder.glob("[!.]*/run.json"))]
    return [(run["experiment"], run["trained_on"], run["run"]) for run in found]


@pytest.fixture(scope="module")
def made(data):
    """The matrix, killed while it wrote its second run, then made whole: runs after the kill, and after the rest."""
    path = str(data / "m.yaml")
    stopped = fake_process.run(STOPS, ["transfer", path])
    assert stopped.returncode == -9, stopped.stderr
    after_kill = runs(data / "runs")
    assert main(["transfer", path]) == 0
    return after_kill, runs(data / "runs")


def test_after_a_kill_only_the_missing_cells_are_made(made, data):
    killed, whole = made
    assert [run[:2] for run in killed] == [("small-look_twice", "one")]
    assert whole[0] == killed[0] and len(whole) == 3  # the first is the very same run
    assert Counter(run[:2] for run in whole) == Counter(
        [("small-look_twice", "one"), ("small-look_twice", "two"), ("small-start", "nothing")]
    )
    assert not list((data / "runs").glob(".training-*")) and not list((data / "runs" / PLACES).iterdir())


def test_a_finished_matrix_is_not_made_again(made, data, capsys):
    assert main(["transfer", str(data / "m.yaml")]) == 0
    assert "3 of 3 cells are there already" in capsys.readouterr().err
    assert runs(data / "runs") == made[1]


def test_the_leaderboard_of_all_cells_lies_beside(made, data):
    text = (data / "runs/leaderboard.md").read_text()
    assert "## Sample AUROC" in text and text.count("small-start") > 1
    assert "<html" in (data / "runs/leaderboard.html").read_text()
    rows = [r for r in load([data / "runs"]) if not r.control]
    assert {r.tested_on for r in rows} == {"two"}
    trained = {r.trained_on: r for r in rows if r.category == "all" and (r.level, r.metric) == ("sample", "auroc")}
    assert trained["two"].in_domain and not trained["one"].in_domain
    assert trained["nothing"].selection == "nothing was trained or selected here"


@pytest.mark.parametrize("place", ["source/woven", "target/leather"])
def test_a_cell_whose_files_changed_is_made_again(made, data, place):
    """Those that it is trained on, and those that it is tested on alone."""
    cell = cells(read(data / "m.yaml", []))[0]
    assert Cells(data / "runs").finished(cell) is not None
    picture = next((data / place).glob("test/*/*.png"))
    before = picture.read_bytes()
    picture.write_bytes(before + b"\0")
    assert Cells(data / "runs").finished(cell) is None
    picture.write_bytes(before)
    assert Cells(data / "runs").finished(cell) is not None


def test_a_test_of_another_checkpoint_does_not_pass_for_the_cell(made, data):
    """Though it has the digest of the cell, and was trained on the cell's set."""
    cell = cells(read(data / "m.yaml", []))[0]
    done = Cells(data / "runs").finished(cell)
    more = replace(cell.config, out=f"{data}/other", trainer=replace(cell.config.trainer, max_epochs=2))
    other = replace(cell.config, out=more.out, checkpoint=str(run.fit(more).checkpoint))
    tested = json.loads((run.test(other).folder / "run.json").read_text())
    assert tested["config"] == cell.key and tested["trained_on"] == "one"
    assert Cells(data / "other").finished(cell) is None
    shutil.copytree(done, data / "other" / done.name)
    assert Cells(data / "other").finished(cell) == data / "other" / done.name  # the older of the two


def test_a_run_record_that_was_cut_off_is_told_before_the_first_cell(made, data, capsys):
    shutil.copytree(data / "runs", data / "cut")
    path = next((data / "cut").glob("[!.]*/run.json"))
    path.write_text(path.read_text()[:99])
    for verb in ("check", "transfer"):
        assert main([verb, str(data / "m.yaml"), f"out={data}/cut"]) == 2
        assert f"{path}: not a readable run record" in capsys.readouterr().err


def test_a_cell_that_another_process_makes_is_left_to_it(data):
    cell = cells(read(data / "m.yaml", [f"out={data}/held"]))[0]
    (data / "held").mkdir()
    with held(data / "held" / PLACES / cell.key[:16], "other"):
        assert Cells(data / "held").make(cell) == Outcome(BUSY)


def test_two_at_once_make_each_cell_once(made, data):
    done = fake_process.run(TWICE, ["transfer", str(data / "m.yaml"), f"out={data}/twice"])
    assert done.returncode == 0, done.stderr
    assert sorted(run[:2] for run in runs(data / "twice")) == sorted(run[:2] for run in made[1])
    values = [
        {(r.trained_on, r.category, r.level, r.metric): r.value for r in load([data / n])} for n in ("runs", "twice")
    ]
    assert values[0] == values[1]  # whichever process made a cell, and whatever it had made before


def test_a_cell_that_fails_is_told_in_one_line_and_the_others_go_on(made, data, tmp_path, capsys):
    shutil.copytree(data / "source", tmp_path / "broken")
    next((tmp_path / "broken").glob("woven/test/*/*.png")).write_bytes(b"no picture")
    override = f"sources.broken={{domain: industrial, dataset: mvtec, root: {tmp_path}/broken, categories: [woven]}}"
    assert main(["transfer", str(data / "m.yaml"), override]) == 1
    told = capsys.readouterr().err.splitlines()
    assert "3 of 4 cells are there already" in told
    (line,) = [line for line in told if line.startswith("cell 4 of 4, ")]
    assert line.startswith("cell 4 of 4, look_twice from broken, seed 0: failed: ") and ".png" in line
    assert told[-1] == "failed: " + line.removeprefix("cell 4 of 4, ").replace(": failed", "")
    assert any("3 of 4 cells of the matrix. The others are missing." in line for line in told)


def test_an_unforeseen_fault_ends_its_cell_alone_and_is_kept(data, monkeypatch):
    def fault(*_):
        raise RuntimeError("mat1 and mat2\ncannot be multiplied")

    monkeypatch.setattr(Cells, "_run", fault)
    cell = cells(read(data / "m.yaml", [f"out={data}/fault"]))[0]
    found = Cells(data / "fault").make(cell)
    assert found.state == FAILED and found.told.startswith("RuntimeError: mat1 and mat2 (all of it is in ")
    assert "cannot be multiplied" in (data / "fault" / PLACES / f"{cell.key[:16]}.txt").read_text()


def test_what_is_busy_is_looked_at_again(data, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "PAUSE_S", 0)
    every = cells(read(data / "m.yaml", []))
    seen = []

    def attempt(cell):
        seen.append(cell.name)
        return Outcome(BUSY if seen.count(cell.name) < (3 if cell is every[0] else 1) else DONE)

    found = Progress(every)
    _drain(found, attempt)
    assert found.done == 3 and not found.failed and seen.count(every[0].name) == 3 and len(seen) == 5
    assert "cell 3 of 3, look_twice from one, seed 0" in capsys.readouterr().err


ANSWERS = """
import json, os, sys
for line in sys.stdin:
    key = line.strip()
    if key == sys.argv[1]:
        os.abort()
    print(json.dumps(["done", key]), flush=True)
"""


def test_a_process_that_dies_costs_its_cell_alone(data, monkeypatch, capsys):
    every = cells(read(data / "m.yaml", ["seeds=[0, 1, 2, 3]"]))
    deadly = every[2]

    class Fake(Worker):
        def __init__(self, command, jobs):
            super().__init__(command, jobs)
            self.command = [sys.executable, "-c", ANSWERS, deadly.key]

    monkeypatch.setattr(tasks, "Worker", Fake)
    found = Progress(every)
    _spread(found, [], 2)
    assert found.done == len(every) == 9
    assert found.failed == {deadly.name: "its process ended with status -6"}


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    assert Worker(["m.yaml", "a=1"], 3).environment["OMP_NUM_THREADS"] == "2"
    assert Worker(["m.yaml", "a=1"], 3).command[2:] == ["framework.cli", "transfer", "m.yaml", "a=1", "--serve"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert Worker(["m.yaml"], 3).environment["OMP_NUM_THREADS"] == "1"


def test_a_run_of_a_process_of_its_own_names_the_command_that_a_person_types(data, monkeypatch):
    seen = []
    monkeypatch.setattr(tasks, "serve", lambda _: seen.append(provenance.command()) or 0)
    path = str(data / "m.yaml")
    assert main(["transfer", path, "seeds=[5]", "--serve"]) == 0
    assert seen == [["transfer", path, "seeds=[5]"]]
