"""The quickstart's industrial set and expert -> a small language model tuned to say what it sees, and its answers."""

from __future__ import annotations

import json
from pathlib import Path

from markupsafe import Markup

from framework import reasoning
from framework.config import DataConfig
from framework.data.index import open_index
from framework.data.instruct.writing import write
from framework.progress import say
from framework.provenance import PROJECT

EXPERIMENT = PROJECT / "experiments" / "stage2" / "quickstart.yaml"
DOMAIN = "industrial"
SHOWN = 6  # answers of each set on the page


def language(out: Path, tested: dict[str, DataConfig]) -> int:
    """Write conversations, build a model around the industrial expert, tune it, show answers about every domain.

    A second call goes on where the first was interrupted.

    Args:
        out: the quickstart's folder, with ``data/`` and ``experts/``.
        tested: the target set of every domain.

    Returns:
        0, or 1 where a number is not what the experiment expects (of a run made now).
    """
    folder = out / "language"
    talks = folder / DOMAIN / "conversations.json"
    if not talks.is_file():
        write(f"{DOMAIN}/mvtec", out / "data" / DOMAIN / "source", talks.parent)
    config = experiment(out)
    done = sorted((out / "runs").glob(f"[!.]*-{config.name}-{reasoning.digest(config)[:8]}"))
    status = 0
    if not done:
        status = _tune(out, folder, talks, config)
        done = sorted((out / "runs").glob(f"[!.]*-{config.name}-*"))
    if not (out / "answers.html").is_file():
        _show(out, done[-1], tested)
    say(f"Open {out / 'answers.html'} for what the tuned model says, right or wrong, with the map beside.")
    return status


def experiment(out: Path) -> reasoning.Reasoning:
    """The stage-2 experiment with its paths under ``out``."""
    folder = out / "language"
    return reasoning.load(
        EXPERIMENT,
        [
            f"out={out}/runs",
            f"model.path={folder}/model",
            f"train.talks.path={folder}/{DOMAIN}/conversations.json",
            f"test.{DOMAIN}.root={out}/data/{DOMAIN}/target",
        ],
    )


def texts(talks: Path) -> list[str]:
    """Every question and answer of a file of conversations, for a tokenizer."""
    entries = json.loads(talks.read_text(encoding="utf-8"))
    return [turn["value"].replace("<image>", "") for entry in entries for turn in entry["conversations"]]


def _tune(out: Path, folder: Path, talks: Path, config: reasoning.Reasoning) -> int:
    """Build the model unless it is there, and fit."""
    from framework.models.onevision import small
    from framework.tasks.tune import fit

    if not (folder / "model").is_dir():
        small.build(folder / "model", texts(talks), out / "experts" / f"{DOMAIN}.ckpt", config.seed)
    return fit(config).status


def _show(out: Path, run: Path, tested: dict[str, DataConfig]) -> None:
    from framework.models.onevision import tuned
    from framework.tasks.asking import Asker
    from framework.tasks.showcase import showcase

    notes = [
        "A language model of a quarter of a million numbers, tuned for a minute on answers about three procedural "
        "products, is asked about products, clouds and scans that it has not seen.",
        "It reads the picture through the same tower and anomaly expert as the leaderboard, and the expert's four most "
        "suspicious tokens of each picture; the map beside is the expert's. Its yes and no follow the expert's score. "
        "Its descriptions follow the grammar of what it was tuned on, and are mostly wrong about what and where: it "
        "is far too small to know more. Clouds and scans it was never tuned on at all. "
        + Markup('<a href="index.html">The leaderboard</a> says how often it is right.'),
    ]
    sets = [open_index(domain, config, True) for domain, config in tested.items()]
    asker = Asker(run / tuned.FILE, "cpu", views=1, captions=False)  # of products, which it was tuned on, none are told
    right = showcase(asker, sets, SHOWN, out / "answers.html", "Quickstart: a small model answers", notes)
    say(f"Of {SHOWN * len(sets)} samples shown, its yes or no is right for {right}.")
