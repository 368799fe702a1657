"""Nothing in -> a table: memory and time of `predict` on a whole CT, from its file to the score of every voxel.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/whole_scan.py`` (five minutes), with ANOMALY_OV_WEIGHTS set to the
folder that holds the ViT-Tiny; without it the embedded tower is taken. Goal: 512 x 512 x 300 stays under 1.5 GB.
Peer: the same on one small picture, which is what packages and model take alone; and all crops through the tower
at once, as it was done before scans were scored a few slices at a time. Each way runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests
sys.path.insert(0, str(Path(__file__).parents[2]))  # the project: else tests/domains is taken for domains

import torch
from PIL import Image
from volumes import CT, body, peak_mb

from framework.config import BackboneConfig, ExpertConfig, ModelConfig
from framework.data import crops
from framework.models import trained
from framework.tasks.predict import Predictor

TINY = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
WAYS = ("picture", "base", "base, pictures", "anyres", "all at once")


def checkpoint(folder: Path, mode: str) -> Path:
    """An untrained expert on the tower."""
    weights = os.environ.get("ANOMALY_OV_WEIGHTS")
    options = {"weights": str(Path(weights) / TINY), "blocks": [2, 5, 8, 11], "final": 11} if weights else {}
    backbone = BackboneConfig("timm", options) if weights else BackboneConfig("embedded")
    config = ModelConfig(backbone=backbone, expert=ExpertConfig(), crops=mode)
    torch.manual_seed(0)
    tower, expert = trained.build_model(config)
    path = folder / f"{mode}.ckpt"
    run = {"experiment": "benchmark", "settings": {}}
    trained.save(path, expert=expert, card=trained.describe(config, tower.identity, [], run))
    return path


def measure(path: Path, given: Path, way: str) -> None:
    """One way, here: print its peak and its seconds."""
    start = time.process_time()
    predictor = Predictor(given)
    _, reader = predictor.domain(path)
    if way == "all at once":
        crops.AT_ONCE["cpu"] = 1 << 20
    sample, _, scores, maps = predictor.score(reader, path)
    scored, seconds = peak_mb(), time.process_time() - start
    reader.save(sample, scores.numpy(), path.with_name("map"))
    if way == "base, pictures":
        from framework.tasks.showing import show

        told = {"file": str(path), "score": 0.5, "view_scores": [0.5] * len(sample.views)}
        show(reader, sample, scores.numpy(), maps, path.with_name("shown"), told)
    print(f"{way:16} {len(sample.views):7} {scored:8.0f} {peak_mb():8.0f} {seconds:8.1f}", flush=True)


def main() -> None:
    """Every way in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        measure(given.path, given.checkpoint, given.way)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture, scan = folder / "picture.png", body(folder)
        Image.new("L", (224, 224), 90).save(picture)
        print(f"{' x '.join(map(str, CT))}   slices  MB, scored and saved    CPU-s to the scores", flush=True)
        for way in WAYS:
            path = picture if way == "picture" else scan
            mode = "anyres" if way == "anyres" else "base"
            command = [sys.executable, __file__, "--way", way, "--path", path, "--checkpoint", checkpoint(folder, mode)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
