"""The text tower of an open_clip model goes in; texts, or embedded tokens, become directions beside its pictures'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import open_clip
import torch
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn

from framework.errors import UserError
from framework.models.backbones import sources
from framework.models.backbones.timm_tap import LOADING

AT_ONCE = 64  # texts in a pass: a category of WinCLIP has 242
SPARE = 4  # so many contexts hold every text that anybody writes


class TextTower(nn.Module):
    """A frozen text tower with its tokenizer, the library's own.

    Args:
        where: begins the message of an error.
        model: an open_clip model; its image tower is taken out, as the backbone keeps that.
        tokenizer: that of the model.

    Attributes:
        context: tokens of a text, T, the first and the last included.
    """

    def __init__(self, where: str, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        del model.visual
        self.where, self.model, self._tokenizer = where, model, tokenizer
        self.context: int = model.context_length  # type: ignore[assignment]

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """``(n, T)`` int64 on the device of the tower.

        Raises:
            UserError: a text that takes more than T tokens, which the library would cut off without a word.
        """
        ids: Tensor = self._tokenizer(list(texts), context_length=self.context)
        whole = self._tokenizer(list(texts), context_length=SPARE * self.context)[:, : self.context]
        for text, cut, row in zip(texts, ids, whole, strict=True):
            if not torch.equal(cut, row):  # the library ends it early
                raise UserError(
                    f"{self.where}: {text!r} takes more than the {self.context} tokens that its text tower reads. "
                    "Write shorter words."
                )
        return ids.to(self._device)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Texts -> ``(n, D)`` float32, not normalised: the library's ``encode_text``.

        Raises:
            UserError: see ``tokens``.
        """
        with torch.autocast(self._device.type, enabled=False):
            parts = self.tokens(texts).split(AT_ONCE)
            return torch.cat([self.model.encode_text(part) for part in parts]).float()  # type: ignore[operator]

    def embed(self, tokens: Tensor) -> Tensor:
        """Tokens ``(n, T)`` -> what stands for them before the first block, ``(n, T, W)`` float32, without places."""
        return self._parts.token_embedding(tokens).float()

    def encode_embedded(self, embedded: Tensor, tokens: Tensor, deep: Sequence[Tensor] = ()) -> Tensor:
        """Embedded texts -> ``(n, D)`` float32, not normalised, with gradients to what is embedded and to ``deep``.

        Args:
            embedded: ``(n, T, W)``, of ``embed`` or changed by the caller.
            tokens: ``(n, T)``, which tell where a text ends.
            deep: ``(K, W)`` each; number i stands in for the tokens 1 to K before block i + 1 (deep prompts).
        """
        parts, dtype = self._parts, self._parts.positional_embedding.dtype
        with torch.autocast(embedded.device.type, enabled=False):
            x = embedded.to(dtype) + parts.positional_embedding
            for number, block in enumerate(parts.transformer.resblocks):
                if 0 < number <= len(deep):
                    own = deep[number - 1].to(dtype).expand(len(x), -1, -1)  # (n, K, W)
                    x = torch.cat([x[:, :1], own, x[:, 1 + own.shape[1] :]], dim=1)
                x = block(x, attn_mask=parts.attn_mask)
            pool = getattr(parts, "text_pool_type", None) or parts.pool_type
            end = getattr(parts, "text_eos_id", None) or getattr(parts, "eos_id", None)
            pooled = text_global_pool(parts.ln_final(x), tokens, pool, eos_token_id=end)
            projection = parts.text_projection
            return (projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection).float()

    @property
    def blocks(self) -> int:
        """How many blocks the tower has."""
        return len(self._parts.transformer.resblocks)

    @property
    def width(self) -> int:
        """Channels of a token, W."""
        return int(self._parts.token_embedding.weight.shape[1])

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def _parts(self) -> Any:
        """Where the library keeps embedding, blocks and projection: in the model, or in its text tower.

        Raises:
            UserError: a tower that is not open_clip's own, or adds a token of its own, which nobody can write before.
        """
        text = getattr(self.model, "text", self.model)
        own = isinstance(text, TextTransformer) or hasattr(text, "text_pool_type")
        if not own or getattr(text, "cls_emb", None) is not None or getattr(text, "use_pad_mask", False):
            raise UserError(
                f"{self.where}: prompts cannot be learned for its text tower {type(text).__name__}; take a model "
                "whose text tower is open_clip's own, such as ViT-L-14-336."
            )
        return text


def language(where: str, model: nn.Module, source: str) -> TextTower:
    """The text tower of a model, with the tokenizer that its config names.

    Args:
        where: begins the message of an error.
        model: of ``open_clip.create_model``; loses its image tower.
        source: what the model was created from.

    Raises:
        UserError: a model without a text tower, or a tokenizer that is not on this machine or knows other tokens.
    """
    if not hasattr(model, "encode_text") or not hasattr(model, "context_length"):
        raise UserError(f"{where}: {type(model).__name__} has no text tower.")
    try:
        with sources.hush():
            tokenizer = open_clip.get_tokenizer(source)
    except LOADING as error:
        raise UserError(f"{where}: its tokenizer cannot be loaded: {sources.one_line(error)}.") from None
    known, size = getattr(tokenizer, "vocab_size", 0), getattr(model, "vocab_size", 0)
    if known > size > 0:
        raise UserError(f"{where}: its text tower knows {size} tokens, its tokenizer writes {known}.")
    return TextTower(where, model, tokenizer)
