"""What a choice keeps of the rows it was shown."""

import pytest
import torch

from framework.models.experts.choice import Choice


def chosen(parts, most):
    choice = Choice(most)
    for part in parts:
        choice.add(part, part[:, 0] * 10)
    return choice, *choice.taken()


def test_few_rows_all_stay():
    rows = torch.arange(12.0).view(6, 2)
    choice, kept, marks = chosen(rows.split(4), 6)
    assert torch.equal(kept, rows) and torch.equal(marks, rows[:, 0] * 10) and choice.seen == 6


def test_of_many_a_choice_stays_in_order_whatever_came_at_once_and_every_row_as_likely():
    rows = torch.arange(4000.0).view(4000, 1)
    (choice, kept, marks), (_, again, _) = (chosen(rows.split(n), 1000) for n in (7, 4000))
    assert torch.equal(kept, again) and torch.equal(marks, kept[:, 0] * 10)
    assert len(kept) == 1000 and len(kept.unique()) == 1000 and torch.equal(kept, kept.sort(0).values)
    assert choice.seen == 4000 and len(choice) == 1000
    quarters = torch.bincount((kept[:, 0] // 1000).long(), minlength=4)
    assert (quarters - 250).abs().max() < 50


def test_it_holds_twice_as_many_at_most_while_rows_come():
    choice = Choice(10)
    for _ in range(50):
        choice.add(torch.zeros(3, 1), torch.zeros(3))
        assert len(choice) <= 20


def test_no_rows_are_no_choice():
    with pytest.raises(ValueError, match="a choice of no rows"):
        Choice(3).taken()
