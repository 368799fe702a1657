"""A seed and a number of steps go in; the weights of the embedded backbone come out, learnt from procedural pictures.

    python -m framework.models.backbones.embedded.pretrain --threads 2

Its defaults made ``weights.safetensors``, in 26 minutes on 2 cores that had other work too. The bits of the weights
depend on the processor and on torch; ``network.SHA256`` is of the file in the repository.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import math
import os
import time
from dataclasses import astuple
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from framework.errors import UserError
from framework.models.backbones.embedded.network import LEVELS, WEIGHTS, WIDTH, Network
from framework.models.backbones.embedded.pictures import KINDS, TARGETS, draw

BATCH = 16
SIZE = 128  # pixels; smaller than ``IMAGE_SIZE``, since the network is convolutional and time is short
RATE = 2e-3
DECAY = 0.05
SAVE_EVERY = 200  # steps
HELD_OUT = 10**9  # pictures of steps from here on are never trained on


class Heads(nn.Module):
    """Linear heads on the tokens, thrown away after the training."""

    def __init__(self) -> None:
        super().__init__()
        self.edited = nn.ModuleList(nn.Linear(WIDTH, 1) for _ in LEVELS)
        self.kind = nn.Linear(WIDTH, len(KINDS))
        self.targets = nn.ModuleList(nn.Linear(WIDTH, TARGETS) for _ in LEVELS)


class Steps(Dataset[tuple[Tensor, ...]]):
    """One item is the batch of one step, so that workers, kills and resumes change nothing."""

    def __init__(self, seed: int, first: int, last: int, batch: int, size: int) -> None:
        self.seed, self.first, self.last, self.batch, self.size = seed, first, last, batch, size

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(map(torch.from_numpy, astuple(draw(self.seed, self.first + index, self.batch, self.size))))


def losses(network: Network, heads: Heads, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Loss of a batch as ``pictures.Pictures`` describes it, and ``(N, P)`` logits of "edited" from the last level."""
    pixels, edited, kind, targets = batch
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(pixels.float() / 127.5 - 1)
    known, loss = edited >= 0, torch.zeros(())
    for place, (block, weight) in enumerate(zip(LEVELS, (0.2, 0.3, 0.5, 1.0), strict=True)):
        tokens = outputs[block].float()
        logits = heads.edited[place](tokens)[..., 0]
        loss = loss + weight * functional.binary_cross_entropy_with_logits(
            logits[known], edited[known], pos_weight=torch.tensor(4.0)
        )
        loss = loss + 0.1 * functional.smooth_l1_loss(heads.targets[place](tokens), targets)
    named = functional.cross_entropy(heads.kind(tokens).flatten(0, 1), kind.flatten(), ignore_index=-1, reduction="sum")
    loss = loss + 0.2 * named / (kind >= 0).sum().clamp_min(1)
    top = logits.topk(4, dim=1).values.mean(1)
    loss = loss + 0.6 * functional.binary_cross_entropy_with_logits(top, (edited == 1).any(1).float())
    return loss, logits


def auroc(scores: Tensor, labels: Tensor) -> float:
    """Chance that a random positive scores above a random negative; ties by order. Mann and Whitney 1947."""
    order = scores.argsort()
    ranks = torch.empty_like(scores, dtype=torch.float64)
    ranks[order] = torch.arange(1, len(scores) + 1, dtype=torch.float64)
    positive, count = labels.bool(), int(labels.sum())
    area = ranks[positive].sum() - count * (count + 1) / 2
    return float(area / (count * (len(scores) - count)))


@torch.no_grad()
def judge(network: Network, heads: Heads, seed: int, batches: int, batch: int, size: int) -> str:
    """AUROC of "edited" over held-out patches, and of "any patch edited" over held-out pictures."""
    held_out = Steps(seed, HELD_OUT, HELD_OUT + batches, batch, size)
    logits, edited = map(
        torch.cat,
        zip(*((losses(network, heads, d)[1], d[1]) for d in map(held_out.__getitem__, range(batches))), strict=True),
    )
    known = edited >= 0
    patch, picture = auroc(logits[known], edited[known]), auroc(logits.amax(1), (edited == 1).any(1))
    return f"held-out AUROC {patch:.4f} patch, {picture:.4f} picture"


def train(
    out: Path, steps: int, seed: int = 0, batch: int = BATCH, size: int = SIZE, workers: int = 1, report: int = 100
) -> list[float]:
    """Train, or go on from ``out``.resume, and write ``out``. Returns the loss of every step of this call."""
    torch.manual_seed(seed)
    model = nn.ModuleDict({"network": Network(), "heads": Heads()})
    mean = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, betas=(0.9, 0.98))
    resume = out.with_name(out.name + ".resume")
    first = _resume(resume, model, mean, optimizer, steps, seed)
    history, began = [], time.monotonic()
    data = DataLoader(Steps(seed, first, steps, batch, size), batch_size=None, num_workers=workers)
    for step, drawn in enumerate(data, first):
        history.append(_step(model, optimizer, drawn, step, steps))
        keep = min(0.998, (step + 1) / (step + 10))
        for slow, fast in zip(mean.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)
        if (step + 1) % report == 0 or step + 1 == steps:
            speed = len(history) * batch / (time.monotonic() - began)
            recent = sum(history[-report:]) / len(history[-report:])
            areas = judge(mean["network"], mean["heads"], seed, 8, batch, size)
            print(f"step {step + 1}/{steps}  loss {recent:.4f}  {areas}  {speed:.1f} pictures/s", flush=True)
        if (step + 1) % SAVE_EVERY == 0:
            _save(resume, model, mean, optimizer, {"step": step + 1, "steps": steps, "seed": seed})
    standardise(mean["network"], seed)
    _write(out, {name: value.half() for name, value in mean["network"].state_dict().items()})
    resume.unlink(missing_ok=True)
    return history


@torch.no_grad()
def standardise(network: Network, seed: int, pictures: int = 64) -> None:
    """Set ``shift`` and ``scale`` so that every channel of every block has mean 0 and variance 1 on new pictures."""
    pixels = Steps(seed, HELD_OUT - 1, HELD_OUT, pictures, network.image_size)[0][0]
    network.shift.zero_()
    network.scale.fill_(1)
    for index, tokens in enumerate(network(pixels.float() / 127.5 - 1)):
        network.shift[index] = tokens.mean((0, 1))
        network.scale[index] = 1 / tokens.std((0, 1)).clamp_min(1e-3)


def main() -> None:
    """Command line: see the first lines of this file."""
    parser = argparse.ArgumentParser(description="Train the embedded backbone from procedural pictures.")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="safetensors file to write")
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.out, options.steps, options.seed)
    print(f"{options.out}: {options.steps} steps, sha256 {hashlib.sha256(options.out.read_bytes()).hexdigest()}")


def _step(
    model: nn.ModuleDict, optimizer: torch.optim.Optimizer, drawn: tuple[Tensor, ...], step: int, steps: int
) -> float:
    """One update at the rate of the cosine schedule with a warm-up. Returns the loss."""
    for group in optimizer.param_groups:
        group["lr"] = RATE * min((step + 1) / (0.05 * steps + 1), 0.5 + 0.5 * math.cos(math.pi * step / steps))
    loss, _ = losses(model["network"], model["heads"], drawn)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _resume(
    path: Path, model: nn.ModuleDict, mean: nn.ModuleDict, optimizer: torch.optim.Optimizer, steps: int, seed: int
) -> int:
    """Load what ``_save`` wrote, if anything. Returns the first step to do."""
    if not path.exists():
        return 0
    with safetensors.safe_open(path, "pt") as file:
        about = {name: int(value) for name, value in file.metadata().items()}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  safe_open is no mapping
    if (about["steps"], about["seed"]) != (steps, seed):
        raise UserError(
            f"{path}: is of a run with --steps {about['steps']} --seed {about['seed']}; give these, or delete the file."
        )
    for place, module in (("model.", model), ("mean.", mean)):
        module.load_state_dict({k.removeprefix(place): v for k, v in tensors.items() if k.startswith(place)})
    state = optimizer.state_dict()
    names = ("step", "exp_avg", "exp_avg_sq")
    state["state"] = {i: {n: tensors[f"adam.{i}.{n}"] for n in names} for i in range(len(list(model.parameters())))}
    optimizer.load_state_dict(state)
    return about["step"]


def _save(
    path: Path, model: nn.ModuleDict, mean: nn.ModuleDict, optimizer: torch.optim.Optimizer, about: dict[str, int]
) -> None:
    """Write all that a killed run needs to go on."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"mean.{name}": value for name, value in mean.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
    _write(path, tensors, {name: str(value) for name, value in about.items()})


def _write(path: Path, tensors: dict[str, Tensor], about: dict[str, str] | None = None) -> None:
    """Write atomically: the file is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    safetensors.torch.save_file({name: value.contiguous() for name, value in tensors.items()}, part, about)
    os.replace(part, path)


if __name__ == "__main__":
    main()
