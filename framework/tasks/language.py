"""Sets under test and a model -> answers to questions about every sample, and the rows they are worth."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from framework import reasoning, registry
from framework.data.index import open_index
from framework.errors import UserError
from framework.files import make_folder
from framework.models.onevision import tuned
from framework.processes import job
from framework.reasoning import Reasoning
from framework.tasks import free_text, quiz
from framework.tasks.answered import Tested, hashed, numbers, write
from framework.tasks.asking import Asker
from framework.tasks.devices import device
from framework.tasks.labelled import Labelled
from framework.tasks.questions import open_questions
from framework.tasks.run import Outcome, expectations


def open_tests(config: Reasoning) -> list[Tested]:
    """Every set under test, without opening a sample.

    Raises:
        UserError: as ``open_index`` and ``open_questions``, or a number to expect that there will not be.
    """
    free_text.check(config.text)
    asking = config.answer
    labelled = [
        Labelled(open_index(name, part, True), asking.question, asking.views) for name, part in config.test.items()
    ]
    asked = [open_questions(name, part) for name, part in config.questions.items()]
    sets: list[Tested] = [*labelled, *asked]
    known = [f"{s.name}.{level}_{metric}" for s in sets for level, metric in numbers(config, s)]
    for key in config.expect:
        if key not in known:
            raise UserError(registry.unknown("number to expect", key, known))
    return sets


def test(config: Reasoning) -> Outcome:
    """Ask about every set under test, write a run; processes of one job (torchrun, SLURM) share the samples.

    Raises:
        UserError: anything the user can mend, before anything is asked.
    """
    registry.load_plugins(config.plugins)
    sets = open_tests(config)
    if not sets:
        raise UserError(f"experiment {config.name}: names no set under test or questions, so there is nothing to ask.")
    return answer_sets(config, Path(config.checkpoint or config.model.path).expanduser(), sets, *job())


def answer_sets(config: Reasoning, checkpoint: Path, sets: Sequence[Tested], rank: int, ranks: int) -> Outcome:
    """Answer this process's share; the process that finds everything answered writes the run.

    Args:
        config: the experiment.
        checkpoint: model folder or tuned checkpoint.
        sets: what to ask about.
        rank: of this process.
        ranks: how many share the work.

    Returns:
        The run folder; none where other processes still owe answers, or have written the run.
    """
    card = tuned.card_of(checkpoint) if checkpoint.is_file() else None
    model = tuned.identity(checkpoint)
    loaded: list[Asker] = []

    def asker() -> Asker:
        if not loaded:
            base = config.model.path if card and not Path(card["model"]).is_dir() else ""  # it may have moved
            place = device(config.trainer.accelerator, rank)
            fast = config.answer.resize == "fast"
            how = (config.model.dtype, config.answer.views, base, config.model.attention, fast)
            captions = config.answer.captions
            loaded.append(Asker(checkpoint, place, *how, captions))
        return loaded[0]

    keys = [_key(config, source, model) for source in sets]
    work = Path(config.out) / f".answers-{config.name}-{hashed([model, *keys])[:12]}"
    make_folder(work)
    for source, key in zip(sets, keys, strict=True):
        quiz.answer(asker, source, work, key, config.test_batch_size, config.answer.max_new_tokens, rank, ranks)
    found = [quiz.collect(work, key) for key in keys]  # of all sets after the last, or two processes miss each other
    whole = [quiz.complete(lines, source) for lines, source in zip(found, sets, strict=True)]
    if not all(whole) or (rank and not sets):
        return Outcome(None, None)
    with _alone(work) as alone:
        if not alone:
            return Outcome(None, None)
        folder = write(config, checkpoint, card, model, sets, found, ranks)
        shutil.rmtree(work)
    written = folder / tuned.FILE
    return Outcome(folder, written if written.exists() else None, expectations(config, folder))


def _key(config: Reasoning, source: Tested, model: str) -> str:
    """What the answers about a set follow from."""
    set_of = source.index.config if isinstance(source, Labelled) else config.questions[source.name]
    questions = [(q.id, q.questions) for q in source.quizzes]
    how = [reasoning.answering(config.answer), config.model.dtype, config.model.attention]
    return hashed([model, *how, asdict(set_of), questions])


@contextmanager
def _alone(work: Path) -> Iterator[bool]:
    """Whether this process is the one that writes, of several that find everything answered. A kill gives it up."""
    lock = work / "writing"
    try:
        f = lock.open("w")
    except FileNotFoundError:  # another has written, and cleared up
        yield False
        return
    with f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield lock.exists()
