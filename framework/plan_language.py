"""A stage-2 experiment -> what it would do, in a page of text; every mistake that shows without loading torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framework import registry
from framework.data.index import open_index
from framework.data.instruct import conversations
from framework.data.instruct.conversations import Conversation
from framework.data.questions.opening import open_items
from framework.errors import UserError
from framework.reasoning import Reasoning


def plan(config: Reasoning) -> str:
    """Validate and describe.

    Raises:
        UserError: whatever is wrong with a name, option, folder, conversation or set.
    """
    registry.load_plugins(config.plugins)
    if not (config.train or config.test or config.questions):
        raise UserError(f"experiment {config.name}: names no train, test or questions, so there is nothing to do.")
    model = Path(config.checkpoint or config.model.path).expanduser()
    if not model.exists():
        raise UserError(
            f"model.path: nothing at {model}. Make a model folder with `anomaly-ov convert SOURCE {model}`."
        )
    t, tune = config.trainer, config.tune
    lines = [f"experiment  {config.name}, stage 2, seed {config.seed}", f"model       {model}"]
    talks = read(config)
    if talks:
        lines += _training(config, talks)
        lora = f", adapters of rank {tune.lora.rank}" if tune.lora.rank else ""
        lines.append(f"tuned       {', '.join(tune.parts)}{lora}; labels {tune.labels}, up to {tune.max_length} tokens")
    lines += [f"test        {line}" for line in _tested(config)]
    lines.append(
        f"devices     {t.accelerator} x {t.devices}, {t.num_nodes} node(s), strategy {t.strategy}, {t.precision}"
    )
    lines.append(f"writes      a run folder in {config.out}/")
    return "\n".join(lines)


def read(config: Reasoning) -> list[Conversation]:
    """All conversations to tune on, checked; none where none are named.

    Raises:
        UserError: as ``conversations.load``, with the name of the set.
    """
    found: list[Conversation] = []
    for name, part in config.train.items():
        try:
            found += conversations.load(Path(part.path).expanduser(), Path(part.images).expanduser(), config.seed)
        except UserError as error:
            raise type(error)(f"train.{name}: {error}") from None
    return found


def _training(config: Reasoning, talks: Sequence[Conversation]) -> list[str]:
    o = config.optim
    pictures = len({path for talk in talks for path in talk.images})
    known = [talk.anomaly for talk in talks if talk.anomaly is not None]
    steps = -(-len(talks) // o.batch_size)
    return [
        f"train       {len(talks)} conversations about {pictures} pictures; of {len(known)} labelled ones "
        f"{sum(known)} are anomalous",
        f"optimiser   AdamW lr {o.lr:g}, {config.trainer.max_epochs} epochs of {steps} steps of {o.batch_size}",
    ]


def _tested(config: Reasoning) -> list[str]:
    lines = []
    for name, part in config.test.items():
        index = open_index(name, part, True)
        normal, anomalous = index.counts
        lines.append(f"{name}: {index.source} in {part.root}, {normal} normal and {anomalous} anomalous samples")
    for name, questions in config.questions.items():
        items = open_items(name, questions)
        asked = sum(len(item.questions) for item in items)
        lines.append(f"{name}: {questions.kind} in {questions.path}, {asked} questions about {len(items)} samples")
    return lines
