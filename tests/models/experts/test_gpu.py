"""Every rival on a GPU: fitted there or not, it judges as on the CPU (skipped where there is no GPU)."""

import copy

import pytest
import torch
from fake_clip import SIDE, save_clip
from fake_towers import picture
from models.experts import test_linear_probe, test_musc, test_nearest_normal
from torch.testing import assert_close

from framework.models.experts.anomalyclip import AnomalyCLIP
from framework.models.experts.winclip import WinCLIP
from framework.registry import build
from framework.types import Batch, Features

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICE = "cuda"


def moved(found):
    return Features([level.to(DEVICE) for level in found.levels], found.final.to(DEVICE), found.grid)


def assert_alike(there, here):
    for name in ("logits", "maps", "summary"):
        assert_close(getattr(there, name).cpu(), getattr(here, name), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return build("backbone", "open_clip", weights=str(folder), blocks=[1, 3, 5], text=True).eval()


@pytest.mark.parametrize("module", [test_linear_probe, test_nearest_normal])
def test_what_is_fitted_by_one_pass(module):
    crops, targets, verdicts = [1] * 8, [0.0, 1.0] * 4, []
    found, masks = module.features(8, seed=1), torch.zeros(8, 4, 6, dtype=torch.int8)
    masks[1::2, :2] = 1
    for place in (lambda x: x, moved):
        expert = test_linear_probe.LinearProbe(5, 0.5) if module is test_linear_probe else module.expert()
        expert = expert if place is not moved else expert.to(DEVICE)
        shown = place(found)
        known = (masks.to(shown.final.device),) if module is test_linear_probe else ()
        expert.observe(shown, crops, torch.tensor(targets), *known)
        expert.settle()
        verdicts.append(expert(place(module.features(3, seed=2)), [1, 2]))
    assert verdicts[1].logits.device.type == DEVICE
    assert_alike(*verdicts[::-1])


def test_scores_of_samples_against_each_other():
    found, crops, samples = test_musc.features(9), [1, 2, 1, 2, 1, 2], [0, 0, 1, 2, 3, 3]
    here, there = test_musc.expert(), test_musc.expert().to(DEVICE)
    here.study(found, crops, samples)
    there.study(moved(found), crops, samples)
    assert_alike(there.conclude(), here.conclude())


@torch.no_grad()
def test_texts(clip):
    pixels = picture(SIDE, 3)
    here = WinCLIP(clip, temperature=0.002)(pixels, [1, 2], ["metal_nut", "cable"])
    there = WinCLIP(copy.deepcopy(clip).to(DEVICE), temperature=0.002).to(DEVICE)
    assert_alike(there(pixels.to(DEVICE), [1, 2], ["metal_nut", "cable"]), here)


def test_learned_texts_and_their_losses(clip):
    torch.manual_seed(3)
    here = AnomalyCLIP(clip, length=4, depth=3, tokens=2, second_path=4, temperature=0.07)
    there = copy.deepcopy(here).to(DEVICE)
    pixels, batch = picture(SIDE, 2), Batch.__new__(Batch)
    batch.targets, batch.masks, batch.crops = torch.tensor([0.0, 1.0]), torch.zeros(2, 4, 4), [1, 1]
    batch.masks[1, :2] = 1
    losses = []
    for expert, place in ((here, "cpu"), (there, DEVICE)):
        given = copy.copy(batch)
        given.targets, given.masks = batch.targets.to(place), batch.masks.to(place)
        losses.append(expert.losses(pixels.to(place), given))
        losses[-1].sum().backward()
    assert_close(losses[1].cpu(), losses[0], rtol=1e-4, atol=1e-5)
    for (name, one), (_, other) in zip(here.named_parameters(), there.named_parameters(), strict=True):
        if one.grad is not None:
            assert_close(other.grad.cpu(), one.grad, rtol=1e-3, atol=1e-5, msg=name)
    with torch.no_grad():
        assert_alike(there(pixels.to(DEVICE), [1, 1]), here(pixels, [1, 1]))
