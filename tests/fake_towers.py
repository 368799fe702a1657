"""Sizes go in; small vision towers of transformers, noise pictures and normalised pixels come out."""

import torch
import transformers

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}
DINO = {key: value for key, value in SIZES.items() if key != "intermediate_size"}
TEXT = {**SIZES, "num_hidden_layers": 1, "vocab_size": 50}
QWEN = {"model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
QWEN |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100}


def siglip(layers=6, **changes):
    sizes = {**SIZES, "num_hidden_layers": layers, **changes}
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**sizes))


def llava(layers=6):
    vision = {**SIZES, "num_hidden_layers": layers, "model_type": "siglip_vision_model", "vision_use_head": False}
    config = transformers.LlavaOnevisionConfig(vision_config=vision, text_config=QWEN)
    return transformers.LlavaOnevisionForConditionalGeneration(config)


MODELS = {  # case -> (backbone, model, its vision tower)
    "siglip": (
        "siglip",
        lambda: transformers.SiglipModel(transformers.SiglipConfig(vision_config=SIZES, text_config=TEXT)),
        lambda model: model.vision_model,
    ),
    "siglip tower": ("siglip", siglip, lambda model: model),
    "clip": (
        "clip",
        lambda: transformers.CLIPModel(transformers.CLIPConfig(vision_config=SIZES, text_config=TEXT)),
        lambda model: model.vision_model,
    ),
    "clip tower": (
        "clip",
        lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SIZES)),
        lambda model: model,
    ),
    "dinov2": ("dinov2", lambda: transformers.Dinov2Model(transformers.Dinov2Config(**DINO)), lambda model: model),
    "dinov2 with registers": (
        "dinov2",
        lambda: transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**DINO)),
        lambda model: model,
    ),
    "llava_onevision": ("llava_onevision", llava, lambda model: model.model.vision_tower),
}


def fill(model):
    """Weights that a mistake in order, norm or position would show, and are not the zeros and ones of a fresh model."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def picture(size=56, n=2):
    """``(n, 3, size, size)`` uint8 noise, the same each time."""
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def normalised(pixels, mean, std):
    """``(pixels / 255 - mean) / std``, channel by channel."""
    return (pixels / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
