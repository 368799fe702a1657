"""An image in; the largest or mean value of the square around every pixel out.

A window of n is made of two that overlap, each of two half as long: a handful of passes whatever its width, several
times faster on a CPU than pooling, which looks at every pixel of the window.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def highest(image: Tensor, radius: int, beyond: float = -1) -> Tensor:
    """Maximum over the ``2 radius + 1`` square, ``(h, w)``, of what is ``beyond`` outside the image."""
    return _both(F.pad(image, (radius,) * 4, value=beyond), radius, torch.maximum)


def mean(image: Tensor, radius: int) -> Tensor:
    """Mean over the ``2 radius + 1`` square, ``(..., h, w)``, zero outside the image."""
    padded = F.pad(image, (radius,) * 4)
    for axis in (-2, -1):
        padded = _sum(padded, 2 * radius + 1, axis)
    return padded / (2 * radius + 1) ** 2


def close(depth: Tensor, radius: int, far: float) -> Tensor:
    """Grey-scale closing: gaps up to ``2 radius`` wide get the depth of the surface around them, ``(h, w)``."""
    padded = F.pad(depth, (2 * radius,) * 4, value=far)  # without it objects at the border grow wings
    return _both(_both(padded, radius, torch.minimum), radius, torch.maximum)


def _both(padded: Tensor, radius: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join the square around every pixel that is ``radius`` away from the border."""
    for axis in (-2, -1):
        padded = _along(padded, 2 * radius + 1, axis, join)
    return padded


def _along(image: Tensor, width: int, axis: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join ``width`` neighbours; the two halves may overlap, for joining twice changes nothing."""
    span, reach = image, 1
    while reach < width:
        step = min(reach, width - reach)
        span = join(span.narrow(axis, 0, span.shape[axis] - step), span.narrow(axis, step, span.shape[axis] - step))
        reach += step
    return span


def _sum(image: Tensor, width: int, axis: int) -> Tensor:
    """Sum of ``width`` neighbours."""
    length = image.shape[axis] - width + 1
    total = image.narrow(axis, 0, length).clone()
    for shift in range(1, width):
        total += image.narrow(axis, shift, length)
    return total
