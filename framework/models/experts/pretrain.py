"""Procedural pictures and the embedded backbone -> an expert to start from, written as ``embedded.safetensors``.

    python -m framework.models.experts.pretrain --steps 1500

Image labels train the logit, as in stage 1; the maps are trained too, on where each picture was edited. No set of any
domain is seen.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from framework import registry
from framework.files import write_whole
from framework.models.backbones.embedded.pictures import draw
from framework.models.experts.embedded import SIZES, WEIGHTS
from framework.progress import say
from framework.types import Features

FIRST = 500_000_000  # the pictures of the backbone's own training lie before this one
BATCH = 16


def loss(logits: Tensor, maps: Tensor, edited: Tensor) -> Tensor:
    """Balanced cross-entropy of the pictures and, as much again, of their patches.

    Args:
        logits: ``(B,)``.
        maps: ``(B, P)`` in [0, 1].
        edited: ``(B, P)``, 1 where a patch was edited, 0 where it was not, -1 where it is unsure.
    """
    label = (edited == 1).any(1)
    picture = _mean(softplus(-logits), label) + _mean(softplus(logits), ~label)
    maps = maps.clamp(1e-4, 1 - 1e-4)
    return (picture + _mean(-maps.log(), edited == 1) + _mean(-(1 - maps).log(), edited == 0)) / 2


def _mean(terms: Tensor, chosen: Tensor) -> Tensor:
    return (terms * chosen).sum() / chosen.sum().clamp_min(1)


def pretrain(steps: int, out: Path, seed: int = 0) -> list[float]:
    """Train, write ``out`` whole, and return the loss of every step."""
    torch.manual_seed(seed)
    backbone = registry.build("backbone", "embedded")
    patches = int(np.prod(backbone.grid))
    expert: nn.Module = registry.build("expert", "look_twice", backbone.width, patches, backbone.depth, **SIZES)
    optimizer = torch.optim.AdamW(expert.parameters(), lr=2e-3, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for step in range(steps):
        drawn = draw(seed, FIRST + step, BATCH, backbone.image_size)
        features: Features = backbone(torch.from_numpy(drawn.pixels))
        verdict = expert(features, [1] * BATCH)
        value = loss(verdict.logits, verdict.maps.flatten(1), torch.from_numpy(drawn.edited))
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(expert.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(value.item())
        if (step + 1) % 50 == 0:
            say(f"step {step + 1}/{steps}  loss {sum(losses[-50:]) / 50:.3f}")
    content = safetensors.torch.save({k: v.half().contiguous() for k, v in expert.state_dict().items()})
    write_whole(out, content)
    return losses


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the embedded expert on procedural pictures.")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pretrain(arguments.steps, arguments.out, arguments.seed)
    print(f"{arguments.out}: sha256 {hashlib.sha256(arguments.out.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
