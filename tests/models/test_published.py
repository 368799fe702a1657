"""From a picture to a score, as the published implementation computes it on a tower of width 64."""

import json
from pathlib import Path

import pytest
import torch
from golden.recipe import picture, weight
from numpy.testing import assert_allclose
from transformers import SiglipVisionConfig, SiglipVisionModel

from framework.data.crops import cut
from framework.models.checkpoints import load_expert_weights
from framework.models.experts.look_twice import LookTwice
from framework.types import Features

CASES = json.loads((Path(__file__).parents[1] / "golden" / "published.json").read_text())["cases"]
TOWER = "model.vision_tower.vision_tower.vision_model."
LEVELS, FINAL = (7, 13, 19, 25), 26  # outputs of blocks 6, 12, 18, 24 and 25; 0 are the embeddings


@pytest.fixture(scope="module")
def tower():
    config = SiglipVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=26,
        num_attention_heads=4,
        image_size=384,
        patch_size=14,
        vision_use_head=False,
    )
    model = SiglipVisionModel(config).eval()
    state = {key: value.shape for key, value in model.state_dict().items()}
    model.load_state_dict(
        {
            key: torch.from_numpy(weight(TOWER + key.removeprefix("vision_model."), shape))
            for key, shape in state.items()
        }
    )
    return model


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    expert, path = LookTwice(64, 729, 4), tmp_path_factory.mktemp("weights") / "pretrained_expert.pth"
    keys = {f"anomaly_encoder.{key}": value.shape for key, value in expert.state_dict().items()}
    torch.save({key: torch.from_numpy(weight(key, shape)) for key, shape in keys.items()}, path)
    load_expert_weights(path, expert)
    return expert


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['width']}x{case['height']}")
def test_a_picture_gets_the_published_score(case, tower, expert):
    crops = torch.from_numpy(cut(picture(case["seed"], case["width"], case["height"]), 384, "anyres"))
    with torch.no_grad():
        states = tower(crops / 127.5 - 1, output_hidden_states=True).hidden_states
        verdict = expert(Features([states[i] for i in LEVELS], states[FINAL], (27, 27)), [len(crops)])
    assert_allclose(states[FINAL][:, ::243, ::16], case["final[:, ::243, ::16]"], atol=1e-4)
    assert_allclose(verdict.maps[:, ::9, ::9], case["map[:, ::9, ::9]"], atol=1e-5)
    assert_allclose(verdict.maps.mean((1, 2)), case["s"], atol=1e-6)
    assert_allclose(verdict.tokens[:, :, ::16], case["local[:, :, ::16]"], atol=5e-4)
    assert_allclose(verdict.summary[:, ::4], case["global[:, ::4]"], atol=1e-4)
    assert_allclose(verdict.logits.sigmoid(), case["score"], atol=2e-6)
