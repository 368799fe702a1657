"""What a model wrote -> the yes/no or the letter it answers with, or None where it gives no answer.

``substring`` and ``legacy_choice`` are the published rules, kept to compare with published numbers: they find an answer
in nearly anything. ``anchored`` and ``choice`` are ours: they never guess, and what they cannot read shows as coverage.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)  # a thought cut short holds no answer
MARKUP = re.compile(r"</?[a-z][^<>]*>|\\[a-z]+|[*_`~#>{}$]", re.IGNORECASE)
INTRODUCTION = re.compile(
    r"\W*(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|response|option|choice)\b(?:\s+is\b)?\W*", re.IGNORECASE
)
FIRST = re.compile(r"\W*(?:(?:a|assistant)\s*:\W*)?(yes|no)\b(?![-'’]\w)(.*)", re.DOTALL | re.IGNORECASE)
BOTH = re.compile(r"\s*(?:/|\||\bor\b|\band\b)\s*(?:yes|no)\b", re.IGNORECASE)
NOT_NO = re.compile(r"\.? ?\d|\s+(?:answer|clue|comment|doubt|idea|information|one|way)\b", re.IGNORECASE)
BEGINS = re.compile(r"(?:\A|[.!?:\n])\W*\Z")
GOES_ON = re.compile(r"\s+(?!or\b|and\b|nor\b)[a-z]")
DENIED = re.compile(r"(?:\bnot|n['’]t|\bneither|\bnor)\s\W*\Z", re.IGNORECASE)
LEGACY_LETTER = re.compile(r"\b([A-E])\b")


def substring(text: str) -> bool:
    """Whether ``Yes`` or ``yes`` stands anywhere, also inside a word.

    Source: the official test_detection.py of Anomaly-OneVision. "No. Yesterday's part was fine" counts as anomalous.
    """
    return "Yes" in text or "yes" in text


def anchored(text: str) -> bool | None:
    """Yes or no as the first word, whatever its case, markup, quotes and an "Answer:" before it.

    The first word decides alone: "No, wait, yes" is a no. No answer are both at once ("yes or no", "Yes/No"), words
    that only begin so ("None", "Nothing", "yesterday"), and a "no" that is part of another saying: "no way to tell",
    "no idea", "no doubt", "No. 3". A thought between ``<think>`` tags is not the answer.

    Returns:
        True for yes, False for no, None for neither.
    """
    found = FIRST.match(_introduced(_plain(text)))
    if not found or BOTH.match(found[2]):
        return None
    yes = found[1].lower() == "yes"
    return None if not yes and NOT_NO.match(found[2]) else yes


def choice(text: str, options: str | Mapping[str, str] = "ABCD") -> str | None:
    """The one letter that a text answers a multiple-choice question with.

    A letter counts where it stands alone as a capital ("B", "(B)", "B: scratch", "The answer is B."), or in any case
    where it is all there is. An "A" that begins a sentence is the article ("A scratch"), and "not B" is no B. Two
    different letters are no answer. An option's own words, with or without its letter, are one where no other option
    has the same.

    Args:
        text: what the model wrote.
        options: the letters, as text ("ABCD") or as the keys of what each option says.

    Returns:
        One of the letters, or None.
    """
    said = _plain(text)
    words = _words(_introduced(said))
    alone = [letter for letter in options if words == letter.lower()]
    if isinstance(options, Mapping):
        alone += [o for o, says in options.items() if words in (_words(says), _words(f"{o} {says}"))]
    if alone:
        return alone[0] if len(set(alone)) == 1 else None
    found = set()
    for match in re.finditer(rf"(?<![-\w])[{re.escape(''.join(options))}](?![-\w])", said):
        before, after = said[: match.start()], said[match.end() :]
        article = match[0] == "A" and BEGINS.search(before) and GOES_ON.match(after)
        if not article and not DENIED.search(before):
            found.add(match[0])
    return found.pop() if len(found) == 1 else None


def legacy_choice(text: str, options: Mapping[str, str] | None = None) -> str | None:
    """The last capital A to E that stands alone, else the option that looks most like the text, however little.

    Source: ``parse_answer`` in evaluation/examples/GPT4/gpt4v.py of MMAD and its last item, as its scripts take it. So
    "B. There is A scratch" is an A, and with options even an apology gets a letter.

    Args:
        text: what the model wrote.
        options: letter -> what the option says; None where the script passes none, as for GPT-4.
    """
    if letters := LEGACY_LETTER.findall(text):
        return letters[-1]
    near = difflib.get_close_matches(text, list((options or {}).values()), n=1, cutoff=0.0)
    return next((letter for letter, says in (options or {}).items() if says in near), None)


def _plain(text: str) -> str:
    """The text without thoughts and markup."""
    return MARKUP.sub(" ", THOUGHT.sub(" ", text)).strip()


def _introduced(text: str) -> str:
    """What follows "The answer is" and its like, where the text begins so."""
    found = INTRODUCTION.match(text)
    return text[found.end() :] if found else text


def _words(text: str) -> str:
    """Words in lower case with one space between them, nothing else."""
    return " ".join(re.findall(r"\w+", text.lower()))
