import numpy as np
import pytest

from domains.medical.making.host import noise, study
from framework.errors import UserError


def ball(shape=(40, 40, 20), spacing=(1.0, 1.0, 2.0), radius=15.0, level=1000, air=-1000):
    """A ball of one tissue in air, with a shell of another."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    away = np.sqrt(sum(a * a for a in np.meshgrid(*axes, indexing="ij")))
    return np.where(away < radius, np.where(away < 12, level, level + 300), air).astype(np.float32)


def test_the_body_is_what_is_bright_with_its_holes_and_depth_is_in_mm():
    values = ball()
    values[18:22, 18:22, 9:11] = -1000  # a hole
    values[0, 0, 0] = 1000  # and something else
    host = study(values, (1.0, 1.0, 2.0))
    assert host.threshold < 1000 and host.background == -1000 and host.clean
    assert host.body[20, 20, 10] and not host.body[0, 0, 0]
    assert host.depth.max() == pytest.approx(15, abs=2)
    assert host.across == pytest.approx(30, abs=2)
    assert (host.low, host.high, host.most) == (1000, 1300, 1300)


def test_a_picture_without_background_is_all_body():
    rng = np.random.default_rng(0)
    host = study(np.rint(rng.normal(120, 20, (64, 48))).clip(0, 255).astype(np.uint8), (1.0, 1.0))
    assert host.body.all() and host.flat and host.shape == (64, 48, 1)


def test_noise_is_measured_beside_edges():
    rng = np.random.default_rng(1)
    values = ball(radius=12.0) + rng.normal(0, 7, (40, 40, 20)).astype(np.float32)
    assert noise(values, values > 0) == pytest.approx(7, rel=0.2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((40, 40, 4), np.int16), "all values are equal"),
        (np.ones((40, 3, 4), np.int16), "40 x 3 x 4 voxels; a lesion shows on 8 x 8"),
        (np.full((20, 20, 20), np.nan, np.float32), "has NaN or infinite voxels"),
        (np.pad(np.ones((2, 2, 2)), 20), "shows no body that is large enough"),
        (np.pad(np.ones((20, 20, 20)), 6), "its body has one grey value"),
    ],
)
def test_what_no_lesion_can_be_made_on_is_one_line(values, message):
    with pytest.raises(UserError, match=rf"^scan\.nii: .*{message}"):
        study(values, (1.0, 1.0, 1.0), "scan.nii")
