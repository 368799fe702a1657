"""A small Anomaly-OV whose answers differ, and an asker without a model that answers by a rule and keeps count."""

import numpy as np
import torch
from fake_language import TEXTS
from safetensors.torch import load_file, save_file

from framework.data.questions.words import captioned
from framework.errors import UserError
from framework.models.onevision import small
from framework.models.onevision.chat import placed
from framework.tasks.seeing import Seen


def talkative(folder):
    """A model folder; its language model is drawn wide, so that every prompt has an answer of its own."""
    small.build(folder, TEXTS, canvas=2)
    tensors, draw = load_file(folder / "model.safetensors"), torch.Generator().manual_seed(0)
    for name in sorted(tensors):
        if "language_model." in name and tensors[name].ndim == 2:
            spread = 0.05 if "embed_tokens" in name else 0.4  # or the last token would only be said again
            tensors[name] = spread * torch.randn(tensors[name].shape, generator=draw)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


class FakeAsker:
    """Sees how bright views are; ``rule(brightness of the sample, question, earlier answers)`` answers.

    Args:
        rule: makes an answer.
        limit: samples it looks at before it fails as a killed process would; None for none.
    """

    def __init__(self, rule, limit=None):
        self.rule, self.limit = rule, limit
        self.looked, self.asked, self.batches = [], [], []

    def __call__(self):
        return self

    def look(self, views, most=None):
        if self.limit is not None and len(self.looked) >= self.limit:
            raise KeyboardInterrupt
        bright = [float(np.mean(view)) for view in views]
        self.looked.append((round(max(bright), 3), most))
        logits = torch.tensor([(b - 100) / 20 for b in bright])
        shown = list(range(min(len(views), most or 4)))
        return Seen(logits, [], shown, [v.shape[1:] for v in views], [torch.tensor(max(bright))], "slightly")

    def look_all(self, samples, most=None):
        return [self.look(views, most) for views in samples]

    def opening(self, seen, question, captions=()):
        return placed(captioned(question, [captions[i] for i in seen.shown] if captions else ()), len(seen.shown))

    def prompt(self, seen, turns, max_new_tokens):
        if "too long" in turns[-1][0]:
            raise UserError("does not fit.")

    def answer(self, seen, turns, max_new_tokens, stream=None):
        self.batches.append(len(turns))
        self.asked += [turn[-1][0] for turn in turns]
        history = [[answer for _, answer in turn[:-1]] for turn in turns]
        return [self.rule(float(s.tokens[0]), turn[-1][0], h) for s, turn, h in zip(seen, turns, history, strict=True)]
