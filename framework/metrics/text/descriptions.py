"""Candidate and reference texts -> ROUGE-L and the cosine of their sentence embeddings. Loads torch where used.

The paper names neither the variant of ROUGE nor the SBERT model, so both are choices of ours, as common as can be.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import UserError
from framework.models.backbones import sources

EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
LIMITS, POOLING = "sentence_bert_config.json", "1_Pooling/config.json"
EXTRAS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json", LIMITS, POOLING)
NAME = "embeddings"


def rouge_l(candidates: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """ROUGE-L of each pair: the F1 of the longest common subsequence of words, 0 where either has none.

    Words are runs of a-z and 0-9 after lower-casing, without stemming: the default of rouge-score, whose values these
    are (torchmetrics computes them, as it needs no NLTK). Text in other scripts has no words.

    Returns:
        ``(N,)`` float64 in [0, 1].

    Raises:
        ValueError: lengths differ.
    """
    from torchmetrics.functional.text import rouge_score

    pairs = zip(candidates, references, strict=True)
    found = [float(rouge_score(c, r, rouge_keys="rougeL")["rougeL_fmeasure"]) for c, r in pairs]
    return np.array(found, np.float64)


class Embedder:
    """Sentence embeddings of a transformers model: the mean of its last hidden states over the words of a text.

    Args:
        weights: hub name or folder of an encoder with its tokenizer. A checkpoint of sentence-transformers must pool by
            the mean, and its limit of tokens is kept.
        batch_size: texts at a time; changes speed only.
        device: of torch, "cpu" or "cuda".

    Raises:
        UserError: nothing there, the hub cannot be reached, weights that do not fit, another pooling.
    """

    sha256: str
    """Of the weights, 64 hex digits: a hub name may come to mean others."""

    def __init__(self, weights: str = EMBEDDER, batch_size: int = 32, device: str = "cpu") -> None:
        from framework.models.backbones.base import digest

        try:
            folder = sources.folder(NAME, weights, "config.json", FILES, EXTRAS)
        except UserError as error:
            raise type(error)(str(error).replace(f"backbone {NAME!r}", f"{NAME} (text.similarity)")) from None
        _check_pooling(folder)
        self.weights, self.batch_size, self.device = weights, batch_size, device
        self._tokenizer, model = _load(folder)
        self.sha256 = digest(model)
        self._model = _placed(model, device)
        self._limit = _limit(folder, self._tokenizer, model.config)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of length 1: ``(N, C)`` float32, in the order of ``texts``."""
        import torch

        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of a batch are padded to the longest
        found = np.empty((len(texts), self._model.config.hidden_size), np.float32)
        for start in range(0, len(order), self.batch_size):
            places = order[start : start + self.batch_size]
            batch = self._tokenizer(
                [texts[i] for i in places], padding=True, truncation=True, max_length=self._limit, return_tensors="pt"
            ).to(self.device)
            with torch.inference_mode():
                hidden = self._model(**batch).last_hidden_state.float()  # (B, T, C)
                mask = batch["attention_mask"][..., None]
                means = (hidden * mask).sum(1) / mask.sum(1)
                found[places] = torch.nn.functional.normalize(means, dim=1).cpu().numpy()
        return found

    def similarity(self, candidates: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Cosine of each pair: ``(N,)`` float64 in [-1, 1]; 0 where either text is blank, which says nothing.

        Raises:
            ValueError: lengths differ.
        """
        if len(candidates) != len(references):
            raise ValueError(f"{len(candidates)} candidates, {len(references)} references")
        distinct = {text: place for place, text in enumerate(dict.fromkeys([*candidates, *references]))}
        found = self.embed(list(distinct)).astype(np.float64)
        first, second = ([distinct[text] for text in texts] for texts in (candidates, references))
        said = [bool(c.strip() and r.strip()) for c, r in zip(candidates, references, strict=True)]
        return np.where(said, np.clip((found[first] * found[second]).sum(1), -1, 1), 0.0)


def _load(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and encoder, in float32."""
    import torch
    import transformers
    from safetensors import SafetensorError

    try:
        with sources.hush():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            model, report = transformers.AutoModel.from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{NAME}: {folder} holds no encoder and tokenizer that can be read ({sources.one_line(error)}). "
            "Download it again, or name another."
        ) from None
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise UserError(f"{NAME}: the weights in {folder} lack {len(missing)} tensors, {missing[0]!r} first.")
    model.pooler = None  # nothing reads it, and where a checkpoint lacks it its weights are random
    return tokenizer, model.eval()


def _placed(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"{NAME}: no device {device!r} here ({sources.one_line(error)}). Write cpu.") from None


def _check_pooling(folder: Path) -> None:
    path = folder / POOLING
    if path.is_file() and not sources.read_json(path).get("pooling_mode_mean_tokens", True):
        raise UserError(f"{NAME}: {path} says that this model does not pool by the mean. Name one that does.")


def _limit(folder: Path, tokenizer: Any, config: Any) -> int:
    """How many tokens of a text are read: what the checkpoint was made for, and never more than it has places."""
    path = folder / LIMITS
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    limits.append(sources.read_json(path).get("max_seq_length") if path.is_file() else None)
    return min(limit for limit in limits if isinstance(limit, int) and limit > 0)
