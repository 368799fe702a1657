"""The evaluation loop around a model that costs nothing, ours beside anomalib's Engine.test -> ms a picture.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/evaluation.py [pictures] [side] [turns]``; anomalib as in
``metrics.py``, left out where it is not installed. The same PNG files with masks, half of them with a defect; both
read, resize, batch, score, measure and write what they write by default: ours rows with intervals and the pictures most
worth a look, anomalib the same seven metrics and a picture of every sample. Least of the turns after a first one
that loads what there is to load: CPU time of the whole call with its workers, and wall time, where files are
read in the process itself and by two workers.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
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
Timed = tuple[float, float, dict[str, float]]


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


def ours(root: Path, out: Path, workers: int) -> dict[str, float]:
    """Tests the free model on the pictures at ``root`` and writes a run to ``out``."""
    config = Config(
        name="free",
        model=ModelConfig(crops="base"),
        test={"parts": DataConfig("industrial", "mvtec", str(root))},
        store=StoreConfig(mode="never", path=str(out)),
        trainer=TrainerConfig(accelerator="cpu", devices=1, enable_progress_bar=False),
        workers=workers,
        out=str(out / "runs"),
    )
    _, sets = open_all(config, fit=False)
    backbone = Free()
    card = trained.describe(config.model, backbone.identity, [], {"seed": 0})
    task = Detect(config, backbone, Bright(), card)
    make_trainer(config, []).test(task, datamodule=DomainData(config, [], sets, backbone), verbose=False)
    assert task.folder is not None
    return {f"{r.level} {r.metric}": r.value for r in load([task.folder]) if r.category == "all" and not r.control}


def anomalib(root: Path, out: Path, workers: int) -> dict[str, float]:
    """The same by anomalib."""
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
    parts = sets.MVTecAD(root=root, category="part", eval_batch_size=8, num_workers=workers)
    runner = engine.Engine(
        accelerator="cpu", devices=1, default_root_dir=out, enable_progress_bar=False, logger=False, barebones=False
    )
    return dict(runner.test(model=model, datamodule=parts, verbose=False)[0])


def timed(contender: Callable[..., dict[str, float]], root: Path, out: Path, workers: int, turns: int) -> Timed:
    """CPU seconds with workers, wall seconds, and values: the least of ``turns`` after a first one."""
    cpu, wall, values = [], [], {}
    for turn in range(1 + turns):
        start, used, others = time.perf_counter(), time.process_time(), ended()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            values = contender(root, out / str(turn), workers)
        wall.append(time.perf_counter() - start)
        used = time.process_time() - used
        gc.collect()  # workers end with their loader
        cpu.append(used + ended() - others)
    return min(cpu[1:]), min(wall[1:]), values


def ended() -> float:
    """CPU seconds of the processes that this one has begun and that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def main(count: int = 24, side: int = 1024, turns: int = 3) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{count} pictures of {side} px, 1 thread; ms a picture, and how many times ours")
    print(f"{'':10}{'CPU':>8}{'':8}{'wall':>8}{'':8}{'2 workers: CPU':>16}{'':8}{'wall':>8}")
    baseline: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        root, shown = Path(folder) / "data", []
        write(root, count, side)
        for contender, needs in ((ours, "torch"), (anomalib, "anomalib")):
            name = contender.__name__
            if find_spec(needs) is None:
                print(f"{name:10}  left out: {needs} is not installed")
                continue
            took = []
            for workers in (0, 2):
                *some, values = timed(contender, root, Path(folder) / f"{name}{workers}", workers, turns)
                took += some
            baseline = baseline or took
            cells = (f"{t / count * 1e3:8.1f} {t / b:6.1f}x" for t, b in zip(took, baseline, strict=True))
            print(f"{name:10}" + "{}{}{:>24}{}".format(*cells), flush=True)
            shown.append(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in values.items()))
    print(*shown, f"goal: CPU of ours at most 1/{GOAL}", sep="\n")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
