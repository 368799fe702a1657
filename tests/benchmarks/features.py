"""Seconds of an epoch of training: features read from a store, beside features recomputed on the fly.

    ANOMALY_OV_WEIGHTS=<folder of the ViT-Tiny> OMP_NUM_THREADS=1 python tests/benchmarks/features.py [--samples 64]

Both train the same expert on the same procedural pictures with the same steps; only where features come from differs.
Without ANOMALY_OV_WEIGHTS the embedded backbone takes the ViT-Tiny's place.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from framework import config as configs
from framework import registry
from framework.data.datamodule import DomainData
from framework.data.index import open_all
from framework.models import trained
from framework.tasks.detect import Detect

VIT_TINY = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


class Epochs(Callback):
    """Wall-clock seconds of every epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def experiment(folder: Path) -> Path:
    weights = os.environ.get("ANOMALY_OV_WEIGHTS")
    backbone = "{name: embedded}"
    if weights:
        backbone = f"{{name: timm, options: {{weights: {weights}/{VIT_TINY}, blocks: [2, 5, 8, 11], final: 11}}}}"
    path = folder / "x.yaml"
    path.write_text(
        f"name: benchmark\nmodel: {{backbone: {backbone}, crops: base}}\noptim: {{batch_size: 16}}\n"
        f"train: {{a: {{domain: industrial, dataset: mvtec, root: {folder}/source}}}}\n"
        f"store: {{path: {folder}/store}}\n"
    )
    return path


def epochs(path: Path, mode: str, count: int) -> tuple[list[float], float]:
    """Seconds of each epoch, and of everything before the first."""
    config = configs.load(path, [f"store.mode={mode}"])
    train, _ = open_all(config, fit=True)
    backbone, expert = trained.build_model(config.model)
    card = trained.describe(config.model, backbone.identity, [], {})
    clock = Epochs()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=count,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[clock],
    )
    start = time.perf_counter()
    trainer.fit(Detect(config, backbone, expert, card), datamodule=DomainData(config, train, [], backbone))
    return clock.seconds, time.perf_counter() - start - sum(clock.seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry.load_domain("industrial")
        registry.build("procedural", "industrial", folder, seed=0, samples=arguments.samples)
        path = experiment(folder)
        print(f"{arguments.samples} pictures, {arguments.epochs} epochs, median seconds of an epoch")
        print(f"{'features':<22}{'epoch s':>9}{'before s':>10}")
        medians = {}
        for mode in ("never", "always"):
            seconds, before = epochs(path, mode, arguments.epochs)
            medians[mode] = statistics.median(seconds)
            print(f"{'recomputed' if mode == 'never' else 'from the store':<22}{medians[mode]:>9.2f}{before:>10.2f}")
        print(f"the store is {medians['never'] / medians['always']:.1f} times faster per epoch")


if __name__ == "__main__":
    main()
