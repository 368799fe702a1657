"""A process's number, or a name -> the device it computes on."""

from __future__ import annotations

import torch

from framework.errors import UserError
from framework.models.backbones.sources import one_line


def device(accelerator: str, rank: int) -> str:
    """Where a process computes: the CPU if ``accelerator`` says so or there is no GPU, else one GPU in turn."""
    if accelerator == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{rank % torch.cuda.device_count()}"


def usable(name: str) -> torch.device:
    """The device of a name, or of "" the best there is, once a tensor went there and came back."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:  # torch has one for each way to lack a device
        here = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise UserError(f"device {name!r}: {one_line(error).rstrip('.')}. Usable here: {here}.") from None
    return found
