"""A model and the devices it is shared by -> parts that are whole only while they compute."""

from __future__ import annotations

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from framework.models.onevision.modeling import AnomalyOV

ENTRIES = ("losses", "generate")  # what is called in place of forward


def shard(model: AnomalyOV, mesh: DeviceMesh) -> None:
    """Give every part that is called as a whole its own FSDP2 group: gathered before its forward, freed after it.

    Groups gather what they hold in the dtype it is kept in, so numbers are those of a model that is not sharded: the
    expert in float32, what is tuned under bf16-mixed in float32, for autocast to cast.

    Args:
        model: changed in place; what is tuned asks for gradients already.
        mesh: weights lie in shards along its last dimension, and as copies along a first of two.
    """
    embeddings, head = model.get_input_embeddings(), model.lm_head
    for part in _parts(model):
        fully_shard(part, mesh=mesh)
    if head.weight is embeddings.weight:  # one tensor must be in one group, which is whole from its first use
        fully_shard([embeddings, head], mesh=mesh, reshard_after_forward=False)
    else:
        fully_shard(embeddings, mesh=mesh)
        fully_shard(head, mesh=mesh, reshard_after_forward=False)  # its backward follows its forward
        assert isinstance(embeddings, FSDPModule)
        embeddings.set_unshard_in_backward(False)  # the gradient of a look-up needs no weights
    fully_shard(model, mesh=mesh)  # the rest: the last norm and the newline
    for method in ENTRIES:
        register_fsdp_forward_method(model, method)


def _parts(model: AnomalyOV) -> list[nn.Module]:
    """All but embeddings and head; none lies in another."""
    inner = model.model
    parts: list[nn.Module] = [*inner.language_model.layers]
    for name, child in inner.vision_tower.named_children():  # itself it stays, or the library finds no states to record
        parts += [*child.layers] if name == "encoder" else [child]
    parts.append(inner.multi_modal_projector)
    if model.config.expert_arithmetic != "published":  # which reads the expert's parameters without calling it
        parts.append(inner.anomaly_expert)
    return parts
