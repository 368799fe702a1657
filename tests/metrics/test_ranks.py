"""Two and three processes against one: the same bits, with counts that do not divide and with an idle rank."""

import warnings

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from framework.metrics.detections import Detections, tally
from framework.metrics.dice import Dice
from framework.metrics.ranking import AnomalyCurves, shares_of
from framework.metrics.regions import where
from framework.metrics.values import ValueCurves

SAMPLES, SIDE = 7, 16


class Scorer(nn.Module):
    """A module with a metric, as a task has it."""

    def __init__(self):
        super().__init__()
        self.curves = AnomalyCurves(["even", "odd"], regions=True)
        self.any = AnomalyCurves(["even", "odd"], "any", regions=True)
        self.detections, self.dice = Detections(["even", "odd"]), Dice(["even", "odd"])
        self.values = ValueCurves(["even", "odd"], ["near", "bright"])

    def score(self, samples):
        generator = torch.Generator().manual_seed(0)
        maps = torch.rand(SAMPLES, SIDE, generator=generator)
        truth = torch.rand(SAMPLES, SIDE, generator=generator) < maps / 2
        for i in samples:
            self.curves.update(maps[i], truth[i], truth[i].int(), group=i % 2)
            some = maps[i].half() if i < 3 else maps[i] ** 8
            other = (40 * maps[i] - 10) * 3**i if i % 2 else some
            self.any.update(other, truth[i], truth[i].int(), group=i % 2)
            found = tally(maps[i], truth[i].int(), (1, 4, SIDE // 4))
            self.detections.update(found, i % 2)
            self.dice.update(found[:2], i % 2)
            bright, places = (255 * maps[i]).to(torch.uint8), where(truth[i])
            shares = shares_of(places, truth[i].int())
            self.values.update("bright", torch.bincount(bright, minlength=256), bright[places], shares, i % 2)

    def others(self):
        return [*(m.compute() for m in (self.detections, self.dice)), self.values.compute()["bright"]["even"].tolist()]


def rank(number, scenarios, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=number, world_size=len(next(iter(scenarios.values())))
    )
    for name, shares in scenarios.items():
        task = Scorer()
        task.score(shares[number])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the library's note that an idle rank saw nothing
            curves, pooled, scans = task.curves.compute(), task.curves.pooled(), task.others()
            of_any = task.any.compute(), task.any.pooled(), task.any.edges()
        own = task.curves.hist.clone()
        task.curves.sync()
        task.any.sync()
        torch.save(
            (curves, pooled, scans, task.curves.hist, own, of_any, task.any.hist), f"{folder}/{name}-{number}.pt"
        )
    dist.destroy_process_group()


TWO = {"uneven": [[0, 2, 4, 6], [1, 3, 5]], "idle": [[], list(range(SAMPLES))]}
THREE = {"uneven": [[0, 3, 6], [1, 4], [2, 5]], "idle": [[6, 1], [], [0, 2, 3, 4, 5]]}


@pytest.mark.parametrize("scenarios", [TWO, THREE])
def test_ranks_have_the_bits_of_one(scenarios, tmp_path):
    one = Scorer()
    one.score(range(SAMPLES))
    ranks = len(scenarios["idle"])
    mp.start_processes(rank, (scenarios, str(tmp_path)), nprocs=ranks, start_method="fork")  # imports nothing again
    for name, shares in scenarios.items():
        for number in range(ranks):
            curves, pooled, scans, state, own, of_any, any_state = torch.load(
                tmp_path / f"{name}-{number}.pt", weights_only=False
            )
            assert torch.equal(state, one.curves.hist)
            assert int(own[:, :2].sum()) == len(shares[number]) * SIDE  # its own counts come back after compute
            assert curves == one.curves.compute()
            assert pooled == one.curves.pooled()
            assert scans == one.others()
            assert torch.equal(any_state, one.any.hist)
            assert of_any[:2] == (one.any.compute(), one.any.pooled())
            assert (of_any[2] == one.any.edges()).all()
            assert curves["even"].aupro is not None


def test_the_state_is_two_tensors_and_not_part_of_checkpoints():
    task = Scorer()
    assert list(task.curves._reductions) == ["hist", "seen"]  # one sum over the ranks, and one maximum
    assert task.curves.hist.dtype == torch.int64
    counts = (task.detections, task.dice, task.values)
    assert all(getattr(m, name).dtype == torch.int64 for m in counts for name in m._reductions)
    assert not task.state_dict()
