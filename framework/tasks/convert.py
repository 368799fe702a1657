"""Weights of any kind -> one model folder, and what to tell of it: a tuned checkpoint is merged, all else converted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from framework.errors import UserError
from framework.models.onevision import conversion, tuned


def convert(source: Path, out: Path, expert: Path | None, base: Path | None, tokenizer: Path | None) -> list[str]:
    """Write ``out``; see ``conversion.convert`` and ``tuned.merge``.

    Returns:
        Lines for the user.
    """
    if source.is_file() and source.suffix == ".safetensors" and tuned.is_tuned(source):
        if expert or tokenizer:
            raise UserError(f"{source}: a tuned checkpoint brings its own expert and tokenizer.")
        tuned.merge(source, out, str(base or ""))
        return [f"merged {source} into {out}"]
    report = conversion.convert(source, out, expert, base, tokenizer)
    left_out = Counter(move.why for move in report.moves if move.why)
    lines = [f"{sum(1 for move in report.moves if move.target)} tensors, {report.parameters / 1e6:.1f} million numbers"]
    lines += [f"left out {count}: {why}" for why, count in left_out.items()]
    return [*lines, *report.notes, f"wrote {out}; every key is in {out / conversion.REPORT}"]
