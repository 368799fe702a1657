"""Pictures in the space of texts, against open_clip itself and by hand."""

import pytest
import torch
from fake_clip import SIDE, STATISTICS, VISION, save_clip
from fake_towers import normalised, picture
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.experts.joint_space import TEMPERATURE, bases, check, margin, project, tokens
from framework.registry import build


@torch.no_grad()
def test_a_picture_is_embedded_as_by_the_library(tmp_path):
    model = save_clip(tmp_path)
    backbone, pixels = build("backbone", "open_clip", weights=str(tmp_path), text=True), picture(SIDE)
    found = project(backbone.tower, backbone.tower.transformer(tokens(backbone, pixels))[:, 0])
    assert_close(found, model.encode_image(normalised(pixels, STATISTICS["mean"], STATISTICS["std"])))


def test_the_margin_is_the_logit_of_the_softmax_share_of_two_cosines():
    draw = torch.Generator().manual_seed(0)
    pictures, pair = torch.randn(3, 5, 8, generator=draw), torch.randn(3, 2, 8, generator=draw)
    for n in range(3):
        cosines = torch.stack([torch.cosine_similarity(pictures[n], text, dim=-1) for text in pair[n]], -1)
        share = (cosines / 0.07).softmax(-1)[:, 1]
        assert_close(margin(pictures, pair)[n].sigmoid(), share)
        assert_close(margin(pictures[n : n + 1], pair[n])[0].sigmoid(), share)
    assert TEMPERATURE == 0.07


def test_the_base_crop_is_the_first_of_each_view():
    assert bases([1, 3, 2], torch.device("cpu")).tolist() == [0, 1, 4]


def test_a_backbone_without_text_tower_is_refused_and_told_what_to_write(tmp_path):
    save_clip(tmp_path)
    for backbone in (build("backbone", "embedded"), build("backbone", "open_clip", weights=str(tmp_path))):
        with pytest.raises(UserError, match=r"without a text tower. Write model.backbone: \{name: open_clip"):
            check("winclip", backbone)


@pytest.mark.parametrize("changes", [{"attentional_pool": True}, {"pool_type": "avg"}, {"final_ln_after_pool": True}])
def test_a_tower_that_pools_otherwise_is_refused(tmp_path, changes):
    save_clip(tmp_path, {**VISION, **changes})
    with pytest.raises(UserError, match="does not pool as CLIP's"):
        check("winclip", build("backbone", "open_clip", weights=str(tmp_path), text=True))
