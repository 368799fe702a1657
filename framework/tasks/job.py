"""What torchrun or SLURM tell a process -> its number, how many share the work, and the device it computes on."""

from __future__ import annotations

import os

import torch


def job() -> tuple[int, int]:
    """Number of this process and how many there are; (0, 1) for one alone."""
    for rank, ranks in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")):
        if rank in os.environ and ranks in os.environ:
            return int(os.environ[rank]), int(os.environ[ranks])
    return 0, 1


def device(accelerator: str, rank: int) -> str:
    """Where a process computes: the CPU if ``accelerator`` says so or there is no GPU, else one GPU in turn."""
    if accelerator == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{rank % torch.cuda.device_count()}"
