"""Messages -> the reply of a chat model at an OpenAI-compatible endpoint; tries again what may pass. Loads no torch.

The client is httpx2, which huggingface_hub brings along: one POST needs none of what the openai package adds (27 MB,
1.2 s to import, and retries that say nothing of why they gave up).
"""

from __future__ import annotations

import json
import os
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from framework.errors import UserError
from framework.models.backbones.sources import one_line

if TYPE_CHECKING:
    import httpx2

URL, KEY, MODEL = "ANOMALY_OV_JUDGE_URL", "ANOMALY_OV_JUDGE_KEY", "ANOMALY_OV_JUDGE_MODEL"
PASSING = frozenset({408, 409, 425, 429, *range(500, 600)})  # statuses that another try may not meet
ADVICE = {401: f"Check {KEY}.", 403: f"Check {KEY} and what it may use.", 404: f"Check {URL} and {MODEL}."}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a chat model answers, and how patient to be.

    Attributes:
        url: base, as ``http://localhost:8000/v1``; ``/chat/completions`` is added.
        model: its name there.
        key: sent as a bearer token; empty sends none, as local servers want. Never shown.
        timeout_s: to connect, and for each silence of the server.
        attempts: of one request, the first included.
        backoff_s: wait before the second attempt; doubles each time, less up to a half at random.
        longest_s: longest wait, also where the server asks for a longer one.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    attempts: int = 6
    backoff_s: float = 1.0
    longest_s: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.timeout_s <= 0 or min(self.backoff_s, self.longest_s) < 0:
            raise UserError(f"judge: attempts and timeout_s must be positive, waits 0 or more, is {self}.")


def find_endpoint(
    url: str | None = None, model: str | None = None, key: str | None = None, **patience: Any
) -> Endpoint:
    """An endpoint from arguments, or from the environment what is None.

    Args:
        url: else ``$ANOMALY_OV_JUDGE_URL``.
        model: else ``$ANOMALY_OV_JUDGE_MODEL``.
        key: else ``$ANOMALY_OV_JUDGE_KEY``, else none.
        patience: further fields of ``Endpoint``.

    Raises:
        UserError: no address or no model, or an address that is none.
    """
    given = {URL: url, MODEL: model, KEY: key}
    found = {name: (os.environ.get(name, "") if value is None else value).strip() for name, value in given.items()}
    for name, what in ((URL, "address, for example http://localhost:8000/v1"), (MODEL, "model name there")):
        if not found[name]:
            raise UserError(f"judge: {name} is not set. Set it to an OpenAI-compatible endpoint's {what}.")
    if not found[URL].startswith(("http://", "https://")) or not found[URL].partition("://")[2].strip("/"):
        raise UserError(f"judge: {found[URL]!r} is no address. Write {URL} as http://localhost:8000/v1.")
    if not found[KEY].isascii() or not found[KEY].isprintable():
        raise UserError(f"judge: {KEY} holds characters that no key has. Set it to the key alone.")
    base = found[URL].rstrip("/").removesuffix("/chat/completions")
    return Endpoint(base, found[MODEL], found[KEY], **patience)


class Chat:
    """One connection pool to an endpoint, shared by threads. ``stop`` ends all waiting."""

    def __init__(self, endpoint: Endpoint) -> None:
        import httpx2

        self.endpoint, self.stopped = endpoint, threading.Event()
        headers = {"Content-Type": "application/json"}
        if endpoint.key:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        try:
            self._client = httpx2.Client(headers=headers, timeout=endpoint.timeout_s)
            self._address = httpx2.URL(f"{endpoint.url}/chat/completions")
        except (httpx2.InvalidURL, ValueError) as error:  # also of a proxy that the environment names
            raise UserError(f"judge: {endpoint.url}: no address to ask ({one_line(error)}). Check {URL}.") from None

    def ask(self, messages: list[dict[str, str]], seed: int) -> str:
        """The text of the reply, at temperature 0; "" where the model said nothing.

        Args:
            messages: of the conversation, ``{"role": ..., "content": ...}``.
            seed: passed on; servers honour it as they can.

        Raises:
            UserError: refused, or still no reply after the last attempt; says what the last one met.
        """
        body = {"model": self.endpoint.model, "messages": messages, "temperature": 0, "seed": seed}
        for attempt in range(1, self.endpoint.attempts + 1):
            reply, trouble, wait_s = self._attempt(body)
            if reply is not None:
                return reply
            if attempt < self.endpoint.attempts:
                self._wait(attempt, wait_s, trouble)
        raise UserError(
            f"judge: {self.endpoint.url}: {trouble}, {self.endpoint.attempts} times in a row. "
            "Replies so far are kept: run again when it answers."
        )

    def stop(self) -> None:
        """No request begins after this, and none is waited for."""
        self.stopped.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _attempt(self, body: dict[str, Any]) -> tuple[str | None, str, float]:
        """The reply, or None with what came instead and how long the server asks to wait."""
        import httpx2

        self._check_stopped()
        try:
            response = self._client.post(self._address, content=json.dumps(body))  # ASCII, so any text goes
        except httpx2.TimeoutException:
            return None, f"no answer within {self.endpoint.timeout_s:g} s", 0.0
        except httpx2.RequestError as error:
            return None, f"no connection ({one_line(error)})", 0.0
        if response.is_success:
            reply = _content(response)
            return reply, "an answer that is no chat completion", 0.0
        said = f"HTTP {response.status_code} ({_complaint(response)})"
        if response.status_code not in PASSING:
            advice = ADVICE.get(response.status_code, f"Check {URL} and what {self.endpoint.model!r} allows.")
            raise UserError(f"judge: {self.endpoint.url}: {said}. {advice}")
        return None, said, _retry_after_s(response)

    def _wait(self, attempt: int, asked_s: float, trouble: str) -> None:
        if asked_s > self.endpoint.longest_s:
            raise UserError(
                f"judge: {self.endpoint.url}: {trouble}, and asks to wait {asked_s:.0f} s. "
                "Replies so far are kept: run again then."
            )
        own_s = min(self.endpoint.longest_s, self.endpoint.backoff_s * 2 ** (attempt - 1)) * random.uniform(0.5, 1)
        self.stopped.wait(max(asked_s, own_s))
        self._check_stopped()

    def _check_stopped(self) -> None:
        if self.stopped.is_set():
            raise UserError("judge: stopped.")


def _content(response: httpx2.Response) -> str | None:
    """The text of a chat completion; None for anything else."""
    try:
        content = response.json()["choices"][0]["message"].get("content")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return content if isinstance(content, str) else "" if content is None else None


def _complaint(response: httpx2.Response) -> str:
    """What a server says of an error, on one line."""
    try:
        found = response.json()["error"]
        said = found if isinstance(found, str) else found["message"]
    except (ValueError, KeyError, TypeError):
        said = response.text
    return " ".join(str(said).split())[:200] or response.reason_phrase


def _retry_after_s(response: httpx2.Response) -> float:
    """Seconds of a Retry-After header, which is a number or a date; 0 without one."""
    said = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
