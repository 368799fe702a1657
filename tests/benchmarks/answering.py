"""Pictures and one question -> a table: ms a picture asked one by one as transformers does it, and in batches.

    OMP_NUM_THREADS=1 python tests/benchmarks/answering.py [--pictures 16] [--batch 8] [--wide]
    python tests/benchmarks/answering.py --published --device cuda --dtype bfloat16 --side 1024 --batch 16

Three ways with the same model and greedy answers, in turn, medians of processor seconds, of a GPU of wall-clock
seconds. Stock: ``generate`` with the pixels, one picture a call, the tower inside. Alone: ``Asker``, one picture a
call. Batched: ``Asker`` as evaluation does it, pictures through the tower together, answers together. In float32 all
answers must be the same, or the script says which are not and ends; in half precision, where a product of matrices
rounds otherwise in a batch, it counts those that are. Answers of two tokens are those of yes and no.

The language model is the small one of this project, with ``--wide`` one of the width and depth of the published 0.5B
(its tower and vocabulary stay small), with ``--published`` the published sizes of all: Qwen2-0.5B, SigLIP so400m, a
picture as up to 37 crops. All have random weights, which never end an answer early: each has as many tokens as the
table says. Those of the language model are drawn wide, so that every picture has an answer of its own; "distinct"
counts them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from tuning import configure

from framework.models.onevision import chat, small, tuned
from framework.models.onevision.chat import Chat, placed
from framework.models.onevision.loading import DTYPES
from framework.models.onevision.modeling import AnomalyOV
from framework.tasks.asking import Asker

QUESTION = "Are there any defects for the object in the image? Please reply with 'Yes' or 'No'."
WIDE = {"WIDTH": 896, "LAYERS": 24, "HEADS": 14}
Answers = list[str]


def pictures(count: int, side: int) -> list[np.ndarray]:
    """``(3, side, side)`` uint8 each, 16 x 16 blocks of random colours."""
    noise = np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)
    return [np.kron(view, np.ones((1, -(-side // 16), -(-side // 16)), np.uint8))[:, :side, :side] for view in noise]


def published(device: str, dtype: torch.dtype) -> tuple[AnomalyOV, Chat]:
    """A model of the published sizes, drawn on the device, and a tokenizer with a word for each of its ids."""
    words = small.tokenizer([QUESTION])
    config = configure("0.5b")
    config.image_token_index = words.convert_tokens_to_ids(chat.IMAGE)
    config.prefix_token_ids = chat.prefix_ids(words)
    plan = json.loads(words.backend_tokenizer.to_str())
    fillers = {f"<word {i}>": i for i in range(len(words), config.text_config.vocab_size)}
    plan["model"]["vocab"] |= {chat.IMAGE: config.image_token_index} | fillers
    words = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(plan)), eos_token=chat.END, pad_token=words.pad_token
    )
    talk = Chat(words, config)
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model = AnomalyOV(config)
    torch.set_default_dtype(torch.float32)
    model.model.anomaly_expert.float()
    return model.eval(), talk


@torch.no_grad()
def widen(model: AnomalyOV) -> None:
    """Draw the matrices of the language model so wide that what it says depends on the picture."""
    device = model.device
    draw = torch.Generator(device).manual_seed(0)
    for name, weight in model.model.language_model.named_parameters():
        if weight.ndim == 2:
            spread = 0.05 if "embed_tokens" in name else 3 * weight.shape[1] ** -0.5
            weight.copy_(spread * torch.randn(weight.shape, generator=draw, device=device))


def ready(options: argparse.Namespace) -> Asker:
    """The model that the options name."""
    if options.published:
        model = published(options.device, DTYPES[options.dtype])
        with mock.patch.object(tuned, "load", lambda *_: model):
            return Asker(Path("published"), options.device)
    for name, value in WIDE.items() if options.wide else ():
        setattr(small, name, value)
    with tempfile.TemporaryDirectory() as folder:
        return Asker(small.build(Path(folder) / "model", [QUESTION]), options.device, options.dtype)


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


def compare(
    asker: Asker, views: list[np.ndarray], batch: int, tokens: int, repeats: int
) -> tuple[dict[str, float], int, int]:
    """Median seconds of each way, how many pictures all ways answer alike, and how many answers differ."""
    clock = time.process_time if asker.device.type == "cpu" else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        answers = {}
        for name, way in WAYS.items():
            start = clock()
            answers[name] = way(asker, views, batch, tokens)  # texts, so that a GPU is done
            taken[name].append(clock() - start)
        equal = [len(set(told)) == 1 for told in zip(*answers.values(), strict=True)]
        if asker.model.dtype == torch.float32 and not all(equal):
            i = equal.index(False)
            raise SystemExit(f"picture {i} has other answers: {[told[i] for told in answers.values()]}")
    return {name: statistics.median(seconds) for name, seconds in taken.items()}, sum(equal), len(set(answers["stock"]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--side", type=int, default=256, help="of a picture in pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2, 16, 64])
    parser.add_argument("--repeats", type=int, default=3)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--wide", action="store_true")
    sizes.add_argument("--published", action="store_true")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # else float32 is none, and a batch rounds otherwise
    asker = ready(options)
    widen(asker.model)
    views = pictures(options.pictures, options.side)
    size = sum(p.numel() for p in asker.model.model.language_model.parameters()) / 1e6
    crops = len(asker.chat.picture(views[0], several=False).crops)
    print(f"{options.pictures} pictures of {crops} crops, batches of {options.batch}, language model of ", end="")
    print(f"{size:.1f} million, {options.device}, {options.dtype}, {torch.get_num_threads()} threads; ms a picture")
    print("tokens" + "".join(f"{name:>10}" for name in WAYS) + "  stock/batched  equal  distinct")
    for tokens in options.tokens:
        batched(asker, views[: options.batch], options.batch, tokens)  # what is made once, is made
        found, equal, distinct = compare(asker, views, options.batch, tokens, options.repeats)
        times = "".join(f"{1e3 * seconds / options.pictures:10.1f}" for seconds in found.values())
        print(f"{tokens:6}{times}{found['stock'] / found['batched']:15.2f}{equal:7}{distinct:10}", flush=True)


if __name__ == "__main__":
    main()
