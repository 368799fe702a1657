"""What ``anomaly-ov predict`` does where something is missing, broken, of another place, or interrupted."""

import json
import os
import shutil
import sys

import numpy as np
import pytest
import torch
from fake_predict import SMALL, agrees, by_hand, fit, mistake, on_photographs, picture, run
from fake_towers import fill
from numpy.testing import assert_allclose
from PIL import Image

from framework import registry
from framework.cli import main
from framework.config import ModelConfig
from framework.models import trained
from framework.tasks.predict import Predictor, predict

PLUG_IN = """
from pathlib import Path
import numpy as np
from framework.registry import register
from framework.types import Record, Sample

@register("domain", "lab_xray")
class XRay:
    element, unit, suffixes = "pixel", "plate", (".xray",)

    def __init__(self, gain: int = 1) -> None:
        self.gain = gain

    def read(self, record):
        plate = np.fromfile(record.path, np.uint8).reshape(20, 30) * np.uint8(self.gain)
        return Sample(record, plate[None, None].repeat(3, 1))

    def save(self, sample, scores, stem):
        path = Path(f"{stem}.npy")
        np.save(path, scores.reshape(20, 30))
        return {"map": path} if self.gain < 3 else path

@register("dataset", "lab_xray/plates")
def plates(root, split):
    for path in sorted(root.glob("*.xray")):
        yield Record(path, anomalous=path.name.startswith("bad"), category="plate")
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return on_photographs(tmp_path_factory.mktemp("parts"))


def test_an_unreadable_file_among_good_ones_is_a_line_of_its_own(checkpoint, tmp_path, capsys):
    first, last = picture(tmp_path / "a.png", 1), picture(tmp_path / "c.png", 2)
    bad = tmp_path / "b.png"
    bad.write_bytes(first.read_bytes()[:300])
    lines = run(capsys, checkpoint, tmp_path / "out", first, bad, last, status=2)
    assert lines[1].keys() == {"file", "domain", "error"} and str(bad) in lines[1]["error"]
    for line, path in [(lines[0], first), (lines[2], last)]:
        agrees(line, *by_hand(checkpoint, registry.build("domain", "industrial"), path))
    assert not (tmp_path / "out/b_map.png").exists()


def test_files_that_are_all_unreadable_get_a_line_each(checkpoint, tmp_path, capsys):
    files = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for path in files:
        path.write_bytes(b"no picture")
    arguments = ["predict", "--checkpoint", checkpoint, "--out", tmp_path / "out", "--device", "cpu", *files]
    assert main([str(a) for a in arguments]) == 2
    printed, told = (text.splitlines() for text in capsys.readouterr())
    for path, line, words in zip(files, printed, told, strict=True):
        assert json.loads(line).keys() == {"file", "domain", "error"} and json.loads(line)["file"] == str(path)
        assert words == f"anomaly-ov: skipped {json.loads(line)['error']}" and str(path) in words


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("bit=12", "no option of domain 'industrial' called 'bit'. Did you mean 'bits'?"),
        ("bits=twelve", "option 'bits' of domain 'industrial': write a whole number, not 'twelve'."),
        ("bits=99", "reader option bits: 16-bit grey uses 9 to 16 bits, not 99."),
        ("bits", "option 'bits': write key=value."),
    ],
)
def test_reader_options_are_checked_before_a_model_is_built(checkpoint, tmp_path, capsys, monkeypatch, option, message):
    monkeypatch.setattr(trained, "build_model", None)
    arguments = [
        "--checkpoint",
        checkpoint,
        "--out",
        tmp_path / "o",
        "--reader",
        option,
        picture(tmp_path / "a.png", 1),
    ]
    assert message in mistake(capsys, "predict", *arguments)
    assert not (tmp_path / "o").exists()


def test_the_place_of_the_weights_on_this_machine(tmp_path, capsys):
    import timm
    from safetensors.torch import save_file

    def tower(folder, scale):
        folder.mkdir()
        model = fill(timm.create_model("vit_tiny_patch16_224", embed_dim=16, depth=6, num_heads=2, img_size=32))
        inner = {"mean": [0.5] * 3, "std": [0.5] * 3, "num_classes": model.num_classes, "input_size": [3, 32, 32]}
        inner |= {"fixed_input_size": True, "classifier": "head", "first_conv": "patch_embed.proj"}
        arguments = {"embed_dim": 16, "depth": 6, "num_heads": 2, "img_size": 32}
        content = {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "pretrained_cfg": inner}
        (folder / "config.json").write_text(json.dumps(content))
        save_file({k: v * scale for k, v in model.state_dict().items()}, folder / "model.safetensors")

    tower(tmp_path / "there", 1.0)
    tower(tmp_path / "wrong", 0.5)
    config = ModelConfig()
    config.crops, config.expert.options = "base", dict(SMALL)
    config.backbone.name, config.backbone.options = "timm", {"weights": str(tmp_path / "there")}
    backbone, expert = trained.build_model(config)
    trained.save(tmp_path / "c.ckpt", expert, trained.describe(config, backbone.identity, [], {}))
    path = picture(tmp_path / "a.png", 1)
    (before,) = run(capsys, tmp_path / "c.ckpt", tmp_path / "out", path)
    shutil.move(tmp_path / "there", tmp_path / "here")
    assert "there" in mistake(capsys, "predict", "--checkpoint", tmp_path / "c.ckpt", path)
    here = ["--weights", tmp_path / "here"]
    assert run(capsys, tmp_path / "c.ckpt", tmp_path / "out", path, options=here) == [before]
    told = mistake(capsys, "predict", "--checkpoint", tmp_path / "c.ckpt", "--weights", tmp_path / "wrong", path)
    assert "trained on backbone" in told and "sha256" in told


def test_a_backbone_without_weights_of_its_own_refuses_others(checkpoint, tmp_path, capsys):
    path = picture(tmp_path / "a.png", 1)
    told = mistake(capsys, "predict", "--checkpoint", checkpoint, "--weights", "/x", path)
    assert "no option of backbone 'embedded' called 'weights'" in told


@pytest.mark.parametrize("device", ["cdua", "cuda:99", "meta", "xla", "1", "xpu", "hpu"])
def test_a_device_that_is_not_there_is_named(checkpoint, tmp_path, capsys, device):
    if device == "xpu" and torch.xpu.is_available():
        pytest.skip("this machine has one")
    path = picture(tmp_path / "a.png", 1)
    told = mistake(capsys, "predict", "--checkpoint", checkpoint, "--device", device, "--out", tmp_path / "o", path)
    assert told.startswith(f"device {device!r}: ") and "Usable here: cpu" in told
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_one_line(checkpoint, tmp_path, capsys):
    path = picture(tmp_path / "a.png", 1)
    told = mistake(capsys, "predict", "--checkpoint", checkpoint, "--device", "cuda", path)
    assert told.startswith("device 'cuda': ") and told.endswith("Usable here: cpu.")


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    """What a new process knows: built-in domains only; a plug-in lies on its path."""
    for name in registry.domains():
        registry.load_domain(name)

    def fresh():
        monkeypatch.setattr(registry, "_TABLE", dict(known))
        sys.modules.pop("lab_xray", None)

    known = dict(registry._TABLE)
    (tmp_path / "lab_xray.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    yield fresh
    sys.modules.pop("lab_xray", None)


def test_a_plug_in_travels_with_the_checkpoint(plugged, tmp_path, capsys, monkeypatch):
    root = tmp_path / "plates"
    root.mkdir()
    for i, name in enumerate(["good0", "good1", "bad0", "bad1"]):
        np.random.default_rng(i).integers(0, 120, 600).astype(np.uint8).tofile(root / f"{name}.xray")
    plugged()
    made = fit(root, "lab_xray", "plates", "plugins=[lab_xray]", "train.parts.reader={gain: 2}")
    plugged()
    (line,) = run(capsys, made, tmp_path / "out", root / "bad0.xray")
    assert line["domain"] == "lab_xray"
    logits, scores = by_hand(made, registry.build("domain", "lab_xray", gain=2), root / "bad0.xray")
    agrees(line, logits, scores)
    assert_allclose(np.load(tmp_path / "out/bad0_map.npy").ravel(), scores, atol=1e-5)
    (line,) = run(capsys, made, tmp_path / "out", root / "bad0.xray", status=2, options=["--reader", "gain=3"])
    assert line["error"] == "domain 'lab_xray': save must return a dict with the path of the map as 'map'."
    plugged()
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    told = mistake(capsys, "predict", "--checkpoint", made, root / "bad0.xray")
    assert "plugins: no module 'lab_xray'" in told


def test_a_file_of_no_domain_is_refused_before_a_model_is_built(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(trained, "build_model", None)
    path = tmp_path / "a.doc"
    path.write_text("x")
    told = mistake(capsys, "predict", "--checkpoint", checkpoint, picture(tmp_path / "a.png", 1), path)
    assert told.startswith(f"{path}: no domain reads this kind of file.")


@pytest.mark.parametrize("where", ["scoring", "writing"])
def test_ctrl_c_leaves_whole_files_only(checkpoint, tmp_path, capsys, monkeypatch, where):
    files = [picture(tmp_path / f"{name}.png", i) for i, name in enumerate("abc")]
    out = tmp_path / "out"
    score, replace = Predictor.score, os.replace

    def stopped_score(self, reader, path):
        if path == files[2]:
            raise KeyboardInterrupt
        return score(self, reader, path)

    def stopped_replace(source, target):
        if target == out / "c_map.png":
            raise KeyboardInterrupt
        replace(source, target)

    if where == "scoring":
        monkeypatch.setattr(Predictor, "score", stopped_score)
    else:
        monkeypatch.setattr(os, "replace", stopped_replace)
    arguments = ["predict", "--checkpoint", checkpoint, "--out", out, *files]
    assert main([str(a) for a in arguments]) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("anomaly-ov: interrupted")
    monkeypatch.undo()
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [str(f) for f in files[:2]]
    for path in out.glob("[!.]*.png"):
        assert Image.open(path).size == (40, 30)
        Image.open(path).load()
    assert not (out / "c_map.png").exists()
    assert len(run(capsys, checkpoint, out, *files)) == 3


def test_a_fault_before_the_first_line_leaves_no_file_of_lines(checkpoint, tmp_path, monkeypatch):
    def fault(*_):
        raise RuntimeError("of a plug-in")

    monkeypatch.setattr(Predictor, "score", fault)
    with pytest.raises(RuntimeError, match="of a plug-in"):
        predict(checkpoint, [picture(tmp_path / "a.png", 1)], tmp_path / "out", device="cpu")
    assert not list((tmp_path / "out").iterdir())
