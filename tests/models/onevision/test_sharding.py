"""FSDP2 on two processes against one: losses, gradients, and what is whole while layers compute."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from fake_language import TEXTS, VIEWS, batch, siglip
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.testing import assert_close

from framework.models.onevision import small, tuned
from framework.models.onevision.chat import Chat
from framework.models.onevision.modeling import AnomalyOV
from framework.models.onevision.sharding import shard
from framework.reasoning import LoraConfig, TuneConfig

SHARES = [VIEWS[:1], VIEWS[1:]]  # what each process sees
ADAPTERS = TuneConfig(parts=["projector", "newline"], lora=LoraConfig(rank=2, dropout=0.0))
CASES = {  # ties, what is tuned, the expert's arithmetic
    "tied": (True, TuneConfig(), "safe"),
    "untied": (False, TuneConfig(), "safe"),
    "adapters": (True, ADAPTERS, "safe"),
    "published": (False, TuneConfig(parts=["projector"]), "published"),
}


def ready(tied, tune, arithmetic):
    """A model under bf16-mixed: bfloat16, but for the expert and what is tuned; and its chat."""
    words = small.tokenizer(TEXTS)
    config = siglip(words, tied, expert_arithmetic=arithmetic)
    torch.manual_seed(0)
    model = AnomalyOV(config).bfloat16()
    model.model.anomaly_expert.float()
    tuned.prepare(model, tune, torch.float32)
    tuned.recompute(model)
    return model.train(), Chat(words, config)


def step(model, chat, views):
    """The loss of a share, whose gradients are added to the model's."""
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        loss = model.losses(**batch(chat, views))[0].sum()
    loss.backward()
    return loss.detach()


def watch(model):
    """A list to which the first layer adds what is whole outside of it, computed in forward and again in backward."""
    inner, seen = model.model, []
    parts = {
        "embeddings": model.get_input_embeddings(),
        "head": model.lm_head,
        "projector": inner.multi_modal_projector,
        "tower": inner.vision_tower.embeddings,
        "block": inner.vision_tower.encoder.layers[0],
        "expert": inner.anomaly_expert,
    }

    def look(*_):
        seen.append({name for name, part in parts.items() if not isinstance(next(part.parameters()), DTensor)})

    inner.language_model.layers[0].self_attn.register_forward_pre_hook(look)  # the layer's is not recomputed
    return seen


def rank(number, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=number, world_size=2)
    mesh = init_device_mesh("cpu", (1, 2), mesh_dim_names=("data_parallel", "tensor_parallel"))  # as Lightning's
    for name, case in CASES.items():
        model, chat = ready(*case)
        shard(model, mesh)
        seen = watch(model)
        losses = [step(model, chat, SHARES[number]) for _ in range(2)]
        gradients = {n: p.grad.full_tensor() for n, p in model.named_parameters() if p.requires_grad}
        torch.save((losses, gradients, seen), f"{folder}/{name}-{number}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("sharding")
    mp.start_processes(rank, (str(found),), nprocs=2, start_method="fork")  # imports nothing again
    return found


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_gradients_of_one(name, folder):
    model, chat = ready(*CASES[name])
    alone = [step(model, chat, share) for share in SHARES for _ in range(2)]
    wanted = {n: p.grad / 2 for n, p in model.named_parameters() if p.requires_grad}  # the mean over processes
    for number in range(2):
        losses, gradients, _ = torch.load(folder / f"{name}-{number}.pt")
        assert_close(losses, alone[2 * number : 2 * number + 2], rtol=0, atol=0)
        assert_close(gradients, wanted, rtol=1e-6, atol=1e-6)
    assert all(gradient.any() for gradient in wanted.values()) or name == "adapters"  # which begin at zero


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [
        ("tied", {"embeddings", "head"}, {"embeddings", "head"}),
        ("untied", set(), set()),
        ("adapters", {"embeddings", "head"}, {"embeddings", "head"}),
        ("published", {"expert"}, {"expert"}),
    ],
)
def test_what_is_outside_the_layers_is_freed_while_they_compute(name, forward, backward, folder):
    for number in range(2):
        seen = torch.load(folder / f"{name}-{number}.pt")[2]
        assert seen == [forward, backward] * 2
