"""A metric of integer states -> the same, written in place and summed over ranks: what streaming metrics share."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torchmetrics import Metric


def own(metric: Metric) -> None:
    """States that were reset under ``inference_mode`` cannot be written outside of it: copy them."""
    for name in metric._reductions:
        held = getattr(metric, name)
        if held.is_inference() and not torch.is_inference_mode_enabled():
            setattr(metric, name, held.clone())


def add_ranks(metric: Metric, process_group: Any | None) -> None:
    """One sum over the ranks for each state, in place of the library's gather of every rank's."""
    own(metric)
    for name in metric._reductions:
        dist.all_reduce(getattr(metric, name), group=process_group or metric.process_group)
