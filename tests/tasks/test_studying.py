"""What a transductive expert is shown, in which order, and to whom its verdicts go back."""

from types import SimpleNamespace

import fake
import pytest
import torch

from framework.data.loading import RawSamples, loader
from framework.data.sampling import ListedBatches
from framework.errors import UserError
from framework.tasks.studying import study
from framework.types import Verdict


class Mean:
    """Its logit of a view is the mean of the view's features; it keeps what it was told."""

    def __init__(self, subsets):
        self.subsets, self.told, self.logits = subsets, [], []

    def parts(self, samples):
        return self.subsets

    def study(self, looked, crops, samples):
        assert crops == [1] * len(samples) == [1] * len(looked.final)
        self.told += samples
        self.logits += looked.final.mean((1, 2)).tolist()

    def divide(self):
        self.told.append("|")

    def conclude(self):
        logits, self.logits = torch.tensor(self.logits), []
        if len(logits) < 3:
            raise UserError("too few")
        return Verdict(
            logits, torch.zeros(len(logits), 2, 2), torch.zeros(len(logits), 0, 9), torch.zeros(len(logits), 9)
        )


def studied(index, subsets):
    def studying(index, positions):
        return loader(RawSamples(index, 16, "base", keep=False), ListedBatches(positions, 2), "sample", 0)

    task = SimpleNamespace(transfer_batch_to_device=lambda batch, device, number: batch, device=None)
    data = SimpleNamespace(config=SimpleNamespace(model=SimpleNamespace(crops="base")), studying=studying)
    expert = Mean(subsets)
    return expert, study(task, fake.Backbone(), expert, data, index)


def test_every_sample_has_its_own_verdict_whatever_the_subsets(tmp_path):
    index = fake.pictures(tmp_path / "pictures", 11)  # positions 0, 3, 6, 9 are of category b
    (whole, one), (parts, two) = (studied(index, subsets) for subsets in (1, 2))
    assert whole.told == [*range(7), *range(4)]
    assert parts.told == [*range(4), "|", 4, 5, 6, "|", 0, 1, "|", 2, 3, "|"]
    assert one.of(range(11)).logits.tolist() == two.of(range(11)).logits.tolist()
    assert studied(index, 3)[0].told == [0, 1, 2, "|", 3, 4, "|", 5, 6, "|", 0, 1, "|", 2, 3, "|"]  # b: two pairs
    assert len(set(one.of(range(11)).logits.tolist())) == 11


def test_what_it_cannot_do_names_the_set_and_the_category(tmp_path):
    with pytest.raises(UserError, match=r"^pictures, category b: too few$"):
        studied(fake.pictures(tmp_path / "pictures", 5), 1)
