"""The Lightning side of stage 2: shares of the loss, learning rates, modes, and what a checkpoint holds."""

import pytest
import torch
from fake_language import TEXTS, VIEWS, batch
from torch.testing import assert_close

from framework.models.onevision import loading, small, tuned
from framework.models.onevision.tuned import KEY
from framework.reasoning import LanguageConfig, Reasoning, ReasonOptim, TuneConfig
from framework.tasks.reason import Reason


class Trainer:
    """As much of one as the module looks at."""

    world_size, global_rank, current_epoch = 2, 0, 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("reason") / "model", TEXTS)


@pytest.fixture
def make(folder):
    def made(steps=10, parts=("projector", "language_model", "newline"), **optim):
        config = Reasoning("tiny", model=LanguageConfig(str(folder)), optim=ReasonOptim(**optim))
        model, chat = loading.load(folder)
        tuned.prepare(model, TuneConfig(parts=list(parts)))
        task = Reason(config, model, accumulate=3, steps=steps, card={"schema": 1})
        task.trainer = trainers.setdefault(id(task), Trainer())  # which the module refers to weakly
        task.log = lambda *_, **__: None
        return task, chat

    trainers = {}
    return made


def test_the_mean_over_ranks_and_accumulation_is_the_weighted_loss(make):
    task, chat = make()
    weights = torch.tensor([0.5, 0.3, 0.2])
    losses = task.model.losses(**batch(chat, VIEWS))[0].detach()
    parts = [batch(chat, [views]) | {"weight": weight[None]} for views, weight in zip(VIEWS, weights, strict=True)]
    scaled = [task.training_step(part, 0).item() for part in parts]
    assert sum(scaled) / 3 / 2 == pytest.approx((losses * weights).sum().item(), rel=1e-5)
    nothing = task.training_step(batch(chat, VIEWS[:1]) | {"weight": torch.zeros(1)}, 0)
    assert nothing.item() == 0 and nothing.requires_grad  # a rank that stands in takes part in the backward pass


def test_the_projector_and_the_newline_may_learn_at_another_rate(make):
    groups = make(lr=1e-3, projector_lr=1e-2)[0].configure_optimizers()["optimizer"].param_groups
    assert [group["initial_lr"] for group in groups] == [1e-2, 1e-3]
    assert len(groups[0]["params"]) == 4 + 1
    (alone,) = make(parts=["newline"], lr=1e-3)[0].configure_optimizers()["optimizer"].param_groups
    assert alone["initial_lr"] == 1e-3 and len(alone["params"]) == 1


def test_the_rate_rises_then_falls_along_one_cosine_to_nothing(make):
    found = make(steps=10, lr=1.0, warmup=0.2)[0].configure_optimizers()
    rates = []
    for _ in range(11):
        rates.append(found["optimizer"].param_groups[0]["lr"])
        found["optimizer"].step()
        found["lr_scheduler"]["scheduler"].step()
    cosine = (1 + torch.cos(torch.linspace(0, torch.pi, 9))) / 2
    assert_close(torch.tensor(rates), torch.cat([torch.tensor([0, 0.5]), cosine]), rtol=0, atol=1e-6)
    assert found["lr_scheduler"]["interval"] == "step"


def test_the_tower_never_trains(make):
    task, _ = make()
    for mode in (True, False):
        task.train(mode)
        assert task.model.model.language_model.training == mode
        assert not any(module.training for module in task.model.model.vision_tower.modules())


def test_a_checkpoint_holds_what_is_tuned_and_its_card(make):
    task, _ = make(parts=["projector"])
    checkpoint = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(checkpoint)
    assert {name.split(".")[2] for name in checkpoint["state_dict"]} == {"multi_modal_projector"}
    assert len(checkpoint["state_dict"]) == 4 and checkpoint[KEY] == {"schema": 1}
    task.load_state_dict(checkpoint["state_dict"], strict=task.strict_loading)


def test_random_numbers_follow_from_the_place_in_the_training(make):
    task, _ = make()

    def drawn(number, epoch=0, rank=0):
        task.trainer.current_epoch, task.trainer.global_rank = epoch, rank
        task.on_train_batch_start({}, number)
        return torch.rand(1).item()

    assert drawn(1) == drawn(1)
    assert len({drawn(1), drawn(2), drawn(1, epoch=1), drawn(1, rank=1)}) == 4
