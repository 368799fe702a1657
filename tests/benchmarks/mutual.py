"""Nothing in -> a table: CPU seconds of MuSc's mutual scores, each pair of images multiplied twice and once.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/mutual.py [--repeats 3]`` (two minutes).
A category of 40 and of 80 pictures, ViT-Tiny's sizes and those of a ViT-Base at 224 pixels; one level, one degree; both
take the same features in turn, the table gives medians. Twice is a view against all views at a time, as it was.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from framework.models.experts.mutual import CHUNK, closest, interval_mean, scored

SHARE, PATCHES = 0.3, 196


def twice(found: Tensor, crops: list[int], samples: list[int]) -> Tensor:
    """``(N, P, C)`` -> ``(N * P,)``, every view against all."""
    scores, owner = [], torch.tensor(samples)
    for view in range(len(crops)):
        at_once = max(1, CHUNK // PATCHES**2)
        nearest = [
            (found[view] @ part.flatten(0, 1).mT).unflatten(1, part.shape[:2]).amax(2) for part in found.split(at_once)
        ]
        distances = (2 - 2 * torch.cat(nearest, 1)).clamp_min(0).sqrt()
        scores.append(interval_mean(distances[:, owner != owner[view]], SHARE))
    return torch.cat(scores)


def once(found: Tensor, crops: list[int], samples: list[int]) -> Tensor:
    """The same as ``mutual_scores`` has it."""
    return scored(closest(found, crops, samples), PATCHES, crops, samples, SHARE)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(
        "| pictures | channels | twice, CPU s | once, CPU s | ratio | largest difference |\n|---|---|---|---|---|---|"
    )
    for pictures, width in ((40, 192), (80, 192), (40, 768)):
        drawn = torch.randn(pictures, PATCHES, width, generator=torch.Generator().manual_seed(0))
        found = torch.nn.functional.normalize(drawn, dim=-1)
        taken: dict[Callable[..., Tensor], list[float]] = {twice: [], once: []}
        results = {}
        for _ in range(arguments.repeats):
            for method, seconds in taken.items():
                start = time.process_time()
                results[method] = method(found, [1] * pictures, list(range(pictures)))
                seconds.append(time.process_time() - start)
        before, after = (statistics.median(seconds) for seconds in taken.values())
        gap = (results[twice] - results[once]).abs().max()
        print(f"| {pictures} | {width} | {before:.2f} | {after:.2f} | {before / after:.2f} | {gap:.1e} |")


if __name__ == "__main__":
    main()
