"""The nearest normal patch against plain NumPy, and its bank: its limit, its coreset, its way through a file."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.checkpoints import load_expert_weights
from framework.models.experts.coreset import coreset
from framework.models.experts.nearest_normal import NearestNormal
from framework.types import Features

WIDTH, LEVELS, PATCHES = 5, 2, 6
DEFAULTS = {"features": "levels", "keep": 1.0, "top": 0.3, "limit_mib": 1}


def features(crops, seed):
    generator = torch.Generator().manual_seed(seed)
    levels = [torch.randn(crops, PATCHES, WIDTH, generator=generator) for _ in range(LEVELS)]
    return Features(levels, torch.randn(crops, PATCHES, WIDTH, generator=generator), (2, 3))


def part(found, start, end):
    return Features([level[start:end] for level in found.levels], found.final[start:end], found.grid)


def expert(**options):
    return NearestNormal(WIDTH, PATCHES, LEVELS, **DEFAULTS | options)


def fitted(found, targets, at_once=1, most=0, **options):
    made = expert(**options)
    made._kept.most = most or made.most
    for start in range(0, len(targets), at_once):
        end = min(start + at_once, len(targets))
        made.observe(part(found, start, end), [1] * (end - start), torch.tensor(targets[start:end]))
    made.settle()
    return made


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def by_hand(found, targets, asked, crops, name, top):
    """Maps and logits from the equations, in float64, a patch at a time."""
    chosen = (lambda f: f.levels) if name == "levels" else (lambda f: [f.final])
    train, test = ([unit(x.double().numpy()) for x in chosen(f)] for f in (found, asked))
    normal = [i for i, target in enumerate(targets) if target == 0]

    def far(patches, others):  # mean over levels of 1 - cosine, to the nearest
        return min(np.mean([1 - p @ q for p, q in zip(patches, other, strict=True)]) for other in others)

    bank = {i: [[x[i, p] for x in train] for p in range(PATCHES)] for i in normal}
    own = [far(p, [q for j in normal if j != i for q in bank[j]]) for i in normal for p in bank[i]]
    scale = np.quantile(own, 0.99)
    every = [q for i in normal for q in bank[i]]
    found_far = np.array([[far([x[n, p] for x in test], every) for p in range(PATCHES)] for n in range(sum(crops))])
    logits, start = [], 0
    for count in crops:
        highest = np.sort(found_far[start : start + count].ravel())[::-1]
        logits.append(np.log(highest[: int(np.ceil(top * len(highest)))].mean() / scale))
        start += count
    return found_far / (found_far + scale), np.array(logits)


@pytest.mark.parametrize(("name", "top"), [("levels", 0.3), ("final", 0.01)])
def test_it_is_what_the_equations_say(name, top):
    found, targets, asked, crops = features(4, 0), [0.0, 1.0, 0.0, 0.0], features(5, 1), [1, 3, 1]
    maps, logits = by_hand(found, targets, asked, crops, name, top)
    verdict = fitted(found, targets, features=name, top=top)(asked, crops)
    assert_allclose(verdict.maps.flatten(1), maps, atol=1e-6)
    assert_allclose(verdict.logits, logits, atol=1e-5)
    assert verdict.maps.shape == (5, 2, 3) and verdict.summary.shape == (3, WIDTH)


def test_the_score_of_a_view_is_the_map_of_its_distance():
    found, asked = features(3, 0), features(4, 1)
    verdict = fitted(found, [0.0] * 3, top=1e-6)(asked, [1] * 4)  # the highest alone
    assert_allclose(expit(verdict.logits.numpy()), verdict.maps.flatten(1).amax(1), atol=1e-6)


def test_copies_lie_at_no_distance_and_what_is_opposite_to_all_stays_below_one():
    row = torch.tensor([1.0, -2, 3, 0, 1]).expand(3, PATCHES, WIDTH)
    copies = Features([row, row], row, (2, 3))
    made = fitted(copies, [0.0] * 3)
    assert made(copies, [1] * 3).maps.max() < 1e-3
    verdict = made(Features([-row, -row], row, (2, 3)), [1] * 3)
    assert_close(verdict.maps, torch.full((3, 2, 3), 2 / 2.001))
    assert_close(verdict.logits, torch.full((3,), np.log(2 / 0.001)).float())


def test_the_bank_is_the_same_whatever_came_in_one_call():
    found = features(40, 0)
    one, many = (fitted(found, [0.0] * 40, at_once=n, most=10) for n in (1, 7))  # of 240 patches
    assert expert(limit_mib=3).most == 3 * 2**20 // (4 * WIDTH * LEVELS)
    assert len(one.bank) == 10 and torch.equal(one.bank, many.bank)
    everything = fitted(found, [0.0] * 40).bank
    places = [int((everything @ row).argmax()) for row in one.bank]
    assert places == sorted(places) and len(set(places)) == 10  # each is a patch, in the order of the set
    assert_close(everything[places], one.bank)


def test_the_coreset_is_the_greedy_one():
    bank = unit(np.random.default_rng(0).normal(size=(30, 4)))
    taken = [0]
    while len(taken) < 6:
        far = [min(np.linalg.norm(bank[i] - bank[j]) for j in taken) for i in range(30)]
        taken.append(int(np.argmax(far)))
    assert coreset(torch.from_numpy(bank), 6).tolist() == sorted(taken)
    assert coreset(torch.from_numpy(bank), 99).tolist() == list(range(30))
    assert len(fitted(features(5, 0), [0.0] * 5, keep=0.2).bank) == 6


def test_a_bank_of_any_length_is_loaded_into_a_new_expert(tmp_path):
    made, asked = fitted(features(3, 0), [0.0] * 3), features(2, 1)
    torch.save(made.state_dict(), tmp_path / "bank.ckpt")
    fresh, named = expert(), expert()
    fresh.load_state_dict(made.state_dict())
    load_expert_weights(tmp_path / "bank.ckpt", named)
    for other in (fresh, named):
        assert torch.equal(other(asked, [1, 1]).logits, made(asked, [1, 1]).logits)
    with pytest.raises(UserError, match=r"bank has shape \(18, 10\), the expert needs \(0, 5\)"):
        load_expert_weights(tmp_path / "bank.ckpt", expert(features="final"))


def test_mistakes_are_told():
    with pytest.raises(UserError, match="needs normal samples"):
        fitted(features(2, 0), [1.0, 1.0])
    with pytest.raises(UserError, match=r"keep and top lie in \(0, 1\], not 2 and 0.3"):
        expert(keep=2.0)
    with pytest.raises(UserError, match="remembers no normal patch"):
        expert()(features(1, 0), [1])


def test_an_empty_bank_is_one_line_wherever_it_comes_from(tmp_path):
    made = expert()
    with pytest.raises(UserError, match=r"^nearest_normal remembers no normal patch, so it cannot score\."):
        made(features(1, 0), [1])
    torch.save(made.state_dict(), tmp_path / "bank.ckpt")
    with pytest.raises(
        UserError, match=r"bank\.ckpt: bank is empty, so this expert was fitted on nothing\. Fit it anew"
    ):
        load_expert_weights(tmp_path / "bank.ckpt", expert())


def test_a_bank_that_is_full_keeps_a_choice_of_all_views_not_the_first():
    found = features(8, seed=1)
    whole, part_of_it = (fitted(found, [0] * 8, most=most).bank for most in (0, PATCHES * 2))
    kept = (part_of_it @ whole.T).argmax(1)
    assert len(part_of_it) == PATCHES * 2 and len((kept // PATCHES).unique()) > 3  # of the first alone there are two
