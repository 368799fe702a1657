"""What is found wrong with an experiment before its data is looked at, and that no experiment here has it."""

from pathlib import Path

import pytest

from framework import config as configs
from framework import reading, reasoning, registry
from framework.errors import UserError
from framework.plan import check_names, check_weights

ROOT = Path(__file__).parents[1]
OTHERS = ("protocols", "published", "transfer")  # no single experiments: see the tests of each
EXPERIMENTS = sorted(p for p in (ROOT / "experiments").rglob("*.yaml") if p.parent.name not in OTHERS)


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """The variables that experiments take folders from."""
    for name in ("DATA", "WEIGHTS", "VISA", "MVTEC", "SHAPES"):
        monkeypatch.setenv(f"ANOMALY_OV_{name}", str(tmp_path / name.lower()))
    return tmp_path


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: str(p.relative_to(ROOT / "experiments")))
def test_every_experiment_of_the_project_is_valid(roots, path):
    assert path.read_text().startswith("# Question: ")
    if reading.stage(path) == 2:
        reasoning.load(path, [])
        return
    config = configs.load(path, [])
    check_names(config)
    weights = config.model.backbone.options.get("weights", "")
    if weights.startswith(str(roots)):
        Path(weights).mkdir(parents=True)
    check_weights(config)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("test.medical.domain=medicla", "test.medical: no domain called 'medicla'. Did you mean 'medical'?"),
        ("test.medical.dataset=nift", "test.medical: no dataset called 'medical/nift'. Did you mean 'medical/nifti'?"),
        ("test.medical.options.strid=2", "no option of dataset 'medical/nifti' called 'strid'. Did you mean 'stride'?"),
        ("test.medical.options.stride=x", "option 'stride' of dataset 'medical/nifti': write a whole number, not 'x'"),
        ("test.medical.reader.slice=2", "no option of domain 'medical' called 'slice'. Did you mean 'slices'?"),
        ("test.medical.reader.slices=1.5", "option 'slices' of domain 'medical': write a whole number, not 1.5"),
        ("test.medical.reader.window=[0]", "test.medical: window: [0] is not [low, high]"),
        ("train.pointcloud.reader.style=shady", "train.pointcloud: no pointcloud style called 'shady'"),
        ("model.backbone.name=embeded", "no backbone called 'embeded'. Did you mean 'embedded'?"),
        ("model.expert.options.hiden=8", "no option of expert 'look_twice' called 'hiden'. Did you mean 'hidden'?"),
        (
            "model.expert.options.hidden=-8",
            "'hidden' of expert 'look_twice': write a whole number of 1 or more, not -8",
        ),
        ("expect={medical.sample_aurc: [0, 1]}", "'medical.sample_aurc'. Did you mean 'medical.sample_auroc'?"),
        ("expect={medical.sample_aupro: [0, 1]}", "no number to expect called 'medical.sample_aupro'"),
    ],
)
def test_a_typo_in_an_experiment_is_found_without_its_data(wrong, message):
    with pytest.raises(UserError) as error:
        check_names(configs.load(ROOT / "experiments/quickstart.yaml", [wrong]))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_that_only_a_hub_can_know_are_not_refused():
    for weights in ("owner/name", "vit_tiny_patch16_224.augreg_in21k", "hf-hub:owner/name"):
        overrides = [f"model.backbone={{name: timm, options: {{weights: '{weights}'}}}}", "model.expert.weights="]
        check_weights(configs.load(ROOT / "experiments/quickstart.yaml", overrides))


@pytest.mark.parametrize("weights", ["./gone", "/gone", "~/gone", "../gone", "local-dir:gone", "a/b/c"])
def test_weights_that_are_a_folder_must_be_there(weights):
    overrides = [f"model.backbone={{name: timm, options: {{weights: '{weights}'}}}}"]
    with pytest.raises(UserError, match="folder not found"):
        check_weights(configs.load(ROOT / "experiments/quickstart.yaml", overrides))


def test_a_backbone_of_a_plug_in_judges_its_weights_itself(monkeypatch):
    monkeypatch.setattr(registry, "_TABLE", dict(registry._TABLE))

    @registry.register("backbone", "theirs")
    def theirs(weights: str = "") -> None:
        """Takes a file, not a folder."""

    override = "model.backbone={name: theirs, options: {weights: /some/file.pt}}"
    config = configs.load(ROOT / "experiments/quickstart.yaml", [override])
    check_names(config)
    check_weights(config)
