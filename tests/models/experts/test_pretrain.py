import torch

from framework.models.experts.pretrain import loss, pretrain


def test_a_few_steps_write_an_expert_that_can_be_loaded(tmp_path):
    from framework import registry
    from framework.models.checkpoints import load_expert_weights
    from framework.models.experts.pretrain import SIZES

    losses = pretrain(3, tmp_path / "x.safetensors")
    assert len(losses) == 3 and all(0 < value < 10 for value in losses)
    load_expert_weights(tmp_path / "x.safetensors", registry.build("expert", "look_twice", 96, 400, 4, **SIZES))


def test_unsure_patches_do_not_count():
    logits, edited = torch.tensor([2.0, -2.0]), torch.tensor([[1.0, -1.0], [0.0, 0.0]])
    maps = torch.tensor([[0.9, 0.1], [0.1, 0.2]])
    other = torch.tensor([[0.9, 0.8], [0.1, 0.2]])
    assert loss(logits, maps, edited) == loss(logits, other, edited)
