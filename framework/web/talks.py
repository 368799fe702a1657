"""Views of one visitor's file -> its score and pictures, and answers; all talks that there are, each under a secret."""

from __future__ import annotations

import asyncio
import io
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from framework import registry
from framework.colours import overlay
from framework.data.questions.words import what_and_where, yes_or_no
from framework.errors import UserError
from framework.tasks.asking import Asker
from framework.tasks.showing import is_scan, viewer
from framework.tasks.subject import Subject, elements, shown
from framework.types import Sample

MOST = 16  # talks at a time; the one idle longest makes room
IDLE_S = 3600
SHOWN = 1024  # pixels, longest side of a picture in the browser


class Talk:
    """One file, encoded once, and what was said about it. Holds nothing on disk.

    Args:
        asker: the model.
        name: of the file, as the visitor calls it.
        domain: that read it.
        sample: of its reader.
        scene: that a browser turns, or None.

    Attributes:
        viewer: page of the scene in the colours of the scores, or None; its scripts carry ``nonce``.
        pictures: of each view that the model was shown, under "view" and "map", as PNG.
        answering: the turn whose answer is on its way; None where there is none.
    """

    def __init__(
        self, asker: Asker, name: str, domain: str, sample: Sample, scene: dict[str, np.ndarray] | None = None
    ) -> None:
        self.subject = Subject(asker, domain, sample)
        seen, views = self.subject.seen, sample.views
        reader: Any = registry.get("domain", domain)
        self.pictures = [_pictures(views[i], seen.maps[i].cpu().numpy()) for i in seen.shown]
        self.viewer, self.nonce = None, secrets.token_urlsafe(16)
        if scene is not None:
            start = int(seen.logits.argmax())
            self.viewer = viewer(reader, sample, scene, elements(seen, sample), name, start=start, nonce=self.nonce)
        self.answering: Turn | None = None
        element = reader.element
        several = len(seen.shown) > 1
        self.told: dict[str, Any] = {
            "name": name,
            "domain": domain,
            "score": seen.score,
            "adverb": seen.adverb,
            "of": len(views),
            "shown": seen.shown,
            "views": shown(seen, sample),
            "viewer": self.viewer is not None,
            "sliced": scene is not None and is_scan(scene),
            "warnings": sample.warnings,
            "questions": [yes_or_no(element, several), what_and_where(element, several)],
        }
        self.subject.seen, sample.views = replace(seen, maps=[]), views[:0].copy()  # pictures do, and fit in memory
        sample.owner = sample.place = sample.weight = sample.stand_in = sample.back = None

    def ask(self, question: str, stream: Callable[[str], None], stopped: Callable[[], bool] | None = None) -> None:
        """Answer piece by piece, until ``stopped()``; what was said before is remembered.

        Raises:
            UserError: the talk no longer fits into the model's context, or the question holds a control token.
        """
        for token in self.subject.asker.chat.special:  # here, as a first question gets picture tokens put in front
            if token in question:
                raise UserError(f"the question holds the control token {token}. Take it out.")
        self.subject.ask(question, stream=stream, stopped=stopped)


class Turn:
    """A question and its answer, which can be stopped.

    Args:
        talk: that it belongs to.
        question: what is asked.
        tell: called with each piece of the answer, and with "" for every token.

    Attributes:
        answer: done when ``take``, which waits for its turn, has returned.
        stopped: whether it was to stop.
    """

    def __init__(self, talk: Talk, question: str, tell: Callable[[str], None]) -> None:
        self.talk, self.question, self.tell = talk, question, tell
        self.answer: asyncio.Future[None] | None = None
        self.begun = self.stopped = False

    def take(self) -> None:
        """Answer. Raises UserError as ``Talk.ask``."""
        self.begun = True
        if not self.stopped:
            self.talk.ask(self.question, self.tell, self._is_over)

    def stop(self) -> None:
        """End it with the word that is being made; at once where it still waits."""
        self.stopped = True
        if not self.begun and self.answer is not None:
            self.answer.cancel()

    def _is_over(self) -> bool:
        self.tell("")  # which raises where nobody is left to tell
        return self.stopped


class Talks:
    """Every talk under a secret that only its visitor has. One that nobody used for an hour is forgotten."""

    def __init__(self) -> None:
        self._talks: dict[str, tuple[float, Talk]] = {}  # when last used; in that order

    def add(self, talk: Talk) -> str:
        """Returns its secret."""
        while len(self._talks) >= MOST:
            del self._talks[next(iter(self._talks))]
        secret = secrets.token_urlsafe(32)
        self._talks[secret] = time.monotonic(), talk
        return secret

    def get(self, secret: str) -> Talk | None:
        """The talk, which counts as used now."""
        _, talk = self._talks.pop(secret, (0, None))
        if talk is not None:
            self._talks[secret] = time.monotonic(), talk
        return talk

    def forget(self, secret: str) -> None:
        """Whether or not there is one."""
        self._talks.pop(secret, None)

    def forget_idle(self) -> None:
        """Those that were not used for an hour."""
        oldest = time.monotonic() - IDLE_S
        self._talks = {secret: kept for secret, kept in self._talks.items() if kept[0] > oldest}


def _pictures(view: np.ndarray, scores: np.ndarray) -> dict[str, bytes]:
    """The view ``(3, H, W)`` uint8 and its map over it ``(H, W)`` in [0, 1], made small enough for a browser."""
    picture, values = Image.fromarray(view.transpose(1, 2, 0)), Image.fromarray(scores)
    picture.thumbnail((SHOWN, SHOWN))
    small = np.asarray(values.resize(picture.size, Image.Resampling.BOX))
    return {"view": _png(picture), "map": _png(Image.fromarray(overlay(np.asarray(picture), small)))}


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
