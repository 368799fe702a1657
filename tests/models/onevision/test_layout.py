"""How many tokens a picture takes: the published lengths, and what the model really packs, for any size."""

import fake_language
import numpy as np
import pytest
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from framework.data import crops
from framework.models.onevision import small
from framework.models.onevision.configuration import AnomalyOVConfig, canvases
from framework.models.onevision.layout import Layout
from framework.models.onevision.modeling import AnomalyOV

PUBLISHED = Layout(384, 27, 6)
SMALL = Layout(160, 20, 6)
SIZES = [(384, 384), (500, 700), (1, 1), (1, 3000), (3000, 1), (2100, 10), (37, 53), (383, 769), (1024, 1024)]
SIZES += [(1025, 1025), (1500, 1100), (800, 2047), (4000, 3000), (5, 1000), (160, 161), (640, 480)]
SIZES += np.random.default_rng(0).integers(1, 1500, (60, 2)).tolist()


class Blind(nn.Module):
    """A tower that sees nothing and gives zeros of the right shape at once."""

    dtype = torch.float32

    def __init__(self, patches):
        super().__init__()
        self.patches = patches

    def forward(self, pixels, **_):
        state = torch.zeros(len(pixels), self.patches, 8)
        return BaseModelOutput(last_hidden_state=state, hidden_states=(state,) * 7)


@pytest.fixture(scope="module")
def models():
    """A model for each layout, with an embedding of 8."""
    found = {}
    for layout, patch in ((PUBLISHED, 14), (SMALL, 8)):
        text = small.configure(small.tokenizer(fake_language.TEXTS)).text_config.to_dict()
        text |= {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2}
        tower = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        tower |= {"image_size": layout.size, "patch_size": patch, "vision_use_head": False}
        config = AnomalyOVConfig(
            vision_config={**tower, "model_type": "siglip_vision_model"},
            text_config=text,
            expert={"embedding": 4, "descriptor": 4, "attention": 4, "hidden": 4},
            prefix_token_ids=[[1] * 6, [2] * 6, [3] * 6],
            level_layers=[1, 2, 3, 4],
            image_grid_pinpoints=canvases(layout.size),
        )
        found[layout] = AnomalyOV(config).eval().model
        found[layout].vision_tower = Blind(layout.side**2)
    return found


@pytest.mark.parametrize(
    ("width", "height", "image", "anomaly"),
    [
        (1024, 1024, 7371, 47),
        (1024, 768, 4725, 33),
        (1024, 683, 5157, 33),
        (683, 1024, 5184, 35),
        (512, 512, 3699, 25),
        (700, 700, 3699, 25),
        (384, 384, 1485, 11),
        (200, 200, 1485, 11),
        (1024, 256, 2451, 19),
    ],
)
def test_the_lengths_are_the_published_ones(width, height, image, anomaly):
    assert PUBLISHED.tokens(height, width, several=False) == image + 6 + anomaly


@pytest.mark.parametrize("size", [(384, 384), (1, 1), (3000, 20)])
def test_one_of_several_pictures_takes_742_tokens(size):
    assert PUBLISHED.tokens(*size, several=True) == 742


@torch.no_grad()
@pytest.mark.parametrize("layout", [PUBLISHED, SMALL], ids=["published", "small"])
def test_the_model_packs_as_many(layout, models):
    for height, width in SIZES:
        pixels = torch.zeros(1).expand(crops.count(height, width, layout.size, "anyres"), 3, 1, 1)
        (found,) = models[layout].get_image_features(pixels, torch.tensor([crops.capped(height, width)])).pooler_output
        assert len(found) == layout.tokens(height, width, several=False), (height, width)
        rows, columns = layout.grid(height, width)
        assert rows * columns + 1 == len(pixels)


@torch.no_grad()
@pytest.mark.parametrize("layout", [PUBLISHED, SMALL], ids=["published", "small"])
def test_the_model_packs_as_many_of_several_pictures(layout, models):
    sizes = torch.tensor([crops.capped(*size) for size in SIZES[:6]])
    several = torch.tensor([2, 1, 3])
    counts = [1, 1, crops.count(*SIZES[2], layout.size, "anyres"), 1, 1, 1]
    found = models[layout].get_image_features(
        torch.zeros(1).expand(sum(counts), 3, 1, 1), sizes, batch_num_images=several
    )
    assert found.crops == counts
    wanted = [layout.tokens(*size, several=n != 1) for size, n in zip(SIZES, [2, 2, 1, 3, 3, 3], strict=False)]
    assert [len(p) for p in found.pooler_output] == wanted


@torch.no_grad()
def test_anomaly_tokens_of_tiles_stand_as_a_picture_with_a_newline_after_each_row(models):
    model = models[SMALL]
    local = torch.arange(7.0)[:, None, None] + torch.tensor([0.1, 0.2, 0.3, 0.4])[:, None]  # crop, then quadrant
    local = local.expand(7, 4, 8)
    model.image_newline.data.fill_(-1)
    found = model._grown(local, torch.tensor([320, 480]))[:, 0]  # 2 rows of 3 tiles
    wanted = [0.1, 0.2, 0.3, 0.4]
    wanted += [1.1, 1.2, 2.1, 2.2, 3.1, 3.2, -1, 1.3, 1.4, 2.3, 2.4, 3.3, 3.4, -1]
    wanted += [4.1, 4.2, 5.1, 5.2, 6.1, 6.2, -1, 4.3, 4.4, 5.3, 5.4, 6.3, 6.4, -1]
    torch.testing.assert_close(found, torch.tensor(wanted))
    alone = model._grown(local[:1], torch.tensor([320, 480]))[:, 0]
    torch.testing.assert_close(alone, torch.tensor([0.1, 0.2, 0.3, 0.4, -1]))
