import pytest

from framework.data.sampling import ScoringBatches, TrainBatches


def train(samples, size, rank, ranks, epoch=0):
    return list(TrainBatches(samples, size, seed=7, rank=rank, ranks=ranks, epoch=lambda: epoch))


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_a_step_sees_the_same_samples_on_any_number_of_ranks(ranks):
    one = [sorted(i for i, _ in batch) for batch in train(23, 6, 0, 1)]
    parts = [train(23, 6, r, ranks) for r in range(ranks)]
    together = [sorted(i for part in step for i, weight in part if weight) for step in zip(*parts, strict=True)]
    assert together == one
    assert sorted(i for batch in one for i in batch) == list(range(23))


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_ranks_take_equal_counts_and_fill_with_weight_zero(ranks):
    parts = [train(23, 6, r, ranks) for r in range(ranks)]
    for step in zip(*parts, strict=True):
        assert len({len(part) for part in step}) == 1


def test_epochs_differ_and_repeat_with_their_number():
    assert train(23, 6, 0, 1, epoch=0) != train(23, 6, 0, 1, epoch=1)
    assert train(23, 6, 0, 1, epoch=1) == train(23, 6, 0, 1, epoch=1)


@pytest.mark.parametrize("ranks", [1, 2, 3, 30])
def test_testing_takes_every_sample_exactly_once(ranks):
    seen = [i for r in range(ranks) for batch in ScoringBatches(23, 4, r, ranks) for i, _ in batch]
    assert sorted(seen) == list(range(23))
