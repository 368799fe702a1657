"""A configuration -> a table: tokens per second and peak memory of training steps, logits of all positions or of few.

    python tests/benchmarks/tuning.py small|0.5b [--parts full|lora] [--dtype bfloat16] [--no-checkpointing]
        [--all-positions] [--steps 3] [--device cuda]
    python tests/benchmarks/tuning.py memory

A step is forward, backward and AdamW on one conversation about a picture of 384 x 384 pixels, with an answer of 40
tokens; the tower and the expert see the picture in each step, as in tuning. "0.5b" has the published sizes and random
weights: Qwen2-0.5B with its vocabulary of 151,936, and SigLIP so400m with 26 blocks. Peak memory is the growth of the
process (on a GPU: of its allocations) above the weights; each line is a process of its own. With ``--all-positions`` the loss is
that of transformers, with logits of every position, in place of ours. "memory" computes what tuning takes on a GPU.
"""

from __future__ import annotations
