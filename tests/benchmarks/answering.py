"""Pictures and one question -> a table: seconds a picture asked one by one as transformers does it, and in batches.

    OMP_NUM_THREADS=1 python tests/benchmarks/answering.py [--pictures 16] [--batch 8] [--wide] [--device cuda]

Three ways with the same model and greedy answers, in turn, medians of processor seconds, of a GPU of wall-clock
seconds. Stock: ``generate`` with the pixels, one picture a call, the tower inside. Alone: ``Asker``, one picture a
call. Batched: ``Asker`` as evaluation does it, the tower once a picture, the answers together. All answers must be the
same, or the script says which are not and ends. The language model is the small one of this project, or with
``--wide`` one of the size of the published 0.5B (24 layers, 896 wide; its tower and vocabulary stay small), both with
random weights, which never end an answer early: each has as many tokens as the table says.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from framework.models.onevision import small
from framework.models.onevision.chat import placed
from framework.tasks.asking import Asker

QUESTION = "Are there any defects for the object in the image? Please reply with 'Yes' or 'No'."
WIDE = {"WIDTH": 896, "LAYERS": 24, "HEADS": 14}
Answers = list[str]


def pictures(count: int) -> list[np.ndarray]:
    """``(3, 256, 256)`` uint8 each, blocks of random colours."""
    noise = np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)
    return [np.kron(view, np.ones((1, 16, 16), np.uint8)) for view in noise]


def stock(asker: Asker, views: list[np.ndarray], _: int, tokens: int) -> Answers:
    """One ``generate`` a picture, the tower inside."""
    found = []
    for view in views:
        picture = asker.chat.picture(view, several=False)
        prompt = asker.chat.encode([(placed(QUESTION, 1), None)], [picture.size])
        batch = asker.chat.batch([prompt], [picture])
        batch.pop("labels")
        with torch.inference_mode():
            ids = asker.model.generate(
                **{name: tensor.to(asker.device) for name, tensor in batch.items()},
                max_new_tokens=tokens,
                do_sample=False,
                eos_token_id=asker.chat.end_id,
                pad_token_id=asker.chat.tokenizer.pad_token_id,
            )
        found.append(asker.chat.text(ids[0, len(prompt.ids) :]))
    return found


def batched(asker: Asker, views: list[np.ndarray], size: int, tokens: int) -> Answers:
    """``size`` pictures a call."""
    found = []
    for i in range(0, len(views), size):
        seen = asker.look_all([view] for view in views[i : i + size])
        found += asker.answer(seen, [[(asker.opening(s, QUESTION), None)] for s in seen], tokens)
    return found


def alone(asker: Asker, views: list[np.ndarray], _: int, tokens: int) -> Answers:
    """One picture a call."""
    return batched(asker, views, 1, tokens)


WAYS: dict[str, Callable[[Asker, list[np.ndarray], int, int], Answers]] = {
    "stock": stock,
    "alone": alone,
    "batched": batched,
}


def compare(asker: Asker, views: list[np.ndarray], batch: int, tokens: int, repeats: int) -> dict[str, float]:
    """Median seconds of each way."""
    clock = time.process_time if asker.device.type == "cpu" else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        answers = {}
        for name, way in WAYS.items():
            start = clock()
            answers[name] = way(asker, views, batch, tokens)  # texts, so that a GPU is done
            taken[name].append(clock() - start)
        for i, told in enumerate(zip(*answers.values(), strict=True)):
            if len(set(told)) > 1:
                raise SystemExit(f"picture {i} has other answers: {told}")
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2, 16, 64])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    for name, value in WIDE.items() if options.wide else ():
        setattr(small, name, value)
    with tempfile.TemporaryDirectory() as folder:
        asker = Asker(small.build(Path(folder) / "model", [QUESTION]), options.device)
    views = pictures(options.pictures)
    size = sum(p.numel() for p in asker.model.model.language_model.parameters()) / 1e6
    print(f"{options.pictures} pictures, batches of {options.batch}, language model of {size:.1f} million, ", end="")
    print(f"{options.device}, {torch.get_num_threads()} threads; ms a picture")
    print("tokens" + "".join(f"{name:>10}" for name in WAYS) + "  stock/batched")
    for tokens in options.tokens:
        found = compare(asker, views, options.batch, tokens, options.repeats)
        times = "".join(f"{1e3 * seconds / options.pictures:10.1f}" for seconds in found.values())
        print(f"{tokens:6}{times}{found['stock'] / found['batched']:15.2f}", flush=True)


if __name__ == "__main__":
    main()
