"""A small experiment on disk, and the one line that the command says of a mistake in it."""

import numpy as np
from PIL import Image

from framework.cli import main

EXPERIMENT = """
name: small
model: {{backbone: {{name: embedded}}, crops: base}}
train: {{parts: {{domain: industrial, dataset: mvtec, root: {root}}}}}
test: {{parts: {{domain: industrial, dataset: mvtec, root: {root}}}}}
store: {{mode: never}}
trainer: {{accelerator: cpu, max_epochs: 1, enable_progress_bar: false}}
out: {root}/runs
"""


def picture(path, value=90, size=(40, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path)))
    Image.fromarray(rng.integers(0, value, (*size, 3), dtype=np.uint8)).save(path)


def parts(root):
    """Two normal and two defective pictures in MVTec AD layout, and an experiment on them."""
    for i in range(2):
        picture(root / f"bolt/test/good/{i:03d}.png", 90 + i)
        picture(root / f"bolt/test/hole/{i:03d}.png", 190 + i)
        mask = root / f"bolt/ground_truth/hole/{i:03d}_mask.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 16)).save(mask)
    (root / "x.yaml").write_text(EXPERIMENT.format(root=root))
    return root


def mistake(capsys, *arguments):
    """Run, and return the line of the mistake, which must be all that standard error shows."""
    assert main([str(a) for a in arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("anomaly-ov: ") and told.endswith("\n") and told.count("\n") == 1, told
    return told.strip()


def runs_of(parts):
    """Finished runs of the experiment, and what a stopped one keeps to go on from."""
    kept = list((parts / "runs").iterdir()) if (parts / "runs").exists() else []
    return [p for p in kept if not p.name.startswith(".")], [p for p in kept if p.name.startswith(".")]
