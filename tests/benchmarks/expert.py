"""Nothing in -> a table: time of the published expert's arithmetic against ours, and the expert's share of the tower.

Command: ``OMP_NUM_THREADS=1 python tests/benchmarks/expert.py [--repeats 7] [--device cpu]`` (about a minute).
Both take the same weights and inputs in the same run, in turn; the table gives medians. Sizes are the published ones.
The published code runs wholly in the dtype of its inputs; ours turns them into float32 and computes in that.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from framework.models.experts.look_twice import LookTwice
from framework.types import Features

WIDTH, GRID, LEVELS, CROPS, SIZE = 1152, (27, 27), 4, 5, 512
PATCHES = GRID[0] * GRID[1]


def published(expert: LookTwice, features: Features, crops: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The published order of work: ``(M,)`` scores, ``(N, 4, C)`` local and ``(M, C)`` global tokens.

    The base crop and its class descriptor are repeated for every tile, patches and descriptors are copied to unit
    length, both similarities are softmaxed, all keys are projected, and images are summed in a loop.
    """
    final, n = features.final, len(features.final)
    base = torch.cat([part[:1].expand(len(part), -1, -1) for part in final.split(crops)])  # (N, P, C)
    descriptor = expert.class_predictor(expert.pooling_layer(base.transpose(1, 2)).squeeze(-1))  # (N, D)
    probabilities = []
    for adaptor, prompt, level in zip(expert.siglip_adaptors, expert.prompt_adaptors, features.levels, strict=True):
        signs = [
            prompt(torch.cat([sign.expand(n, -1), descriptor], -1))
            for sign in (expert.positive_embedding, expert.negative_embedding)
        ]
        directions = torch.stack(signs, 1)  # (N, 2, E)
        directions = directions / torch.linalg.vector_norm(directions, dim=-1, keepdim=True)
        patches = adaptor(level)
        patches = patches / torch.linalg.vector_norm(patches, dim=-1, keepdim=True)
        probabilities.append((100 * patches @ directions.transpose(1, 2)).softmax(-1)[..., 1])
    maps = torch.stack(probabilities).mean(0)  # (N, P)
    pictures = maps.view(n, 1, *GRID)
    inside = F.adaptive_avg_pool2d(pictures, 2)  # (N, 1, 2, 2)
    tokens = F.adaptive_avg_pool2d(final.transpose(1, 2).reshape(n, WIDTH, *GRID) * pictures, 2) / inside
    queries, keys = (
        expert.q_former["query_proj"](tokens.flatten(2).transpose(1, 2)),
        expert.q_former["key_proj"](final),
    )
    local = (queries @ keys.transpose(1, 2) / SIZE**0.5).softmax(-1) @ final  # (N, 4, C)
    weights = inside.flatten(1) * maps.mean(1, keepdim=True)  # (N, 4)
    whole = torch.stack(
        [
            (part * weight[..., None]).sum((0, 1)) / weight.sum()
            for part, weight in zip(local.split(crops), weights.split(crops), strict=True)
        ]
    )
    return expert.final_predictor(whole).squeeze(-1).sigmoid(), local, whole


def seconds(run: Callable[[], object], device: str) -> float:
    """Wall time of one call, with the device's queue empty before and after."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def compare(images: int, dtype: torch.dtype, device: str, repeats: int) -> tuple[float, float, float]:
    """Median seconds of both for one batch of ``images``, and the largest difference of a score."""
    torch.manual_seed(0)
    ours = LookTwice(WIDTH, PATCHES, LEVELS).to(device)
    theirs = LookTwice(WIDTH, PATCHES, LEVELS).to(device, dtype)
    theirs.load_state_dict(ours.state_dict())
    *levels, final = torch.randn(LEVELS + 1, images * CROPS, PATCHES, WIDTH, device=device).to(dtype)
    features, crops = Features(levels, final, GRID), [CROPS] * images
    taken: dict[str, list[float]] = {"published": [], "ours": []}
    with torch.inference_mode():
        gap = (published(theirs, features, crops)[0].float() - ours(features, crops).logits.sigmoid()).abs().max()
        for _ in range(repeats):
            taken["published"].append(seconds(lambda: published(theirs, features, crops), device))
            taken["ours"].append(seconds(lambda: ours(features, crops), device))
    return statistics.median(taken["published"]), statistics.median(taken["ours"]), gap.item()


def gflop_per_crop() -> tuple[float, float, float]:
    """Multiplications and additions, in 10^9 a crop: SigLIP's 26 blocks, the published expert, ours.

    Tower: per block 2 n (4 d^2 + 2 d f) for the linear layers and 4 n^2 d for attention, and the patch embedding.
    """
    hidden, patch = 4304, 14 * 14 * 3
    block = 2 * PATCHES * (4 * WIDTH**2 + 2 * WIDTH * hidden) + 4 * PATCHES**2 * WIDTH
    tower = 26 * block + 2 * PATCHES * patch * WIDTH
    adaptors = LEVELS * 2 * PATCHES * WIDTH * SIZE
    small = LEVELS * 2 * PATCHES * SIZE + 4 * 2 * PATCHES * WIDTH * 3  # similarities; four queries: pool, match, mix
    keys = 2 * PATCHES * WIDTH * SIZE
    return tower / 1e9, (adaptors + 2 * small + keys) / 1e9, (adaptors + small + 2 * 4 * WIDTH * SIZE * 2) / 1e9


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    print(f"{CROPS} crops an image, {PATCHES} x {WIDTH}, {options.device}, {torch.get_num_threads()} threads")
    print("images  inputs    published ms/image  ours ms/image  ratio  score difference")
    for images in (1, 4):
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            theirs, ours, gap = compare(images, dtype, options.device, options.repeats)
            times = f"{1e3 * theirs / images:18.1f}  {1e3 * ours / images:13.1f}  {theirs / ours:5.2f}"
            print(f"{images:6}  {name:8}  {times}  {gap:.1e}")
    tower, theirs, ours = gflop_per_crop()
    print(f"GFLOP a crop: tower {tower:.0f}, published expert {theirs:.2f} ({theirs / tower:.2%}), ", end="")
    print(f"ours {ours:.2f} ({ours / tower:.2%})")


if __name__ == "__main__":
    main()
