"""Texts and an expert of the embedded backbone -> a small Anomaly-OV with a tokenizer of its own, to be tuned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config

from framework.files import check_new, new_folder
from framework.models.backbones.embedded import network
from framework.models.backbones.sources import hush
from framework.models.checkpoints import load_expert_weights
from framework.models.experts import embedded
from framework.models.onevision import chat
from framework.models.onevision.configuration import ADVERBS, PREFIX, AnomalyOVConfig, canvases
from framework.models.onevision.conversion import keep_origins
from framework.models.onevision.modeling import AnomalyOV
from framework.models.onevision.tower import EmbeddedTowerConfig

WORDS = 1024  # most tokens of its vocabulary
WIDTH, LAYERS, HEADS = 64, 2, 4  # of the language model
CANVAS = 0  # most tiles a side: a picture is one padded square, which takes half the time of a crop and a tile
CONTEXT = 8192  # tokens: four views as squares, or one picture of any size, and a long talk
TELLING = 4  # how often the prefixes stand among the texts, so that each word of theirs becomes one token


def build(out: Path, texts: Iterable[str], expert: Path | None = None, seed: int = 0, canvas: int = CANVAS) -> Path:
    """Write a model folder as ``convert`` does: the embedded tower, its expert, a fresh projector and language model.

    Args:
        out: folder to write, whole or not at all.
        texts: what it will be asked and will answer; its tokenizer is trained on them.
        expert: weights for the embedded backbone, a stage-1 ``expert.ckpt`` or a bare file; None: the embedded ones.
        seed: of the fresh weights.
        canvas: most tiles a side that a picture is cut into; 0: one padded square.

    Returns:
        ``out``.

    Raises:
        UserError: ``out`` is there already, or the expert does not fit.
    """
    check_new(out)
    words = tokenizer(texts)
    config = configure(words, canvas)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AnomalyOV(config)
        model.model.vision_tower.network.load_state_dict(network.load().state_dict())
    load_expert_weights(expert or embedded.weights(), model.model.anomaly_expert)
    with new_folder(out) as folder:
        with hush():
            model.save_pretrained(folder)
        words.save_pretrained(folder)
        keep_origins(folder, expert)
    return out


def tokenizer(texts: Iterable[str]) -> Any:
    """A byte-level BPE tokenizer that knows the words of ``texts`` and can spell any other."""
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    prefixes = [PREFIX.format(adverb) for adverb in ADVERBS] * TELLING
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=["<|endoftext|>", chat.START, chat.END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    found.train_from_iterator([*sorted(set(texts)), *prefixes, chat.SYSTEM, "system", "user", "assistant"], trainer)
    words = PreTrainedTokenizerFast(
        tokenizer_object=found, eos_token=chat.END, pad_token="<|endoftext|>", model_max_length=CONTEXT
    )
    words.add_tokens([AddedToken(chat.IMAGE, special=True, normalized=False)], special_tokens=True)
    words.chat_template = chat.TEMPLATE
    return words


def configure(words: Any, canvas: int = CANVAS) -> AnomalyOVConfig:
    """The configuration of the small model for a tokenizer."""
    text = Qwen2Config(
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        vocab_size=-(-len(words) // 64) * 64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return AnomalyOVConfig(
        vision_config=EmbeddedTowerConfig().to_dict(),
        text_config=text.to_dict(),
        image_token_index=words.convert_tokens_to_ids(chat.IMAGE),
        image_grid_pinpoints=canvases(network.IMAGE_SIZE, canvas),
        tie_word_embeddings=True,
        expert=dict(embedded.SIZES),
        level_layers=[block + 1 for block in network.LEVELS],
        prefix_token_ids=chat.prefix_ids(words),
    )
