"""The two published sizes follow from the shapes of the tensors alone, without a config.json."""

import pytest
import torch
from transformers import Qwen2Config

from framework.models.onevision.configuration import AnomalyOVConfig, canvases
from framework.models.onevision.modeling import AnomalyOV
from framework.models.onevision.sizes import configure

PUBLISHED = {  # Qwen2's sizes; heads, whether it is tied, rows as llava-hf pads them, millions of parameters
    "0.5B": ({"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24}, (14, 2), True, 152000, 900.8),
    "7B": ({"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28}, (28, 4), False, 152128, 8037.9),
}


def built(config):
    with torch.device("meta"):
        return AnomalyOV(config)


@pytest.mark.parametrize("size", PUBLISHED)
def test_a_published_size_is_known_by_its_shapes(size, tmp_path):
    sizes, (heads, keys), tied, rows, millions = PUBLISHED[size]
    text = Qwen2Config(**sizes, num_attention_heads=heads, num_key_value_heads=keys, vocab_size=rows)
    text = {**text.to_dict(), "tie_word_embeddings": tied}
    wanted = built(AnomalyOVConfig(text_config=text, tie_word_embeddings=tied, image_grid_pinpoints=canvases(384)))
    shapes = {key: tuple(value.shape) for key, value in wanted.state_dict().items()}
    if tied:
        del shapes["lm_head.weight"]
    config = configure(tmp_path, shapes, "x")
    found = built(config)
    assert {k: tuple(v.shape) for k, v in found.state_dict().items() if k in shapes} == shapes
    assert sum(p.numel() for p in found.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
    assert sum(p.numel() for p in found.model.anomaly_expert.parameters()) == 7_086_811
    assert (config.text_config.num_attention_heads, config.text_config.num_key_value_heads) == (heads, keys)
    assert config.text_config.rope_parameters["rope_theta"] == 1e6
    assert config.vision_config.num_hidden_layers == 26 and config.vision_config.num_attention_heads == 16
    assert config.vision_config.image_size == 384 and config.level_layers == [7, 13, 19, 25]
    assert config.tie_word_embeddings == config.text_config.tie_word_embeddings == tied
    assert config.image_token_index == 151646
