"""Nothing in -> two tables: the expert's share of the tower's time a picture, and the hidden states that are kept.

    OMP_NUM_THREADS=1 python tests/benchmarks/onevision.py [--dtype bfloat16] [--crops 5] [--repeats 3] [--device cuda]

The tower has the published size (SigLIP so400m, 26 blocks, 1152 channels, 384 pixels) and random weights; a picture
of five crops is its base crop and four tiles. Times are medians of processor seconds, of a GPU of wall-clock seconds,
tower and expert in turn. About two minutes in bfloat16 on one thread of a processor with AVX-512, and 3 GB.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import SiglipVisionConfig, SiglipVisionModel

from framework.models.experts.look_twice import LookTwice
from framework.models.onevision.configuration import LEVELS
from framework.types import Features

SIZES = SiglipVisionConfig(
    hidden_size=1152,
    intermediate_size=4304,
    num_hidden_layers=26,
    num_attention_heads=16,
    image_size=384,
    patch_size=14,
    vision_use_head=False,
)
FINAL = 26
SIDE = 27


def timed(work: Callable[[], Any], device: str) -> tuple[Any, float]:
    """What it returns, and seconds."""
    if device == "cpu":
        start = time.process_time()
        return work(), time.process_time() - start
    torch.cuda.synchronize()
    start, found = time.perf_counter(), work()
    torch.cuda.synchronize()
    return found, time.perf_counter() - start


def held(states: Any) -> float:
    """MB of the tensors that are alive, each storage once."""
    kept = {s.untyped_storage().data_ptr(): s.untyped_storage().nbytes() for s in states if s is not None}
    return sum(kept.values()) / 1e6


def peak(device: str) -> float:
    """MB that this process has held at most, of a GPU in tensors."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--crops", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    dtype, device = getattr(torch, options.dtype), options.device
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)  # cast afterwards, the weights alone would be the peak
    tower = SiglipVisionModel(SIZES).to(device).eval()
    torch.set_default_dtype(torch.float32)
    expert = LookTwice(SIZES.hidden_size, SIDE**2, len(LEVELS)).to(device).eval()
    pixels = torch.rand(options.crops, 3, SIZES.image_size, SIZES.image_size, device=device).to(dtype) * 2 - 1
    used = [*LEVELS, FINAL]

    def look(states: list[int] | bool, crops: Tensor = pixels) -> Any:
        return tower(crops, output_hidden_states=states).hidden_states

    def judge(states: Any) -> Any:
        features = Features([states[i] for i in LEVELS], states[FINAL], (SIDE, SIDE))
        return expert(features, [len(features.final)])

    towers, experts = [], []
    with torch.inference_mode():
        start = peak(device)
        judge(look(used, pixels[:1]))  # the first call of each is not counted
        for _ in range(options.repeats):
            states, seconds = timed(lambda: look(used), device)
            towers.append(seconds)
            experts.append(timed(lambda s=states: judge(s), device)[1])
        ours, ours_peak = held(states), peak(device) - start
        del states
        theirs, theirs_peak = held(look(True)), peak(device) - start
    slow, quick = statistics.median(towers), statistics.median(experts)
    print(f"{options.crops} crops of a picture, {options.dtype}, {device}, {torch.get_num_threads()} threads")
    print("tower ms  expert ms   share")
    print(f"{1e3 * slow:8.1f}  {1e3 * quick:9.2f}  {quick / slow:6.2%}")
    print("hidden states  MB a picture  MB of peak memory above the weights")
    print(f"levels used    {ours:12.0f}  {ours_peak:.0f}")
    print(f"all            {theirs:12.0f}  {theirs_peak:.0f}")


if __name__ == "__main__":
    main()
