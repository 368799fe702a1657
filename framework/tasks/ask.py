"""A file of any domain and a question -> an answer, a score and a map beside; or a talk about it."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from framework import registry
from framework.errors import UnreadableError, UserError
from framework.progress import say
from framework.tasks.asking import Asker
from framework.tasks.subject import Subject
from framework.types import Domain, Record, Sample

NAME = 255  # longest name of a file
HELP = "Ask about it, line by line. Ctrl-C stops an answer; an empty line or Ctrl-D ends the talk."


def ask(
    checkpoint: Path,
    path: Path,
    question: str | None,
    out: Path,
    as_json: bool,
    options: dict[str, Any],
    reader: dict[str, Any] | None = None,
    domain: str = "",
) -> None:
    """Answer one question, or talk until the user has had enough.

    Args:
        checkpoint: model folder or tuned checkpoint.
        path: of the file.
        question: None talks.
        out: folder for the maps.
        as_json: one JSON object on standard output; else the answer streams.
        options: of ``Asker``.
        reader: options of the domain's reader.
        domain: name of the one that reads the file; "" for the first that reads its kind.

    Raises:
        UserError: as ``read``, ``Asker`` and ``Subject``; a question that is none.
    """
    _check(question, as_json)
    name, opened, sample = read(path, reader or {}, domain)  # first: to load a model may take minutes
    subject = Subject(Asker(checkpoint, **options), name, sample, opened)
    told = subject.save(out)
    for warning in sample.warnings:
        say(f"anomaly-ov: {warning}")
    if as_json:
        print(json.dumps(told | {"question": question, "answer": subject.ask(str(question))}))
        return
    maps = [*told["maps"], *([told["map"]] if "map" in told else [])]
    print(f"score {told['score']:.3f}, {told['adverb']} suspicious; maps: {', '.join(maps)}")
    for view in told["views"] if len(told["views"]) > 1 else ():  # an answer may name them
        print(f"image {view['number']}{', ' * bool(view['caption'])}{view['caption']}: {view['score']:.2f}")
    if question:
        _answer(subject, question)
    else:
        _talk(subject)


def read(path: Path, options: dict[str, Any], domain: str = "") -> tuple[str, Domain, Sample]:
    """The domain that reads a file, or the one sample of a folder, its reader, and the sample.

    Raises:
        UserError: no such file, no domain (or not ``domain``) reads it, its reader has no such option, or it cannot be
            read.
    """
    if path.is_dir():
        found = registry.samples([path])
        if len(found) > 1:
            raise UserError(
                f"{path}: a folder of {len(found)} samples. Ask about one, such as {found[0]}; `anomaly-ov predict` "
                "scores many."
            )
        path = found[0]
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    name = registry.domain_of(path, only=domain)
    reader: Domain = registry.build("domain", name, **registry.asked(name) | options)
    try:
        return name, reader, reader.read(Record(path, anomalous=False, category=path.parent.name))
    except UnreadableError as error:
        others = [n for n in registry.reading(path) if n != name]
        if domain or not others:
            raise
        raise UnreadableError(f"{error} It was read as {name}; if it is not, --domain {' or '.join(others)}.") from None


def _check(question: str | None, as_json: bool) -> None:
    """Refuse what cannot be meant as a question."""
    if question is None:
        if as_json:
            raise UserError("--json answers a question: give one.")
        return
    if not question.strip():
        raise UserError("the question is empty. Write one, or none at all to talk.")
    if Path(question[:NAME]).is_file():
        raise UserError(f"{question}: a second file where the question belongs. Ask about one file at a time.")


def _answer(subject: Subject, question: str, stopped: Callable[[], bool] | None = None) -> None:
    """Show the answer while it is made."""
    subject.ask(question, stream=lambda text: print(_shown(text), end="", flush=True), stopped=stopped)
    print()


def _shown(text: str) -> str:
    """The text without what would command a terminal."""
    if not sys.stdout.isatty():
        return text
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def _talk(subject: Subject) -> None:
    """Answer line after line. A mistake of a person at the keyboard is told and does not end the talk."""
    if not sys.stdin.isatty():
        for line in _lines():
            _answer(subject, line)
        return
    say(HELP)
    for line in _typed():
        try:
            with _stoppable() as stopped:
                _answer(subject, line, stopped)
        except UserError as error:
            say(f"anomaly-ov: {error}")


def _lines() -> Iterator[str]:
    """The lines of standard input that are not empty."""
    try:
        for line in sys.stdin:
            if line.strip():
                yield line.strip()
    except UnicodeDecodeError:
        raise UserError("standard input: a question that is no text in UTF-8.") from None


def _typed() -> Iterator[str]:
    """What the user types, until an empty line, a word that ends, Ctrl-D or Ctrl-C."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 (lines can be edited, called again, and longer than a terminal's 4096 bytes)
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        except UnicodeDecodeError:
            say("anomaly-ov: a question that is no text in UTF-8.")
            continue
        if line.lower() in ("?", "help", ":help", "/help"):
            say(HELP)
        elif line.lower() in ("", "exit", "quit", ":q", ":quit", "/exit", "/quit"):
            return
        else:
            yield line


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, which ends the answer; pressed again it interrupts, as elsewhere."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped.is_set
    finally:
        signal.signal(signal.SIGINT, before)
