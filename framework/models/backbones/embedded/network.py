"""Normalised pixels go in; the tokens of every block come out. Also reads the weights that lie beside this file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from framework.errors import UserError

WEIGHTS = Path(__file__).with_name("weights.safetensors")
SHA256 = "494f778aa174f4eda595c3d01866e6e5dce1f7281fb6f4eb46876a70b9a098ef"
IMAGE_SIZE = 160
WIDTH = 96
PATCH = 8
BLOCKS = "ccaccac"  # c: convolutions look at the surround of a patch; a: attention compares it with all others
LEVELS = (1, 2, 4, 6)  # blocks, shallow to deep, that an expert matches
FINAL = 6


class Convolve(nn.Module):
    """A ConvNeXt block (Liu et al. 2022, section 2: depthwise k x k, norm, MLP, residual) that knows the whole picture.

    Beside its normalised token the MLP sees by how many standard deviations of the picture each channel differs from
    the picture's mean, so that "unlike the rest" needs one layer to be said.
    """

    def __init__(self, width: int, kernel: int = 7, ratio: int = 3) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(2 * width, ratio * width)
        self.down = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, h, w, C)`` -> the same shape."""
        with torch.autocast(x.device.type, enabled=False):  # depthwise is three times slower in bfloat16
            y = self.spread(x.to(self.spread.weight.dtype).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            unlike = y - y.mean((1, 2), keepdim=True)
            unlike = unlike * ((unlike * unlike).mean((1, 2), keepdim=True) + 1e-4).rsqrt()
            y = torch.cat([self.norm(y), unlike], dim=3)
        return x + self.down(functional.gelu(self.up(y)))


class Compare(nn.Module):
    """A pre-norm attention block without positions: what a patch is compared with is the content of all others.

    Keys and values are means of 2 x 2 patches, which is four times cheaper and steadier against noise.
    """

    def __init__(self, width: int, heads: int = 4, ratio: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.ask = nn.Linear(width, width)
        self.offer = nn.Linear(width, 2 * width)
        self.answer = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.up = nn.Linear(width, ratio * width)
        self.down = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, h, w, C)`` -> the same shape."""
        y = self.norm(x)
        others = (
            functional.avg_pool2d(y.permute(0, 3, 1, 2), 2, ceil_mode=True).flatten(2).transpose(1, 2)
        )  # (N, P / 4, C)
        query = self.ask(y).flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N, heads, P, C / heads)
        key, value = self.offer(others).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(-1)
        seen = (weights @ value).transpose(1, 2).flatten(2).view_as(x)
        x = x + self.answer(seen)
        return x + self.down(functional.gelu(self.up(self.norm_mlp(x))))


class Network(nn.Module):
    """A stem to a grid of patches, then blocks of equal width on that grid.

    Attributes:
        width: channels C of a token.
        image_size: pixels a side of the square input it is meant for; any multiple of ``PATCH`` works.
        grid: (rows, columns) of the patches at ``image_size``.
        blocks: number of blocks.
    """

    def __init__(self, width: int = WIDTH, blocks: str = BLOCKS, image_size: int = IMAGE_SIZE) -> None:
        super().__init__()
        self.width, self.image_size, self.blocks = width, image_size, len(blocks)
        self.grid = (image_size // PATCH, image_size // PATCH)
        half = width // 2
        self.stem = nn.Conv2d(3, half, 4, stride=4)
        self.fine = Convolve(half, 3)
        self.merge = nn.Conv2d(half, width, 2, stride=2)
        self.body = nn.ModuleList(Convolve(width) if kind == "c" else Compare(width) for kind in blocks)
        self.register_buffer("shift", torch.zeros(len(blocks), width))
        self.register_buffer("scale", torch.ones(len(blocks), width))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Run all blocks.

        Args:
            x: ``(N, 3, S, S)`` float32 in [-1, 1] (mean = std = 0.5).

        Returns:
            One ``(N, P, C)`` per block, patches row-major. Channels are brought to zero mean and unit variance (as
            measured on procedural pictures), so that a head on top starts at a good scale.
        """
        x = self.stem(x.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)  # (N, h, w, C / 2)
        x = self.merge(self.fine(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # (N, h, w, C)
        outputs = []
        for index, block in enumerate(self.body):
            x = block(x)
            outputs.append((x.flatten(1, 2) - self.shift[index]) * self.scale[index])
        return outputs


def load() -> Network:
    """The trained network: frozen, in eval mode, float32.

    Raises:
        UserError: the weights beside this file are missing or are not the published ones.
    """
    try:
        raw = WEIGHTS.read_bytes()
    except OSError as error:
        raise UserError(f"{WEIGHTS}: cannot be read ({error.strerror}); check the file out again.") from None
    found = hashlib.sha256(raw).hexdigest()
    if found != SHA256:
        raise UserError(f"{WEIGHTS}: sha256 is {found[:12]}..., not {SHA256[:12]}...; check the file out again.")
    network = Network()
    network.load_state_dict({name: value.float() for name, value in safetensors.torch.load(raw).items()})
    return network.eval().requires_grad_(False)
