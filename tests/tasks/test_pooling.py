import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing import assert_close

from framework.tasks.pooling import HALVES, balanced_bce, class_totals, pool, score


def test_pooling_rules():
    logits = torch.tensor([1.0, 5.0, 3.0, -2.0, 7.0])
    assert pool(logits, [4, 1], "max").tolist() == [5.0, 7.0]
    assert pool(logits, [4, 1], "mean").tolist() == [1.75, 7.0]
    assert pool(logits, [4, 1], "top3").tolist() == [3.0, 7.0]


def test_balanced_loss_is_bce_with_pos_weight_up_to_a_factor():
    logits, targets = torch.randn(9, generator=torch.manual_seed(0)), torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0, 0])
    ones = torch.ones(9)
    ours = balanced_bce(logits, targets, ones, class_totals(targets, ones))
    theirs = binary_cross_entropy_with_logits(logits, targets, pos_weight=torch.tensor(7 / 2), reduction="sum")
    assert_close(ours, theirs / (2 * 7))


def test_parts_of_two_ranks_sum_to_the_whole():
    generator = torch.manual_seed(1)
    logits, targets = torch.randn(10, generator=generator), (torch.rand(10, generator=generator) > 0.5).float()
    weights = torch.tensor([1.0] * 9 + [0.0])
    totals = class_totals(targets, weights)
    parts = [balanced_bce(logits[i::2], targets[i::2], weights[i::2], totals) for i in (0, 1)]
    assert_close(parts[0] + parts[1], balanced_bce(logits[:9], targets[:9], weights[:9], totals))


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_batch_of_one_class_is_a_plain_mean(target):
    logits, targets, ones = torch.tensor([0.3, -2.0]), torch.full((2,), target), torch.ones(2)
    ours = balanced_bce(logits, targets, ones, class_totals(targets, ones))
    assert_close(ours, binary_cross_entropy_with_logits(logits, targets))


def test_the_gradient_survives_a_saturated_score():
    logits = torch.tensor([200.0, -200.0], requires_grad=True)
    targets, ones = torch.tensor([0.0, 1.0]), torch.ones(2)
    balanced_bce(logits, targets, ones, class_totals(targets, ones)).backward()
    assert_close(logits.grad, torch.tensor([0.5, -0.5]))


def test_half_the_highest_element_and_half_the_mean_view():
    logits, elements = torch.tensor([0.0, 2.0]), torch.tensor([0.1, 0.9, 0.3])
    probability = (0.9 + (0.5 + 1 / (1 + math.exp(-2.0))) / 2) / 2
    assert_close(score(logits, elements, HALVES).sigmoid(), torch.tensor(probability))
    assert score(logits, elements, "max") == 2.0
    assert pool(logits, [2], HALVES).tolist() == [1.0]
    say = np.array([0.25, 1], np.float32)
    mean = (0.25 * 0.5 + 1 / (1 + math.exp(-2.0))) / 1.25
    assert_close(score(logits, elements, HALVES, say).sigmoid(), torch.tensor((0.9 + mean) / 2))
    assert torch.isfinite(score(torch.tensor([99.0]), torch.ones(1), HALVES))
