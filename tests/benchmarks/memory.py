"""Nothing in -> a table: GB a device that tuning takes, computed from the shapes of the published models.

    python tests/benchmarks/memory.py [--tokens 7424] [--learned 400]       (seconds; 7,424 tokens: 1024 x 1024 pixels)

Under bf16-mixed with checkpointing, as the published experiments, one conversation at once. What the columns count:

trained      of a tuned number 16 bytes: float32 weight, gradient and AdamW's two moments; shared under FSDP2
frozen       of any other 2 bytes, bfloat16; shared under FSDP2
buckets      DDP's second copy of the gradients, 4 bytes
casts        bfloat16 copies of the tuned weights of the layer at work and of the head, 2 bytes
gathered     FSDP2: what is in no block of the language model or the tower, whole: its weights stay from forward to
             backward, its gradients are whole before they are summed; and two blocks of weights, gradients of one
activations  the input of every layer; in the layer at work six rows of its MLP and six of float32; 12 bytes of a logit

An estimate for choosing a device, not a measurement: buffers of kernels, an allocator's gaps and CUDA's own gigabyte
come on top. On a CPU ``tuning.py 0.5b`` measured 1.6 (rank 64) and 2.2 GB (full) more than this at 1,582 tokens.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from tuning import configure

from framework.models.onevision import tuned
from framework.models.onevision.modeling import AnomalyOV
from framework.reasoning import LoraConfig, TuneConfig

COLUMNS = ("trained", "frozen", "buckets", "casts", "gathered", "activations")
WAYS = (("alone", 1), ("ddp", 8), ("fsdp2", 8))


def numbers(module: nn.Module, tuned_ones: bool) -> int:
    """How many numbers of a module are tuned, or are not."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad == tuned_ones)


def line(name: str, rank: int, way: str, devices: int, tokens: int, learned: int) -> dict[str, float]:
    """Bytes of each column."""
    parts = ["projector", "newline"] if rank else ["projector", "newline", "language_model"]
    with torch.device("meta"):
        model = AnomalyOV(configure(name))
        tuned.prepare(model, TuneConfig(parts=parts, lora=LoraConfig(rank=rank)))
    blocks, text = model.model.language_model.layers, model.config.text_config
    trained, frozen = numbers(model, True), numbers(model, False)
    block, still = numbers(blocks[0], True), numbers(blocks[0], False)
    outside = trained - numbers(blocks, True)
    aside = frozen - numbers(blocks, False) - numbers(model.model.vision_tower.encoder.layers, False)
    shards = devices if way == "fsdp2" else 1
    stream = 2 if rank else 4  # bytes of a number between layers: float32 where embeddings are tuned
    layers = stream * text.num_hidden_layers * tokens * text.hidden_size
    work = tokens * (6 * 2 * text.intermediate_size + 6 * 4 * text.hidden_size)
    return {
        "trained": 16 * trained / shards,
        "frozen": 2 * frozen / shards,
        "buckets": 4 * trained if way == "ddp" else 0,
        "casts": 2 * (block + numbers(model.lm_head, True)),
        "gathered": 8 * outside + 2 * aside + 2 * (4 * block + 2 * still) + 4 * block if way == "fsdp2" else 0,
        "activations": layers + work + 12 * learned * text.vocab_size,
    }


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
                found = line(name, rank, way, devices, options.tokens, options.learned)
                sizes = "".join(f"{size / 1e9:13.1f}" for size in (*found.values(), sum(found.values())))
                print(f"{name:<6}{f'rank {rank}' if rank else 'full':<9}{f'{way} x{devices}':<12}{sizes}")


if __name__ == "__main__":
    main()
