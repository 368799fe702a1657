"""The cells of a matrix, counted by hand; its parts; what is refused before anything is made."""

from pathlib import Path

import pytest

from framework.cli import main
from framework.errors import UserError
from framework.transfer import array, cells, load, part

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "experiments/transfer").glob("*.yaml"))
MATRIX = """
name: m
model: {{backbone: {{name: embedded}}, expert: {{weights: embedded, options: {{hidden: 128}}}}, crops: base}}
sources:
  parts: {{domain: industrial, dataset: folder, root: {root}/parts}}
  cells: {{domain: industrial, dataset: folder, root: {root}/cells}}
  clouds: {{domain: pointcloud, dataset: folder, root: {root}/clouds}}
targets: {{parts: "${{sources.parts}}", clouds: "${{sources.clouds}}"}}
methods:
  look_twice: {{}}
  patient: {{trainer: {{max_epochs: 9}}, optim: {{lr: 0.5}}}}
  start: {{train: false}}
seeds: [3, 5]
out: {root}/runs
"""


@pytest.fixture
def matrix(tmp_path):
    for name in ("parts/good/a.png", "parts/hole/b.png", "cells/good/a.png", "cells/hole/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("clouds/good/a.ply", "clouds/bent/b.ply"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    path = tmp_path / "m.yaml"
    path.write_text(MATRIX.format(root=tmp_path))
    return path


def test_cells_are_methods_times_sources_times_seeds_and_one_for_what_needs_no_training(matrix):
    found = cells(load(matrix, []))
    assert [cell.name for cell in found] == [
        *(
            f"{m} from {s}, seed {n}"
            for m in ("look_twice", "patient")
            for s in ("parts", "cells", "clouds")
            for n in (3, 5)
        ),
        "start, not trained",
    ]
    first, last = found[0].config, found[-1].config
    assert (first.name, first.seed, list(first.train), list(first.test)) == (
        "m-look_twice",
        3,
        ["parts"],
        ["parts", "clouds"],
    )
    assert (last.name, last.seed, last.train, found[-1].trains) == ("m-start", 3, {}, False)
    assert found[6].config.trainer.max_epochs == 9 and found[6].config.optim.lr == 0.5
    assert first.trainer.max_epochs == 2 and len({cell.key for cell in found}) == 13


def test_one_domain_is_left_out_at_a_time(matrix):
    found = cells(
        load(matrix, ["leave_one_domain_out=true", "methods.patient=null", "methods.start=null", "seeds=[0]"])
    )
    assert [(c.name, list(c.config.train), list(c.config.test)) for c in found] == [
        ("look_twice from all but industrial, seed 0", ["clouds"], ["parts"]),
        ("look_twice from all but pointcloud, seed 0", ["parts", "cells"], ["clouds"]),
    ]
    with pytest.raises(UserError, match="leave_one_domain_out: every source is pointcloud, so nothing is left"):
        load(matrix, ["leave_one_domain_out=true", "sources.parts=null", "sources.cells=null", "targets.parts=null"])


def test_another_expert_does_not_inherit_options_that_are_not_its_own(matrix):
    base = load(matrix, []).model.expert
    assert base.options == {"hidden": 128}
    found = cells(load(matrix, ["methods.other={model: {expert: {name: linear_probe}, pool: max}}"]))[-1].config.model
    assert (found.expert.name, found.expert.options, found.expert.weights) == ("linear_probe", {}, "")
    assert found.pool == "max"
    same = cells(load(matrix, ["methods.same={model: {expert: {options: {attention: 64}}}}"]))[-1].config.model
    assert same.expert.options == {"hidden": 128, "attention": 64} and same.expert.weights == "embedded"


@pytest.mark.parametrize("of", [1, 2, 5, 20])
def test_parts_are_disjoint_and_complete(matrix, of):
    every = cells(load(matrix, []))
    parts = [part(every, number, of) for number in range(1, of + 1)]
    assert sorted(c.name for p in parts for c in p) == sorted(c.name for c in every)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for number in (0, of + 1):
        with pytest.raises(UserError, match="the first number goes from 1 to the second"):
            part(every, number, of)


def test_the_part_comes_from_a_job_array():
    def task(number, first, step, count):
        names = ("ID", "MIN", "STEP", "COUNT")
        return {f"SLURM_ARRAY_TASK_{n}": str(v) for n, v in zip(names, (number, first, step, count), strict=True)}

    assert array({}) == (1, 1)
    assert [array(task(n, 0, 1, 3)) for n in range(3)] == [(1, 3), (2, 3), (3, 3)]
    assert [array(task(n, 4, 2, 2)) for n in (4, 6)] == [(1, 2), (2, 2)]
    with pytest.raises(UserError, match="SLURM array: task 9 of 3 from 1; number them in even steps"):
        array(task(9, 1, 1, 3))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seeds=[1, 1]", "seeds: names one twice: [1, 1]."),
        ("seeds=[]", "seeds: names nothing, so the matrix has no cell."),
        ("targets=null", "targets: "),
        ("methods={}", "m.yaml: methods.look_twice"),
        (
            "methods.look_twice.modle={}",
            "methods.look_twice.modle: no such key. Did you mean methods.look_twice.model?",
        ),
        ("methods.look_twice.model={exprt: {}}", "methods.look_twice.model: exprt: no such key. Did you mean expert?"),
        ("methods.look_twice.trainer={max_epochs: 0}", "trainer.max_epochs: must be positive and finite, is 0"),
        ("methods.look_twice.model={pool: median}", "model.pool: 'median' is none of max, mean, topK"),
        ("methods={a b: {}}", "methods: 'a b' names folders; use letters, digits"),
        ("source.parts=3", "source: no such key. Did you mean sources?"),
        ("sources.parts=null", "${sources.parts}"),
    ],
)
def test_mistakes_say_where_and_what_to_write(matrix, override, message):
    if override == "methods={}":
        return  # it adds nothing: the methods of the file stay
    with pytest.raises(UserError) as error:
        load(matrix, [override])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_check_shows_cells_and_costs(matrix, capsys):
    assert main(["check", str(matrix)]) == 0
    shown = capsys.readouterr().out
    assert "matrix      m, 13 cells\nmethods     look_twice: look_twice on embedded, 6 cells\n" in shown
    assert "            start: look_twice on embedded, 1 cell, not trained\n" in shown
    assert "seeds       3, 5; what is not drawn has the first alone" in shown
    # 3 sources of 2 samples, two of them targets; 2 epochs read 3 * 2 + 4, 9 epochs 10 * 2 + 4, untrained 4
    assert "costs       6 samples to encode, whose features of targets are not stored: set store.test=true;" in shown
    assert f"then over all cells {6 * 10 + 6 * 24 + 4} samples of features to read" in shown


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sources.parts.dataset=foldr", "no dataset called 'industrial/foldr'. Did you mean 'industrial/folder'?"),
        ("targets.parts.root=/nowhere", "parts: no folder /nowhere"),
        ("methods.look_twice.model={expert: {options: {hiden: 1}}}", "no option of expert 'look_twice' called 'hiden'"),
        ("sources.parts.reader={shades: 3}", "no option of domain 'industrial' called 'shades'"),
        ("methods.look_twice.model={expert: {name: musc, options: {share: 2}}}", "above 0 and at most 1, not 2"),
        ("model.backbone.name=embeded", "no backbone called 'embeded'"),
        ("protocol=aa_clip", "protocol aa_clip: asks for a blur on the grid of patches"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "transfer"])
def test_mistakes_of_single_cells_are_told_once_before_the_first(matrix, capsys, verb, override, message):
    assert main([verb, str(matrix), override]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (matrix.parent / "runs").exists()


def test_the_right_command_is_named(matrix, capsys):
    assert main(["fit", str(matrix)]) == 2
    assert (
        f"m.yaml: is a matrix of many experiments. Run it with `anomaly-ov transfer {matrix}`."
        in capsys.readouterr().err
    )
    assert main(["transfer", str(ROOT / "experiments/quickstart.yaml")]) == 2
    assert (
        "quickstart.yaml: is a single experiment, with train and test. Run it with `anomaly-ov fit"
        in capsys.readouterr().err
    )


def test_what_is_wrong_with_the_command_is_told(matrix, capsys):
    for arguments, message in (
        (["--part", "3/2"], "--part 3/2: the first number goes from 1 to the second."),
        (["--part", "two"], "argument --part: 'two' is not I/N, for example 1/8"),
        (["--jobs", "0"], "--jobs 0: must be 1 or more."),
    ):
        assert main(["transfer", str(matrix), *arguments]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_matrices_of_the_project_are_whole(path, monkeypatch):
    monkeypatch.setenv("ANOMALY_OV_DATA", "/data")
    monkeypatch.setenv("ANOMALY_OV_WEIGHTS", "/weights")
    assert path.read_text().startswith("# Question: ")
    assert len(cells(load(path, []))) > 3


def test_the_full_matrix_has_every_expert_of_the_project(monkeypatch):
    monkeypatch.setenv("ANOMALY_OV_DATA", "/data")
    found = cells(load(ROOT / "experiments/transfer/full.yaml", []))
    assert {c.config.model.expert.name for c in found} == {
        *("look_twice", "linear_probe", "nearest_normal", "musc", "winclip", "anomalyclip")
    }
    sources = 12
    trained = {c.config.name: sum(d.config.name == c.config.name for d in found) for c in found}
    assert trained == {
        "full-look_twice": 3 * sources,
        "full-linear_probe": sources,
        "full-nearest_normal": sources,
        "full-musc": 1,
        "full-winclip": 1,
        "full-anomalyclip": 3 * sources,
    }


def test_check_counts_what_reads_pixels_apart(matrix, capsys):
    change = ["methods.start=null", "methods.patient=null", "methods.look_twice=null"]
    text = "model: {backbone: {name: open_clip, options: {text: true}}, expert: {name: winclip}}"
    assert (
        main(
            ["check", str(matrix), *change, f"methods.texts={{{text}}}", "methods.probe.model.expert.name=linear_probe"]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert f"then over all cells {3 * (2 + 4)} samples of features to read\n" in shown  # one pass, and two targets of 2
    assert "            and 4 samples of pixels, which the tower is run on each time\n" in shown


def test_a_method_with_nothing_to_train_has_one_cell_whatever_it_says(matrix, capsys):
    change = ["methods.start=null", "methods.musc={model: {expert: {name: musc}}}"]
    found = cells(load(matrix, change))
    last = found[-1]
    assert (len(found), last.name, last.trains, last.config.train) == (13, "musc, not trained", False, {})
    assert main(["check", str(matrix), *change]) == 0
    assert "musc: musc on embedded, 1 cell, not trained" in capsys.readouterr().out


def test_a_method_without_chance_has_one_cell_a_source(matrix, capsys):
    change = ["methods={near: {model: {expert: {name: nearest_normal}}}}"]
    found = [cell.name for cell in cells(load(matrix, change)) if cell.name.startswith("near")]
    assert found == ["near from parts, seed 3", "near from cells, seed 3", "near from clouds, seed 3"]


def test_a_method_is_not_tested_where_it_says_so(matrix, capsys):
    found = cells(load(matrix, ["methods.patient.exclude=[clouds]"]))
    assert {tuple(cell.config.test) for cell in found if "patient" in cell.name} == {("parts",)}
    assert {tuple(cell.config.test) for cell in found if "patient" not in cell.name} == {("parts", "clouds")}
    for change, message in (
        ("[cloud]", "methods.patient.exclude: no target called 'cloud'"),
        ("[parts, clouds]", "methods.patient.exclude: nothing is left to test on of parts, clouds."),
    ):
        assert main(["check", str(matrix), f"methods.patient.exclude={change}"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_an_unknown_method_is_refused_before_a_cell_is_made(matrix, capsys):
    for verb in ("check", "transfer"):
        assert main([verb, str(matrix), "methods.patient.model.expert.name=look_thrice"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "methods.patient: no expert called 'look_thrice'. Did you mean 'look_twice'?" in line
    assert not (matrix.parent / "runs").exists()
