"""A size of model -> a table: tokens per second and peak memory of training steps.

    OMP_NUM_THREADS=1 python tests/benchmarks/tuning.py small                        (a minute)
    OMP_NUM_THREADS=2 python tests/benchmarks/tuning.py 0.5b --rank 64 --steps 1     (2 to 6 minutes a line, 3 to 12 GB)
    python tests/benchmarks/tuning.py 7b --rank 64 --device cuda --pixels 1024 --learned 400 --checkpointing yes

A step is forward, backward and AdamW on one conversation about a square picture, with an answer; tower and expert see
the picture in each step, as in tuning. "0.5b" and "7b" have the published sizes and random weights: Qwen2 with its
vocabulary, SigLIP so400m with 26 blocks. Each line is a process of its own; one step warms up; seconds are of the
processor, of a GPU wall-clock. "ours" gives the head only positions that are learned; "stock" is the loss of
transformers, which makes logits of all positions.

Peak: GB with the model's weights, while gradients are held as between the micro-batches of a step. Of a GPU its tensors
(``max_memory_allocated``); of a CPU what the process grew by at most above its imports, so with the allocator's gaps.
Estimate: the sum of ``memory.py`` for the same case, where it has one.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2Config, SiglipVisionConfig

from framework.data.crops import LONGEST, count
from framework.models.onevision import small, tuned
from framework.models.onevision.configuration import AnomalyOVConfig, canvas, canvases
from framework.models.onevision.layout import IGNORED, Layout
from framework.models.onevision.modeling import AnomalyOV
from framework.reasoning import LoraConfig, TuneConfig

WORDS = 40  # tokens of the question with its frame
CHILD = "TUNING_LINE"  # set where a process is to make one line
PRECISIONS = ("bf16-mixed", "bf16-true", "32-true")
TOWER = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26, "num_attention_heads": 16}
TEXT: dict[str, dict[str, Any]] = {  # Qwen2's
    "0.5b": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
}


def configure(name: str) -> AnomalyOVConfig:
    """The configuration of a size."""
    if name == "small":
        return small.configure(small.tokenizer(["Are there any defects?"]))
    tower = SiglipVisionConfig(**TOWER, image_size=384, patch_size=14, vision_use_head=False)
    return AnomalyOVConfig(
        vision_config=tower.to_dict(),
        text_config=Qwen2Config(**TEXT[name], max_position_embeddings=32768).to_dict(),
        image_token_index=151646,
        image_grid_pinpoints=canvases(384),
        tie_word_embeddings=TEXT[name]["tie_word_embeddings"],
    )


def tokens_of(config: AnomalyOVConfig, height: int, width: int) -> int:
    """What a picture takes in the prompt."""
    vision = config.vision_config
    side = vision.image_size // vision.patch_size
    layout = Layout(vision.image_size, side, len(config.prefix_token_ids[0]), canvas(config))
    return layout.tokens(height, width, several=False)


def conversation(config: AnomalyOVConfig, pixels: int, learned: int) -> dict[str, Tensor]:
    """Inputs of the model and labels."""
    picture, size, most = config.image_token_index, config.vision_config.image_size, canvas(config)
    text = torch.randint(300, (WORDS + learned,))
    images = torch.full((tokens_of(config, pixels, pixels),), picture)
    ids = torch.cat([text[: WORDS // 2], images, text[WORDS // 2 :]])[None]
    labels = ids.clone()
    labels[:, :-learned] = IGNORED
    crops = count(pixels, pixels, size, "anyres" if most else "square", most)
    return {
        "input_ids": ids,
        "labels": labels,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randint(256, (crops, 3, size, size), dtype=torch.uint8),
        "image_sizes": torch.tensor([[pixels, pixels]]),
        "batch_num_images": torch.ones(1, dtype=torch.long),
    }


def build(name: str, rank: int, precision: str, checkpointing: bool, device: str) -> AnomalyOV:
    """A model ready to be tuned."""
    config = configure(name)
    torch.set_default_dtype(torch.float32 if precision == "32-true" else torch.bfloat16)
    with torch.device(device):
        model = AnomalyOV(config)
    torch.set_default_dtype(torch.float32)
    model.model.anomaly_expert.float()
    parts = ["projector", "newline"] if rank else ["projector", "newline", "language_model"]
    tune = TuneConfig(parts=parts, lora=LoraConfig(rank=rank))
    tuned.prepare(model, tune, None if precision == "bf16-true" else torch.float32)
    if checkpointing:
        tuned.recompute(model)
    model.train().model.vision_tower.eval()  # as in tuning
    return model


def held(device: str) -> float:
    """GB that this process has held at most."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def run(options: argparse.Namespace) -> None:
    """Train some steps and print a line of the table."""
    rank, (precision,), (loss_of,), (again,) = options.rank, options.precision, options.loss, options.checkpointing
    torch.manual_seed(0)
    before = held(options.device)
    model = build(options.size, rank, precision, again == "yes", options.device)
    inputs = conversation(model.config, options.pixels, options.learned)
    batch = {key: value.to(options.device) for key, value in inputs.items()}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, foreach=False)  # as in tuning
    mixed = precision == "bf16-mixed"
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    taken, losses = [], []
    for _ in range(options.steps + 1):
        start = clock()
        with torch.autocast(options.device, torch.bfloat16, enabled=mixed, cache_enabled=False):  # as Lightning's
            loss = model.losses(**batch)[0].sum() if loss_of == "ours" else model(**batch, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)  # held, as they are while a later micro-batch of a step computes
        losses.append(loss.item())
        taken.append(clock() - start)
    seconds = statistics.median(taken[1:])
    tokens = batch["input_ids"].shape[1]
    how = f"{f'rank {rank}' if rank else 'full':<8}{precision:<12}{again:<15}{loss_of:<6}"
    numbers = f"{sum(p.numel() for p in trained) / 1e6:8.1f}{seconds:9.2f}{tokens / seconds:10.1f}"
    same = mixed and loss_of == "ours" and again == "yes"
    estimate = f"{sum_of(options, tokens):10.2f}" if same else f"{'-':>10}"
    print(f"{how}{numbers}{held(options.device) - before:9.2f}{estimate}  {losses[0]:.4f}", flush=True)


def sum_of(options: argparse.Namespace, tokens: int) -> float:
    """GB that ``memory.py`` computes."""
    from memory import line  # which takes sizes from here

    found, _ = line(options.size, options.rank, "alone", 1, tokens, options.learned)
    return sum(found.values()) / 1e9


def main() -> None:
    """Print a table, a process a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=["small", "0.5b", "7b"])
    parser.add_argument("--rank", type=int, default=0, help="of adapters; 0 tunes the whole language model")
    parser.add_argument("--precision", nargs="+", default=["bf16-mixed"], choices=PRECISIONS)
    parser.add_argument("--loss", nargs="+", default=["ours", "stock"], choices=["ours", "stock"])
    parser.add_argument("--checkpointing", nargs="+", default=["yes", "no"], choices=["yes", "no"])
    parser.add_argument("--pixels", type=int, default=384, help="of a side of the picture, at most 1024")
    parser.add_argument("--learned", type=int, default=40, help="tokens of the answer")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    if not 1 <= options.pixels <= LONGEST or options.learned < 1:
        parser.error(f"--pixels: 1 to {LONGEST}; --learned: 1 or more.")
    lines = list(itertools.product(options.precision, options.checkpointing, options.loss))
    if len(lines) == 1 and os.environ.get(CHILD):
        run(options)
        return
    print("tuned   precision   checkpointing  loss  millions   step s  tokens/s  peak GB  estimate  first loss")
    for precision, checkpointing, loss in lines:
        chosen = ["--precision", precision, "--checkpointing", checkpointing, "--loss", loss]
        rest = ["--rank", str(options.rank), "--steps", str(options.steps), "--device", options.device]
        rest += ["--pixels", str(options.pixels), "--learned", str(options.learned)]
        command = [sys.executable, __file__, options.size, *chosen, *rest]
        subprocess.run(command, check=True, env={**os.environ, CHILD: "1"})


if __name__ == "__main__":
    main()
