"""What a GPU must draw as the CPU does (skipped where there is no GPU)."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from domains.pointcloud.geometry import sampling, to_unit_sphere
from domains.pointcloud.making.shapes import SHAPES, sample
from domains.pointcloud.rendering.cameras import fibonacci
from domains.pointcloud.rendering.drawing import draw
from domains.pointcloud.rendering.normals import estimate_normals

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
STYLE = "shaded+normals+depth+rgb"


@pytest.mark.parametrize("count", [5_000, 100_000, 1_000_000])
def test_a_gpu_draws_what_the_cpu_draws_and_the_same_bits_again(count: int) -> None:
    points = to_unit_sphere(sample(SHAPES["gear"](np.random.default_rng(0)), count, np.random.default_rng(1))[0])
    normals = estimate_normals(points, sampling(points).pitch)
    colours = np.random.default_rng(2).integers(0, 255, (count, 3), np.uint8)
    here, there, again = (
        draw(points, fibonacci(3), 384, normals=normals, colours=colours, style=STYLE, device=device)
        for device in ("cpu", "cuda", "cuda")
    )
    for name in ("views", "owner", "place", "facing"):
        assert_array_equal(getattr(there, name), getattr(again, name))
    assert (here.owner == there.owner).mean() > 0.995  # sums round otherwise: points change pixels at their borders
    assert (here.place == there.place).mean() > 0.995
    assert (np.abs(here.views.astype(int) - there.views) > 2).mean() < 0.005
    assert np.abs(here.facing.astype(float) - there.facing).max() < 2e-3
    assert here.warnings == there.warnings
