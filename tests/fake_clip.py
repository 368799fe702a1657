"""A folder goes in; a small open_clip model with both towers lies in it afterwards, with weights that show mistakes."""

import json

import open_clip
from fake_towers import fill
from safetensors.torch import save_file

SIDE, PATCH, DEEP, WIDE, JOINT = 64, 16, 6, 32, 16  # pixels, pixels, blocks, channels, channels of the joint space
VISION = {"image_size": SIDE, "layers": DEEP, "width": WIDE, "head_width": 16, "patch_size": PATCH}
TEXT = {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 3}  # words of the real tokenizer
STATISTICS = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}


def save_clip(folder, vision=VISION, text=TEXT, **changes):
    """The model, in eval mode, after it was saved."""
    model = {"embed_dim": JOINT, "vision_cfg": vision, "text_cfg": text, **changes}
    content = {"model_cfg": model, "preprocess_cfg": STATISTICS}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    made = fill(open_clip.create_model(f"local-dir:{folder}", load_weights=False))
    save_file(made.state_dict(), folder / "open_clip_model.safetensors")
    return made.eval()
