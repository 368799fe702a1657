"""golden.safetensors of the published implementation (first argument) -> published.json (standard output)."""

import json
import sys

import numpy as np
from safetensors.numpy import load_file

PICTURES = [{"seed": 0, "width": 384, "height": 384}, {"seed": 1, "width": 700, "height": 500}]
PROMPT = [11, 22, 33, "<image>", 44, 55, 66, 77]


def extract(tensors):
    """The few numbers that the tests need; tiles are turned from [-1, 1] back into the bytes they were."""
    cases = []
    for i, picture in enumerate(PICTURES):
        part = {key.removeprefix(f"{i}."): value for key, value in tensors.items() if key.startswith(f"{i}.")}
        cases.append(
            {
                **picture,
                "tiles[:, :, ::97, ::89]": np.rint((part["tile_probe"] + 1) * 127.5).astype(int).tolist(),
                "tile mean": part["tiles_mean"].tolist(),
                "final[:, ::243, ::16]": part["final_probe"][:, ::3, ::16].tolist(),
                "map[:, ::9, ::9]": part["anomaly_map"][:, 0, ::9, ::9].tolist(),
                "s": part["crop_significance"].tolist(),
                "local[:, :, ::16]": part["selected_tokens"][:, :, ::16].tolist(),
                "global[:, ::4]": part["global_token"][:, 0, ::4].tolist(),
                "score": part["score"][:, 0].tolist(),
                "levels[:, :, ::243, ::16]": [part[f"level{k}_probe"][:, ::3, ::16].tolist() for k in range(4)],
                "embeddings[::37, ::8]": part["inputs_embeds_probe"][0, :, ::8].tolist(),
                "embeddings[-40:, ::8]": part["inputs_embeds_tail"][0, :, ::8].tolist(),
                "last logits[::500]": part["last_logits"][::500].tolist(),
                "next token": int(part["last_logits"].argmax()),
            }
        )
    return {
        "made_by": "see README.md",
        "prompt": PROMPT,
        "generated for case 1": tensors["1.generated"][0].tolist(),
        "tokens in a batch": tensors["batch.attention_sum"].tolist(),
        "cases": cases,
    }


if __name__ == "__main__":
    json.dump(extract(load_file(sys.argv[1])), sys.stdout)
    print()
