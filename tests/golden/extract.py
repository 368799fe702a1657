"""golden.safetensors of the published implementation (first argument) -> published.json (standard output)."""

import json
import sys

import numpy as np
from safetensors.numpy import load_file

PICTURES = [{"seed": 0, "width": 384, "height": 384}, {"seed": 1, "width": 700, "height": 500}]


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
            }
        )
    return {"made_by": "see README.md", "cases": cases}


if __name__ == "__main__":
    json.dump(extract(load_file(sys.argv[1])), sys.stdout)
    print()
