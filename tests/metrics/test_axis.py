"""Bins: order kept, the same for any layout, known where they are exact, and back to a threshold."""

import numpy as np
import pytest
import torch

from framework.metrics import axis

ALL_BITS = torch.from_numpy(np.arange(0, 0x3F800001, 1024, dtype=np.int32).view(np.float32))  # 0..1, ascending


def test_a_higher_probability_never_has_a_lower_bin():
    keys = axis.keys(ALL_BITS, "probability")
    assert int(keys.diff().min()) >= 0
    assert (int(keys[0]), int(keys[-1])) == (0, axis.BINS - 1)


def test_zero_and_one_have_bins_of_their_own():
    near = torch.tensor([0.0, 1e-45, 1e-30, 1 - 2**-24, 1.0])
    assert axis.keys(near, "probability").tolist()[:3] == [0, 1, 1]
    assert axis.keys(near, "probability")[-1] == axis.BINS - 1 > axis.keys(near, "probability")[-2]


def test_both_axes_are_as_fine_as_2048_bins_per_unit_of_logit():
    logits = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    for kind, scores in (("logit", logits), ("probability", logits.sigmoid())):
        edges = torch.from_numpy(axis.logits(kind))
        keys = axis.keys(scores.float(), kind).long()
        inside = logits < 5  # beyond, float32 probabilities are coarser than bins
        assert float((logits - edges[keys])[inside].abs().max()) <= 1.01 / 2048


def test_bins_said_to_hold_a_single_score_do():
    below_one = 1 - torch.arange(1, 2**15, dtype=torch.float64) * 2.0**-24  # every float32 just below 1
    for bins in (1024, 4096, axis.BINS):
        keys = axis.keys(below_one.float(), "probability", bins)
        single = torch.from_numpy(axis.single("probability", bins))
        counts = torch.bincount(keys, minlength=bins)
        assert int(counts[single].max()) == 1
        assert int(counts[single].sum()) == bins // 256 - 1


def test_the_layout_in_memory_does_not_move_a_score_to_another_bin():
    scores = torch.rand(30011, generator=torch.Generator().manual_seed(0))
    strided = torch.stack([scores, scores], 1)[:, 0]
    one_by_one = torch.cat([axis.keys(s, "probability") for s in scores[:3000].split(1)])
    assert torch.equal(axis.keys(strided, "probability"), axis.keys(scores, "probability"))
    assert torch.equal(one_by_one, axis.keys(scores[:3000], "probability"))


@pytest.mark.parametrize("bins", [1024, axis.BINS])
def test_a_threshold_selects_exactly_its_bin_and_higher_ones(bins):
    keys = axis.keys(ALL_BITS, "probability", bins)
    for key in [0, 1, 2, bins // 4, bins // 2, bins * 61 // 64, bins - 1]:
        assert torch.equal(ALL_BITS.double() >= axis.threshold(key, "probability", bins), keys >= key)


def test_a_threshold_of_logits_is_the_probability_of_the_edge():
    assert axis.threshold(axis.BINS // 2, "logit") == 0.5
    np.testing.assert_allclose(axis.threshold(axis.BINS // 2 + 2048, "logit"), 1 / (1 + np.exp(-1)), rtol=1e-12)


@pytest.mark.parametrize("bad", [[0.5, 1.5], [-0.1, 0.5]])
def test_scores_that_are_no_probabilities_are_refused_with_their_range(bad):
    with pytest.raises(ValueError, match=rf"\[0, 1\], got {bad[0]:g}\.\.{bad[1]:g}"):
        axis.check(torch.tensor(bad), "probability")


def test_nan_is_refused_and_infinite_logits_are_not():
    with pytest.raises(ValueError, match="NaN \\(1 of 2\\)"):
        axis.check(torch.tensor([float("nan"), 1.0]), "logit")
    scores = torch.tensor([-float("inf"), 0.0, float("inf")])
    axis.check(scores, "logit")
    assert axis.keys(scores, "logit").tolist() == [0, axis.BINS // 2, axis.BINS - 1]
