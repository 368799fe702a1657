"""Small checkpoints of transformers, each saved once for all tests of this folder."""

import pytest
from fake_towers import MODELS, fill


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Every case saved once: case -> (backbone, model, tower, folder)."""
    made = {}
    for case, (name, make, tower) in MODELS.items():
        folder = tmp_path_factory.mktemp(case.replace(" ", "_"))
        model = fill(make())
        model.save_pretrained(folder)
        made[case] = (name, model, tower(model), folder)
    return made
