"""Protocols of papers as data: what an experiment takes from one, what it does otherwise, and what is refused."""

from pathlib import Path

import pytest

from framework import config as configs
from framework import protocols
from framework.cli import main
from framework.config import Config
from framework.errors import UserError
from framework.plan import check_names

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "experiments/protocols").glob("*.yaml"))
BASE = "name: x\ntrain: {mvtec: {domain: industrial, dataset: mvtec, root: /a}}\n"
TEST = "test: {visa: {domain: industrial, dataset: mvtec, root: /b}}\n"


def write(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(BASE + TEST + text)
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_protocol_is_one_and_sets_keys_that_there_are(path, tmp_path):
    text = path.read_text()
    assert text.startswith("# Question: ") and "# Source:   " in text
    protocol = protocols.read(path.stem)
    assert protocol.settings["model"]["crops"] in ("base", "anyres") and protocol.settings["averaging"] == "category"
    config = configs.load(write(tmp_path, f"protocol: {path.stem}\n"), [])
    assert [d for d in protocols.deviations(config) if "=" in d] == []
    if protocol.impossible:
        with pytest.raises(UserError, match=f"protocol {path.stem}: asks for .* cannot be done here"):
            check_names(config)
    else:
        protocols.check(config)


def test_settings_go_beneath_the_file_and_over_what_it_includes(tmp_path):
    (tmp_path / "base.yaml").write_text("model: {smooth: 1.0, pool: max}\ntrainer: {max_epochs: 3}\n")
    text = "include: base.yaml\nprotocol: anomalyclip\nmodel: {backbone: {options: {image_size: 224}}}\n"
    config = configs.load(write(tmp_path, text), [])
    model = config.model
    assert (model.smooth, model.smooth_on, model.crops, model.pool) == (4, 518, "base", "max")
    assert model.backbone.options["image_size"] == 224 and config.trainer.max_epochs == 15


def test_a_protocol_on_the_command_line_goes_over_the_file(tmp_path):
    path = write(tmp_path, "model: {smooth: 1.0}\n")
    assert configs.load(path, ["protocol=anomalyclip"]).model.smooth == 4
    assert configs.load(path, ["protocol=anomalyclip", "model.smooth=2"]).model.smooth == 2
    assert configs.load(path, ["protocol="]).model.smooth == 1


def test_the_recipe_says_what_is_done_otherwise(tmp_path):
    path = write(tmp_path, "protocol: anomalyclip\n")
    assert protocols.recipe(configs.load(path, [])) == "anomalyclip"
    assert protocols.recipe(Config("x")) == ""
    found = protocols.recipe(configs.load(path, ["model.smooth=0", "model.smooth_on=0", "trainer.max_epochs=2"]))
    assert found == "anomalyclip, but model.smooth=0.0, model.smooth_on=0, trainer.max_epochs=2"
    turned = ["test.mvtec={domain: industrial, dataset: mvtec, root: /a}"]
    assert protocols.recipe(configs.load(path, turned)) == "anomalyclip, but mvtec from mvtec instead of visa"
    assert protocols.recipe(configs.load(path, ["protocol=bayes_pfl"])).endswith("but visa from mvtec") is False


def test_classes_that_are_trained_on_alone_are_part_of_it(tmp_path):
    path = tmp_path / "x.yaml"
    sets = "{mvtec3d: {domain: pointcloud, dataset: mvtec3d, root: /a}}"
    path.write_text(f"name: x\nprotocol: pointad\ntrain: {sets}\ntest: {sets}\none_vs_rest: [cookie, carrot, dowel]\n")
    assert protocols.recipe(configs.load(path, [])) == "pointad"
    assert protocols.recipe(configs.load(path, ["one_vs_rest=[cookie]"])) == "pointad, but one_vs_rest=['cookie']"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("protocol=anomlyclip", "protocols: no file anomlyclip, nor one of that name. Did you mean anomalyclip?"),
        ("protocol=../table2", "protocols: no file ../table2, nor one of that name."),
        ("model.score=top1", "model.score: 'top1' is none of own, max, top1%, half_max_half_own. Did you mean top1%?"),
        ("model.smooth=-1", "model.smooth: must be 0 or more and finite, is -1"),
        ("model.smooth_on=518", "model.smooth_on: says on what model.smooth is measured, which is 0"),
        ("select.by=target", "select.by: 'target' is none of none, source."),
        ("select.share=1", "select.share: must lie between 0 and 1, is 1"),
        ("averaging=mean", "averaging: 'mean' is none of category, pooled."),
    ],
)
def test_mistakes_say_what_to_write(tmp_path, override, message):
    with pytest.raises(UserError) as error:
        configs.load(write(tmp_path, ""), [override])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_of_ones_own_is_a_protocol_too(tmp_path):
    own = tmp_path / "ours.yaml"
    own.write_text("title: ours\nsettings: {model: {smooth: 3.0}}\n")
    config = configs.load(write(tmp_path, f"protocol: {own}\n"), [])
    assert config.model.smooth == 3 and protocols.recipe(config) == "ours"
    own.write_text("title: ours\nsettings: {model: {smoooth: 3.0}}\n")
    with pytest.raises(UserError, match=r"model\.smoooth: no such key\. Did you mean model\.smooth\?"):
        configs.load(write(tmp_path, f"protocol: {own}\n"), [])
    own.write_text("title: ours\nsettngs: {}\n")
    with pytest.raises(UserError, match=r"settngs: no such key\. Did you mean settings\?"):
        protocols.check(configs.load(write(tmp_path, f"protocol: {own}\n"), []))


def test_check_shows_the_protocol_and_what_is_left_out(tmp_path, capsys):
    for name in ("a/good/x.png", "a/hole/y.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    sets = f"{{mvtec: {{domain: industrial, dataset: folder, root: {tmp_path}/a}}}}"
    path = tmp_path / "y.yaml"
    path.write_text(
        f"name: y\nprotocol: adaclip\nmodel: {{backbone: {{name: embedded}}}}\ntrain: {sets}\ntest: {sets}\n"
    )
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "protocol    adaclip: AdaCLIP (ECCV 2024)" in shown
    assert "otherwise here: mvtec from mvtec instead of visa + clinicdb" in shown
    assert "left out: the epoch that is best on the target's test labels" in shown
    assert "scores      maps of views smoothed by a Gaussian of 4 pixels of a map of 518" in shown
