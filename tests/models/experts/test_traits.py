"""What an expert declares reaches those who run it, without torch and with."""

import fake
import pytest
import torch
from torch import nn

from framework import registry
from framework.config import BackboneConfig, Config, ExpertConfig, ModelConfig
from framework.errors import UserError
from framework.models import trained
from framework.models.experts import traits
from framework.models.experts.traits import Traits, declare
from framework.plan import check_names


def test_those_of_the_project():
    assert traits.named("look_twice") == Traits()
    assert traits.named("linear_probe") == Traits("once", masks=True, seeded=False)
    assert traits.named("nearest_normal") == Traits("once", needs="normal", seeded=False)
    assert traits.named("musc") == Traits("never", transductive=True)
    assert {traits.given(name) for name in ("look_twice", "linear_probe", "nearest_normal", "musc")} == {3}
    with pytest.raises(UserError, match="Did you mean 'musc'"):
        traits.named("muscc")


class Pixels(nn.Module):
    """Keeps what it was built with."""

    def __init__(self, *given):
        super().__init__()
        self.given = given[:3]
        self.width = given[3].width


@declare(fits="never", reads="pixels")
def builder(width: int, patches: int, levels: int, backbone: nn.Module, scales: int = 2) -> Pixels:
    return Pixels(width, patches, levels, backbone, scales)


def test_a_builder_that_asks_for_the_backbone_is_given_it(monkeypatch):
    monkeypatch.setitem(registry._TABLE, ("expert", "pixels"), builder)
    monkeypatch.setitem(registry._TABLE, ("backbone", "fake"), fake.Backbone)
    model = ModelConfig(BackboneConfig("fake"), ExpertConfig("pixels", {"scales": 3}))
    backbone, expert = trained.build_model(model)
    assert isinstance(backbone, fake.Backbone) and expert.width == 9 and expert.given == (9, 4, 2)
    assert traits.of(expert) == Traits("never", reads="pixels") and traits.of(torch.nn.Identity()) == Traits()
    check_names(Config(name="x", model=model))
    model.expert.options = {"backbone": "mine"}
    with pytest.raises(UserError, match="no option of expert 'pixels' called 'backbone'"):
        check_names(Config(name="x", model=model))
