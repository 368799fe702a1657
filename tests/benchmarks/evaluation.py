"""The evaluation loop around a model that costs nothing, ours beside anomalib's Engine.test -> ms a picture.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/evaluation.py [pictures] [side]``; anomalib as in ``metrics.py``, left
out where it is not installed. The same PNG files with masks, half of them with a defect; both read, resize, batch,
score, measure and write what they write by default: ours rows with intervals and the pictures most worth a look,
anomalib the same seven metrics and a picture of every sample. CPU time of the whole call, after a first
one that loads what there is to load.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from framework.config import Config, DataConfig, ModelConfig, StoreConfig, TrainerConfig
from framework.data.datamodule import DomainData
from framework.data.index import open_all
from framework.leaderboard.store import load
from framework.models import trained
from framework.tasks.detect import Detect
from framework.tasks.run import make_trainer
from framework.types import Verdict

SIZE, GRID, GOAL = 384, 24, 10


def write(root: Path, count: int, side: int) -> None:
    """``count`` pictures in the layout of MVTec AD: smooth noise, and on every other one a bright patch."""
    rng = np.random.default_rng(0)
    for i in range(count):
        kind = "scratch" if i % 2 else "good"
        small = Image.fromarray(rng.integers(60, 160, (side // 8, side // 8, 3), np.uint8))
        pixels = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)).copy()
        pixels += rng.integers(0, 6, pixels.shape, np.uint8)
        y, x = rng.integers(0, side * 3 // 4, 2)
        if i % 2:
            pixels[y : y + side // 8, x : x + side // 10] += 60
            mask = np.zeros((side, side), np.uint8)
            mask[y : y + side // 8, x : x + side // 10] = 255
            save(root / f"part/ground_truth/scratch/{i:03}_mask.png", mask)
        save(root / f"part/test/{kind}/{i:03}.png", pixels)
        if i < 2:
            save(root / f"part/train/good/{i:03}.png", pixels)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


class Free(nn.Module):
    """A backbone that hands pixels on."""

    image_size, identity = SIZE, {"name": "free", "sha256": "0" * 64}

    def __init__(self) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.zeros(1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels


class Bright(nn.Module):
    """An expert that finds bright patches suspicious."""

    def forward(self, pixels: torch.Tensor, crops: list[int]) -> Verdict:
        maps = nn.functional.adaptive_avg_pool2d(pixels[:, 0].float() / 255, GRID)
        empty = torch.zeros(len(maps), 1, 1)
        return Verdict(maps.flatten(1).amax(1).logit(eps=1e-6), maps, empty, empty[:, 0])


def ours(root: Path, out: Path) -> dict[str, float]:
    config = Config(
        name="free",
        model=ModelConfig(crops="base"),
        test={"parts": DataConfig("industrial", "mvtec", str(root))},
        store=StoreConfig(mode="never", path=str(out)),
        trainer=TrainerConfig(accelerator="cpu", devices=1, enable_progress_bar=False),
        out=str(out / "runs"),
    )
    _, sets = open_all(config, fit=False)
    backbone = Free()
    card = trained.describe(config.model, backbone.identity, [], {"seed": 0})
    task = Detect(config, backbone, Bright(), card)
    make_trainer(config, []).test(task, datamodule=DomainData(config, [], sets, backbone), verbose=False)
    assert task.folder is not None
    return {f"{r.level} {r.metric}": r.value for r in load([task.folder]) if r.category == "all" and not r.control}


def anomalib(root: Path, out: Path) -> dict[str, float]:
    names = (
        "engine",
        "data",
        "models.components",
        "data.datamodules.image",
        "pre_processing",
        "post_processing",
        "metrics",
    )
    engine, data, components, sets, preparing, after, measures = (
        importlib.import_module(f"anomalib.{name}") for name in names
    )
    transforms = importlib.import_module("torchvision.transforms.v2")

    class Zero(components.AnomalibModule):  # type: ignore[misc, name-defined]
        trainer_arguments = property(lambda _: {})
        learning_type = importlib.import_module("anomalib").LearningType.ZERO_SHOT

        def test_step(self, batch: Any, *_: Any) -> Any:
            maps = nn.functional.adaptive_avg_pool2d(batch.image[:, 0], GRID)
            maps = nn.functional.interpolate(maps[:, None], (SIZE, SIZE), mode="bilinear")[:, 0]
            return batch.update(pred_score=maps.flatten(1).amax(1), anomaly_map=maps)

        validation_step = test_step

        def forward(self, images: torch.Tensor) -> Any:
            return data.InferenceBatch(pred_score=images.flatten(1).amax(1), anomaly_map=images[:, 0])

    resize = transforms.Compose([transforms.Resize((SIZE, SIZE), antialias=True)])
    of_samples = {"fields": ["pred_score", "gt_label"], "prefix": "image_"}
    of_pixels = {"fields": ["anomaly_map", "gt_mask"], "prefix": "pixel_"}
    found = [getattr(measures, name)(**of_samples) for name in ("AUROC", "AUPR", "F1Max")]
    found += [getattr(measures, name)(**of_pixels) for name in ("AUROC", "AUPR", "F1Max", "AUPRO")]
    evaluator = measures.Evaluator(test_metrics=found)
    model = Zero(preparing.PreProcessor(transform=resize), after.PostProcessor(), evaluator)
    parts = sets.MVTecAD(root=root, category="part", eval_batch_size=8, num_workers=0)
    runner = engine.Engine(
        accelerator="cpu", devices=1, default_root_dir=out, enable_progress_bar=False, logger=False, barebones=False
    )
    return dict(runner.test(model=model, datamodule=parts, verbose=False)[0])


def main(count: int = 24, side: int = 1024) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{count} pictures of {side} px, 1 thread\n{'':10}{'CPU ms/picture':>16}{'x ours':>8}  values")
    baseline = 0.0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        write(root, count, side)
        for contender in (ours, anomalib):
            if find_spec(contender.__name__ if contender is anomalib else "torch") is None:
                print(f"{contender.__name__:10}  left out: it is not installed")
                continue
            best, values = float("inf"), {}
            for turn in range(4):
                start = time.process_time()
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    values = contender(root, Path(folder) / f"{contender.__name__}{turn}")
                best = min(best, time.process_time() - start) if turn else best
            baseline = baseline or best
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            print(f"{contender.__name__:10}{best / count * 1e3:16.1f}{best / baseline:8.1f}  {shown}", flush=True)
    print(f"goal: ours at most 1/{GOAL}")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
