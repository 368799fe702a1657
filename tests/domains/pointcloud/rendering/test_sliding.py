import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from domains.pointcloud.rendering.sliding import close, highest, mean


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 8])
def test_windows_are_those_of_pooling(radius: int) -> None:
    image = torch.rand(21, 34, generator=torch.Generator().manual_seed(0))
    width = 2 * radius + 1
    assert_close(highest(image, radius), F.max_pool2d(image[None], width, 1, radius)[0], rtol=0, atol=0)
    padded = F.pad(image[None], (radius,) * 4)
    assert_close(mean(image, radius), F.avg_pool2d(padded, width, 1)[0])
    assert_close(mean(image.expand(3, 21, 34), radius)[1], mean(image, radius))


@pytest.mark.parametrize("radius", [1, 2, 3, 5])
def test_closing_fills_gaps_up_to_its_width_and_keeps_the_rest(radius: int) -> None:
    image = torch.full((40, 50), 9.0)
    image[5:35, 5:45] = 1
    gap, wide = image.clone(), image.clone()
    gap[10:30, 20 : 20 + 2 * radius] = 9
    wide[8:32, 20 : 21 + 2 * radius] = 9
    assert_close(close(gap, radius, 9.0), image, rtol=0, atol=0)
    assert_close(close(wide, radius, 9.0), wide, rtol=0, atol=0)
    assert_close(close(torch.ones(4, 4), radius, 9.0), torch.ones(4, 4), rtol=0, atol=0)
