"""Small checkpoints, what ``anomaly-ov predict`` prints with one, and the same numbers by hand."""

import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image

from framework.cli import main
from framework.data import crops
from framework.models import trained
from framework.models.trained import Origin
from framework.types import Record

SMALL = {"embedding": 16, "descriptor": 16, "attention": 16, "hidden": 16}
EXPERIMENT = """
name: small
model: {{backbone: {{name: embedded}}, expert: {{options: {sizes}}}, crops: base, pool: max}}
train: {{parts: {{domain: {domain}, dataset: {dataset}, root: {root}}}}}
store: {{mode: never}}
trainer: {{accelerator: cpu, max_epochs: 1, enable_progress_bar: false}}
out: {root}/runs
"""


def picture(path, seed, size=(40, 30)):
    """A colour picture of noise, ``size`` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def fit(root, domain, dataset, *overrides):
    """Train for one epoch; the checkpoint."""
    text = EXPERIMENT.format(root=root, domain=domain, dataset=dataset, sizes=json.dumps(SMALL))
    (root / "x.yaml").write_text(text)
    assert main(["fit", str(root / "x.yaml"), *overrides]) == 0
    (checkpoint,) = (root / "runs").glob("*/expert.ckpt")
    return checkpoint


def on_photographs(root):
    """A checkpoint trained on two good and two bad photographs, which are written to ``root``."""
    for i in range(2):
        picture(root / f"bolt/test/good/{i:03d}.png", i)
        picture(root / f"bolt/test/hole/{i:03d}.png", 10 + i)
        mask = root / f"bolt/ground_truth/hole/{i:03d}_mask.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.pad(np.full((10, 20), 255, np.uint8), 10)).save(mask)
    return fit(root, "industrial", "mvtec")


def trained_on(checkpoint, path, *origins):
    """The same expert, its card telling of other sets: (``domain/dataset``, reader options)."""
    content = trained.read(checkpoint)
    sets = [Origin(f"set{i}", source, "", [], reader) for i, (source, reader) in enumerate(origins)]
    content[trained.KEY]["trained_on"] = [
        {key: getattr(o, key) for key in ("name", "source", "fingerprint", "digests", "reader")} for o in sets
    ]
    torch.save(content, path)
    return path


@torch.inference_mode()
def by_hand(checkpoint, reader, path):
    """Logit of each view and score of each element, from the equations, with all views through the model at once."""
    content = trained.read(checkpoint)
    backbone, expert = trained.build_model(trained.model_config(content))
    trained.load_expert(checkpoint, content, backbone, expert)
    sample = reader.read(Record(path, False, ""))
    size = backbone.image_size
    pixels = torch.from_numpy(np.concatenate([crops.cut(view, size, "base") for view in sample.views]))
    verdict = expert.eval()(backbone(pixels), [1] * len(pixels))
    maps = [crops.merge(m[None], *sample.views.shape[2:], size, "base").numpy() for m in verdict.maps]
    values = np.stack(maps).ravel().astype(np.float64)
    logits = verdict.logits.double().numpy()
    if sample.owner is None:
        return logits, values
    views = values.reshape(len(sample.views), -1)
    shown = sample.place >= 0
    total = (np.take_along_axis(views, sample.place.clip(0), 1) * shown).sum(0)
    return logits, (total / shown.sum(0).clip(1))[sample.stand_in]


def run(capsys, checkpoint, out, *files, status=0, options=()):
    """The lines printed, which are those written last."""
    capsys.readouterr()
    arguments = ["predict", "--checkpoint", checkpoint, "--out", out, "--device", "cpu", *options, *files]
    assert main([str(a) for a in arguments]) == status
    printed = capsys.readouterr().out.splitlines()
    assert (out / "predictions.jsonl").read_text().splitlines()[-len(printed) :] == printed
    lines = [json.loads(line) for line in printed]
    assert [line["file"] for line in lines] == [str(f) for f in files]
    return lines


def mistake(capsys, *arguments):
    """Run, and return the one line of the mistake."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and told[0].startswith("anomaly-ov: ")
    return told[0].removeprefix("anomaly-ov: ")


def agrees(line, logits, scores):
    """The line holds what was computed by hand."""
    views = 1 / (1 + np.exp(-logits))
    assert line["views"] == len(logits) and line["elements"] == len(scores)
    assert_allclose(line["view_scores"], views, atol=2e-6)
    assert_allclose([line["score"], line["logit"]], [views.max(), logits.max()], atol=1e-5)  # model.pool is max
    assert line["highest"] == pytest.approx(scores.max(), abs=1e-5)
