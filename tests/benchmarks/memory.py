"""Nothing in -> a table: GB a device that tuning takes, computed from the shapes of the published models.

    python tests/benchmarks/memory.py [--tokens 7424] [--learned 400]       (seconds; 7,424 tokens: 1024 x 1024 pixels)

Under bf16-mixed with checkpointing, as the published experiments, one conversation at once, while gradients of another
are held. What the columns count:

trained   of a tuned number 16 bytes: float32 weight, gradient and AdamW's two moments; shared under FSDP2
frozen    of any other 2 bytes, bfloat16 (the expert's 4); shared under FSDP2
gathered  FSDP2: weights that are whole, what they are sent in, gradients that are whole and what those are sent in
work      the input of every layer, and what is computed with
sum       trained, frozen and the most that gathered and work come to at one moment, which is named
          head: its logits, its bfloat16 copy and the gradients of both; layer: its activations, recomputed, and its
          bfloat16 copy; end: gradients of the embeddings, one a use; step: what AdamW puts aside
          of the largest tensor

The moments were counted off a step on tensors without content; kernels' buffers, an allocator's gaps and CUDA's own
gigabyte come on top. ``tuning.py`` prints this sum beside the peak it measures.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from tuning import configure

from framework.models.onevision import tuned
from framework.models.onevision.modeling import AnomalyOV
from framework.reasoning import LoraConfig, TuneConfig

COLUMNS = ("trained", "frozen", "gathered", "work")
WAYS = (("alone", 1), ("ddp", 8), ("fsdp2", 8))


def numbers(module: nn.Module, tuned_ones: bool) -> int:
    """How many numbers of a module are tuned, or are not."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad == tuned_ones)


def moments(model: AnomalyOV, tokens: int, learned: int, shards: int) -> dict[str, tuple[float, float]]:
    """Moment of a step -> bytes gathered and of work."""
    text, block = model.config.text_config, model.model.language_model.layers[0]
    head, adapted = numbers(model.lm_head, True), numbers(block, False) > 0
    size, tied = model.lm_head.weight.numel(), text.tie_word_embeddings
    stream = 4 if head else 2  # bytes of a number between layers: float32 where embeddings are tuned
    layers = stream * text.num_hidden_layers * tokens * text.hidden_size
    wide, narrow = (19, 40) if adapted else (10, 36)  # adapters: float32 inputs, their dropout and its masks
    layer = tokens * (wide * text.intermediate_size + narrow * text.hidden_size) + 2 * numbers(block, True)
    step = 8 * max(p.numel() for p in model.parameters() if p.requires_grad) / shards
    work = {
        "head": layers + max(2 * head + 12 * learned * text.vocab_size, 6 * head),
        "layer": layers + layer + (4 * head if tied else 0),
        "end": 8 * head,
        "step": step,
    }
    if shards == 1:
        return {name: (0, size) for name, size in work.items()}
    whole = 4 * head or 2 * size  # the head's weights, in the dtype they are kept in
    weights, gradients = 4 * numbers(block, True) + 2 * numbers(block, False), 4 * numbers(block, True)
    gathered = {
        "head": whole,
        "layer": 3 * weights + 2 * gradients + (whole if tied else 4 * head),
        "end": whole if tied else 0,
        "step": 0,
    }
    return {name: (gathered[name], work[name]) for name in work}


def line(name: str, rank: int, way: str, devices: int, tokens: int, learned: int) -> tuple[dict[str, float], str]:
    """Bytes of each column at the fullest moment, and its name."""
    parts = ["projector", "newline"] if rank else ["projector", "newline", "language_model"]
    with torch.device("meta"):
        model = AnomalyOV(configure(name))
        tuned.prepare(model, TuneConfig(parts=parts, lora=LoraConfig(rank=rank)))
    shards = devices if way == "fsdp2" else 1
    found = moments(model, tokens, learned, shards)
    fullest = max(found, key=lambda moment: sum(found[moment]))
    gathered, work = found[fullest]
    frozen = 2 * numbers(model, False) + 2 * numbers(model.model.anomaly_expert, False)
    sizes = (16 * numbers(model, True) / shards, frozen / shards, gathered, work)
    return dict(zip(COLUMNS, sizes, strict=True)), fullest


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=7424, help="of the conversation")
    parser.add_argument("--learned", type=int, default=400, help="tokens of its answers")
    options = parser.parse_args()
    print(f"{'model':<6}{'tuned':<9}{'strategy':<12}" + "".join(f"{name:>13}" for name in (*COLUMNS, "sum")))
    for name in ("0.5b", "7b"):
        for rank in (0, 64):
            for way, devices in WAYS:
                found, moment = line(name, rank, way, devices, options.tokens, options.learned)
                sizes = "".join(f"{size / 1e9:13.1f}" for size in (*found.values(), sum(found.values())))
                print(f"{name:<6}{f'rank {rank}' if rank else 'full':<9}{f'{way} x{devices}':<12}{sizes}  {moment}")


if __name__ == "__main__":
    main()
