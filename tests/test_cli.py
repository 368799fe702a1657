"""A user's mistake in the arguments or the experiment: exit status 2 and one line on standard error."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import fake_cli
import pytest
import torch
from fake_cli import mistake, runs_of

from framework.cli import main
from framework.verbs import VERBS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def parts(tmp_path):
    return fake_cli.parts(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "VERB"),
        (["fti"], "invalid choice: 'fti'"),
        (["fit"], "experiment"),
        (["check"], "the following arguments are required: experiment. See"),
        (["check", "."], ".: is a folder. Pass the path of an experiment"),
        (["fit", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["check", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["test", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["predict", "a.png"], "--checkpoint"),
        (["predict", "--checkpoint", "no.ckpt", "no.png"], "no.png: no such file"),
        (["predict", "--checkpoint", "no.ckpt", "README.md"], "no.ckpt: no such checkpoint"),
        (["predict", "--checkpoint", "no.ckpt", str(ROOT / "tests")], "tests: a folder; name its files"),
        (["leaderboard", "nowhere"], "nowhere"),
        (["leaderboard", "--format", "pdf", "x"], "invalid choice: 'pdf'"),
        (["datasets", "check", "industrial/mvtc", "/tmp"], "Did you mean 'industrial/mvtec'?"),
        (["datasets", "check", "industial/mvtec", "/tmp"], "Did you mean 'industrial'?"),
        (["datasets", "check", "industrial/mvtec", "/nowhere"], "/nowhere"),
        (["datasets", "check", "industrial/mvtec", "/tmp", "--option", "x"], "write key=value"),
        (["quickstart", "--out", "/dev/null/x"], "cannot make this folder"),
    ],
)
def test_mistakes_in_arguments(capsys, arguments, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert message in mistake(capsys, *arguments)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.parts.domain=industial", "no domain called 'industial'. Did you mean 'industrial'?"),
        ("train.parts.dataset=mvtc", "no dataset called 'industrial/mvtc'. Did you mean 'industrial/mvtec'?"),
        ("train.parts.root=/nowhere", "parts: no folder /nowhere"),
        ("train.parts.split=trian", "parts: no samples of split 'trian'"),
        ("train.parts.categories=[blot]", "no category of parts called 'blot'. Did you mean 'bolt'?"),
        ("train.parts.exclude=[blot]", "no category of parts called 'blot'. Did you mean 'bolt'?"),
        ("train.parts.exclude=[bolt]", "parts: exclude leaves no category. Known: bolt."),
        ("train.parts.options={categorys: [bolt]}", "Did you mean 'categories'?"),
        ("train.parts.reader={veiws: 3}", "no option of domain 'industrial' called 'veiws'"),
        ("model.backbone.name=siglp", "no backbone called 'siglp'. Did you mean 'siglip'?"),
        ("model.backbone.options={blokcs: [1]}", "Did you mean 'blocks'?"),
        ("model.expert.name=look_thrice", "Did you mean 'look_twice'?"),
        ("model.expert.weights=/nowhere.pth", "model.expert.weights: no such file /nowhere.pth"),
        ("plugins=[no_such_lab.xray]", "plugins: no module 'no_such_lab'"),
        ("optim.lrr=1", "optim.lrr: no such key. Did you mean optim.lr?"),
        ("trainer.precision=23-true", "trainer.precision: '23-true' is none of 32-true, 32, 16-mixed"),
        ("trainer.precision=64-true", "trainer.precision: '64-true' is none of 32-true, 32, 16-mixed"),
        ("trainer.precision=bf16-true", "Did you mean bf16-mixed?"),
        ("trainer.devices=0", "trainer.devices: 0 is neither how many (2), which ([0, 2]), -1 for all, nor auto"),
        ("train.parts.reader={bits: deep}", "train.parts: option 'bits' of domain 'industrial': write a whole number"),
        ("test.parts.reader={bits: 3}", "test.parts: reader option bits: 16-bit grey uses 9 to 16 bits, not 3"),
        ("test.parts.options={categories: bolt}", "write a list of texts or null, not 'bolt'"),
        ("model.backbone.options={dtype: 16}", "write one of float32, bfloat16, float16, not 16"),
        ("model.backbone.options={image_size: 0}", "write a whole number of 1 or more or null, not 0"),
        ("model.backbone.options={blocks: 3}", "write a list of whole numbers or null, not 3"),
        ("model.expert.options={embedding: big}", "option 'embedding' of expert 'look_twice': write a whole number"),
        ("model.expert.options={embedding: 0}", "x.yaml: model.expert.options: option 'embedding' of expert 'look_t"),
        (
            "model.expert={name: linear_probe, options: {l2: 0}}",
            "'l2' of expert 'linear_probe': write a number above 0",
        ),
        ("model.expert={name: nearest_normal, options: {keep: 2}}", "write a number above 0 and at most 1, not 2"),
        ("model.expert={name: nearest_normal, options: {top: .nan}}", "write a number above 0 and at most 1, not nan"),
        ("model.expert={name: nearest_normal, options: {limit_mib: 0}}", "write a whole number of 1 or more, not 0"),
        ("model.expert={name: musc, options: {degrees: [1, 2]}}", "each of 1 or more, and odd, not [1, 2]"),
        ("model.expert={name: musc, options: {neighbours: []}}", "whole numbers, each of 1 or more, not []"),
        ("model.expert={name: winclip, options: {temperature: 0}}", "write a number above 0, not 0"),
        ("model.expert={name: winclip, options: {names: {nut: 1}}}", "write a mapping of text to text or null, not"),
        ("model.expert={name: anomalyclip, options: {second_path: 0}}", "write a whole number of 1 or more or null"),
        ("model.backbone={name: timm, options: {weights: ./nowhere}}", "folder not found: ./nowhere. Give an existing"),
        ("model.backbone={name: siglip, options: {weights: }}", "option 'weights' of backbone 'siglip': write text"),
        ("expect={parts.sampel_auroc: [0, 1]}", "no number to expect called 'parts.sampel_auroc'. Did you mean 'parts"),
        ("expect={prats.sample_auroc: [0, 1]}", "Did you mean 'parts.sample_auroc'?"),
    ],
)
def test_mistakes_in_an_experiment(parts, capsys, override, message):
    for verb in ("check", "fit"):
        assert message in mistake(capsys, verb, parts / "x.yaml", override)
    assert not (parts / "runs").exists()


def test_check_and_fit_refuse_the_same_folder(parts, capsys):
    for verb in ("check", "fit"):
        told = mistake(capsys, verb, parts / "x.yaml", f"out={parts}/x.yaml")
        assert told.endswith("x.yaml is no folder to write in). Choose another.")


@pytest.mark.parametrize("options", [["--jobs", "0"], ["--part=3/2"]])
def test_overrides_may_stand_before_options_and_after_them(parts, capsys, options):
    """Else ``argparse`` says that it does not know the override."""
    (parts / "m.yaml").write_text(
        "name: m\ntargets: {a: {domain: x, dataset: y, root: z}}\nmethods: {musc: {train: false}}"
    )
    orders = (["seeds=[1]", *options], [*options, "seeds=[1]"])
    told = {mistake(capsys, "transfer", parts / "m.yaml", *order) for order in orders}
    assert len(told) == 1 and options[0].partition("=")[0] in told.pop()
    for rest in (["--jbos", "seeds=[1]"], ["--jobs", "1", "seeds"]):
        assert "unrecognized arguments: " in mistake(capsys, "transfer", parts / "m.yaml", *rest)


def test_a_folder_where_a_file_should_be_is_one_line(parts, capsys, monkeypatch):
    def there(_):
        """Reads a folder."""
        parts.read_bytes()

    monkeypatch.setitem(VERBS, "check", there)
    assert mistake(capsys, "check", parts / "x.yaml").startswith(f"anomaly-ov: {parts}: Is a directory. Mend that")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.strategy=dpp", "trainer: You selected an invalid strategy name: `strategy='dpp'`"),
        ("trainer.devices=[0]", "trainer: `devices` selected with `CPUAccelerator` should be an int > 0."),
        pytest.param(
            "trainer.accelerator=gpu",
            "trainer: No supported gpu backend found!",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="is no mistake where there is a GPU"),
        ),
    ],
)
def test_mistakes_that_lightning_finds(parts, capsys, override, message):
    assert message in mistake(capsys, "fit", parts / "x.yaml", override)
    assert message in mistake(capsys, "test", parts / "x.yaml", override, "model.expert.name=musc")
    assert not (parts / "runs").exists()


def test_a_mistake_that_lightning_finds_in_training(parts, capsys):
    line = mistake(capsys, "fit", parts / "x.yaml", "trainer.limit_train_batches=0.1")
    assert "trainer: You requested to check 0.1 of the `train_dataloader` but 0.1 * 1 < 1." in line
    assert not runs_of(parts)[0]


@pytest.mark.slow
def test_no_library_adds_a_line_of_its_own(parts):
    command = [sys.executable, "-m", "framework.cli", "fit", str(parts / "x.yaml"), "trainer.strategy=dpp"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("anomaly-ov: trainer: ") and done.stderr.count("\n") == 1, done.stderr


def test_nothing_after_the_equals_sign_is_the_empty_text(parts, capsys):
    with (parts / "x.yaml").open("a") as f:
        f.write("include: weights.yaml\n")
    (parts / "weights.yaml").write_text("model: {expert: {weights: /nowhere.pth}}\n")
    assert "no such file /nowhere.pth" in mistake(capsys, "check", parts / "x.yaml")
    assert main(["check", str(parts / "x.yaml"), "model.expert.weights="]) == 0


def test_a_number_that_the_set_cannot_give_is_not_expected(parts, capsys):
    expect = "expect={parts.element_auroc: [0, 1]}"
    assert main(["check", str(parts / "x.yaml"), expect]) == 0
    shutil.rmtree(parts / "bolt/ground_truth")
    capsys.readouterr()
    for verb in ("check", "fit"):
        line = mistake(capsys, verb, parts / "x.yaml", expect)
        assert "expect.parts.element_auroc: parts has no pixel truth, so there will be no such number" in line


def test_training_on_one_class_is_refused(parts, capsys):
    for path in (parts / "bolt/test/hole").iterdir():
        path.unlink()
    assert "all 2 samples are normal; the expert learns from both classes" in mistake(capsys, "fit", parts / "x.yaml")


def test_testing_on_one_class_without_truth_is_refused(parts, capsys):
    for path in (parts / "bolt/test/hole").iterdir():
        path.unlink()
    line = mistake(capsys, "test", parts / "x.yaml", "checkpoint=x.ckpt")
    assert "all 2 samples are normal" in line


def test_an_empty_folder_is_named(parts, capsys, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    line = mistake(capsys, "fit", parts / "x.yaml", f"train.parts.root={empty}")
    assert f"no samples of split 'test' under {empty}" in line


def test_test_needs_a_checkpoint(parts, capsys):
    assert "test needs checkpoint=" in mistake(capsys, "test", parts / "x.yaml")
    assert "no such checkpoint" in mistake(capsys, "test", parts / "x.yaml", "checkpoint=/nowhere.ckpt")


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"anomaly-ov \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_check_shows_what_would_be_done(parts, capsys):
    assert main(["check", str(parts / "x.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "2 normal and 2 anomalous samples in 1 categories, pixel truth" in shown
    assert "AdamW lr 0.0001, 1 epochs of 1 steps" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", "a.png"], "the following arguments are required: --checkpoint. See `anomaly-ov ask --help`."),
        (["ask", "--checkpoint", "m"], "the following arguments are required: FILE"),
        (["ask", "--checkpoint", "m", "a.png", "Why?", "more"], "unrecognized arguments: more"),
        (["ask", "--checkpoint", "m", "a.png", "--dtype", "int8"], "invalid choice: 'int8'"),
        (["ask", "--checkpoint", "m", "a.png", "--reader", "slices"], "write key=value"),
        (["convert", "nowhere"], "the following arguments are required: out"),
        (["convert", "/nowhere", "/tmp/out"], "/nowhere: "),
        (["instruct", "industrial/mvtec", "/tmp"], "the following arguments are required: --out"),
        (["instruct", "industrial/mvtc", "/tmp", "--out", "/nowhere/x"], "Did you mean 'industrial/mvtec'?"),
        (["instruct", "industrial/mvtec", "/nowhere", "--out", "/nowhere/x"], "no folder /nowhere"),
        (["instruct", "industrial/mvtec", "/tmp", "--out", "x", "--plugin", "no_lab"], "plugins: no module 'no_lab'"),
    ],
)
def test_mistakes_in_arguments_of_the_language_verbs(capsys, arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert message in mistake(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.dtype=int8", "model.dtype: 'int8' is none of auto, float32, bfloat16, float16."),
        ("answer.views=0", "answer.views: must be positive and finite, is 0."),
        ("answer.max_new_tokens=0", "answer.max_new_tokens: must be positive and finite, is 0."),
        ("answer.max_tokens=3", "answer.max_tokens: no such key. Did you mean answer.max_new_tokens?"),
        ("questions={q: {kind: vqa, path: x}}", "questions.q.kind: 'vqa' is none of visa_dr, visa_dr_reasoning, mmad"),
        ("test.parts.root=/nowhere", "parts: no folder /nowhere"),
        ("expect={parts.answer_f1: [1]}", "expect.parts.answer_f1: write [low, high], two numbers in this order"),
        ("expect={parts.answer_f2: [0, 1]}", "no number to expect called 'parts.answer_f2'. Did you mean 'parts.answe"),
        ("model.path=/nowhere", "/nowhere: no such file."),
    ],
)
def test_mistakes_in_an_experiment_that_asks(parts, capsys, override, message):
    (parts / "x.yaml").write_text(
        f"stage: 2\nname: asks\nmodel: {{path: {parts}}}\nout: {parts}/runs\n"
        f"test: {{parts: {{domain: industrial, dataset: mvtec, root: {parts}}}}}\n"
    )
    assert message in mistake(capsys, "test", parts / "x.yaml", override)
    assert not (parts / "runs").exists()


def test_check_says_what_the_held_out_part_selects(parts, capsys):
    for expert, words in (("look_twice", "best epoch by sample AUROC"), ("linear_probe", "threshold"), ("musc", "")):
        told = [f"model.expert.name={expert}", "select.by=source", "select.share=0.5"]
        assert main(["check", str(parts / "x.yaml"), *told]) == 0
        shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("selects")]
        assert shown == [f"selects     the {words} on 50 % of the groups of each train set, held out"] * bool(words)
