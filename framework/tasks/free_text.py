"""Free answers with references -> rows: ROUGE-L, embedding similarity, a judge and how far it agrees with itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framework.data.questions.items import Item
from framework.leaderboard.rows import Row
from framework.metrics.text.agreement import Agreement, agreement
from framework.metrics.text.descriptions import Embedder, rouge_l
from framework.metrics.text.endpoint import find_endpoint
from framework.metrics.text.judge import Question, judge
from framework.models.onevision.chat import IMAGE
from framework.progress import say, tell
from framework.reasoning import TextConfig
from framework.tasks.verdicts import STRICT, Line, text_rows

TOP = 10  # highest score of the judge


def check(config: TextConfig) -> None:
    """Whatever would stop the scoring, before anything is asked.

    Raises:
        UserError: a judge is wanted and no endpoint is known, or the embeddings cannot be loaded.
    """
    if config.judge:
        find_endpoint()
    if config.similarity:
        Embedder(config.similarity)


def free_numbers(config: TextConfig, items: Sequence[Item]) -> list[tuple[str, str]]:
    """Level and metric of every number that ``free_rows`` will have."""
    if not any(reference for item in items for reference in item.references):
        return []
    wanted = {
        "rouge_l": True,
        "similarity": bool(config.similarity),
        "judge": config.judge,
        "judge_coverage": config.judge,
        "judge_agreement": config.judge and config.repeats > 1,
    }
    return [(STRICT, metric) for metric, found in wanted.items() if found]


def free_rows(
    config: TextConfig, lines: Sequence[Line], items: Sequence[Item], columns: dict[str, Any], cache: Path
) -> list[Row]:
    """Rows of all answers that have a reference.

    Args:
        config: which numbers are wanted.
        lines: one an item.
        items: questions and references.
        columns: that all rows share.
        cache: of the judge's replies.

    Raises:
        UserError: the judge or the embeddings cannot be used.
    """
    found = [
        (line, Question(question.replace(IMAGE, "").strip(), reference, answer))
        for line, item in zip(lines, items, strict=True)
        for question, reference, answer in zip(item.questions, item.references, line.answers, strict=True)
        if reference
    ]
    if not found:
        say(f"{columns['tested_on']}: no references are known, so its answers are kept and not scored")
        return []
    about, asked = [line for line, _ in found], [question for _, question in found]
    candidates, references = [q.candidate for q in asked], [q.reference for q in asked]
    values = {"rouge_l": rouge_l(candidates, references)}
    protocols = {"rouge_l": "F1 of the longest common subsequence, no stemming"}
    if config.similarity:
        embedder = Embedder(config.similarity)
        values["similarity"] = np.clip(embedder.similarity(candidates, references), 0, 1)
        protocols["similarity"] = f"cosine, {config.similarity}, weights {embedder.sha256[:12]}, below 0 as 0"
    if config.judge:
        judged = judge(asked, find_endpoint(), cache, config.repeats)
        values |= _judged(judged.scores)
        if (whole := agreement(judged.scores)) is not None:
            tell(f"{columns['tested_on']}: {_in_words(whole)}")
        by = f"{judged.prompt} by {judged.model}, {config.repeats} times"
        protocols |= {
            "judge": f"{by}, tenths of the mean score",
            "judge_coverage": f"{by}, share of judgements with a score",
            "judge_agreement": f"{by}, share of equal scores among pairs of one answer",
        }
    return text_rows(about, values, protocols, columns)


def _in_words(found: Agreement) -> str:
    """The agreement of a judge with itself, for the screen: a share below 0 is no value of a row."""
    shares = {"Krippendorff's alpha": found.alpha, "weighted kappa": found.kappa}
    told = [f"{name} {value:.2f}" for name, value in shares.items() if value is not None]
    return ", ".join(
        [
            f"of {found.pairs} pairs of judgements {100 * found.exact:.0f} % are equal",
            *told,
            f"scores differ by {found.difference:.1f} of {TOP}",
        ]
    )


def _judged(scores: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers of each answer, ``(N,)`` in [0, 1], NaN for none, from ``(N, R)`` scores."""
    known = ~np.isnan(scores)
    counts = known.sum(1)
    means = np.where(known, scores, 0).sum(1) / np.maximum(counts, 1)
    found = {"judge": np.where(counts > 0, means, np.nan) / TOP, "judge_coverage": known.mean(1)}
    if scores.shape[1] > 1:
        pairs = [agreement(row[None]) for row in scores]
        found["judge_agreement"] = np.array([np.nan if a is None else a.exact for a in pairs])
    return found
