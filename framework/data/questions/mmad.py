"""The file of MMAD -> one item a multiple-choice question, worded as the published run for LLaVA models words it.

Source: jam-cc/MMAD, ``evaluation/examples/LLaVA_Query/llava_query.py`` (``get_query``) with the instruction of
``evaluation/examples/GPT4/gpt4v.py``; Jiang et al., ICLR 2025. One difference: that script shuffles the options without
a seed; here they keep the order of the file, as in ``gpt4v.py``, so that two runs ask the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framework.data.questions.items import Item
from framework.data.questions.reading import check_pictures, read_json, texts, value
from framework.errors import UserError
from framework.registry import unknown

INSTRUCTION = (
    "\nYou are an industrial inspector who checks products by images. You should judge whether there is a defect in "
    "the query image and answer the questions about it.\n"
    "Answer with the option's letter from the given choices directly.\n"
)
KNOWLEDGE = (
    "Following is the domain knowledge which contains some type of defect and the normal object characteristics: \n "
)
DETECTION = "Anomaly Detection"
SUBTASKS = {  # type in the file: subtask that it counts to, ``evaluation/examples/helper/summary.py``
    DETECTION: DETECTION,
    "Defect Classification": "Defect Classification",
    "Defect Localization": "Defect Localization",
    "Defect Description": "Defect Description",
    "Defect Analysis": "Defect Analysis",
    "Object Classification": "Object Classification",
    "Object Analysis": "Object Analysis",
    "Object Structure": "Object Analysis",
    "Object Details": "Object Analysis",
}
NORMAL = "good"  # a picture with this in its path is normal, ``summary.py``

MOST = 5  # options of a question


def questions(path: Path, images: Path, templates: int = 0, knowledge: Path | None = None) -> list[Item]:
    """The questions of ``mmad.json``, in its order.

    Layout: ``{"<dataset>/<category>/...": {"conversation": [{"Question", "Answer", "Options": {"A": ...}, "type"}],
    "random_templates": [...]}}``. The label is known for the questions of detection only.

    Args:
        path: the file.
        images: the folder that its picture paths start from.
        templates: 0 shows the picture alone; 1 shows the first of ``random_templates`` before it, as published.
        knowledge: ``domain_knowledge.json``, to put what it says of the category into each question; None leaves it.

    Raises:
        UserError: a missing file or picture, an entry that is not as above, an unknown type of question, no template,
            or a category without knowledge; each is named.
        UnreadableError: a file is not JSON.
    """
    if templates not in (0, 1):
        raise UserError(f"templates: the published runs show 0 or 1, not {templates}.")
    content = read_json(path)
    if not isinstance(content, dict) or not content:
        raise UserError(f'{path}: expected an object {{"<dataset>/<category>/...": ...}}. Name mmad.json.')
    known = None if knowledge is None else read_json(knowledge)
    found: list[Item] = []
    for image, entry in content.items():
        place = f"{path}, {image!r}"
        dataset, category = _parts(image, place)
        if not isinstance(entry, dict) or not isinstance(entry.get("conversation"), list):
            raise UserError(f"{place}: needs 'conversation', a list of questions.")
        shown = texts(entry, "random_templates", place)[:1] if templates else ()
        before = _context(len(shown), "" if knowledge is None else _knowledge(known, knowledge, dataset, category))
        pictures = tuple(images / name for name in (*shown, image))
        for number, question in enumerate(entry["conversation"], 1):
            where = f"{place}, question {number}"
            text, options, letter, subtask = _question(question, where)
            label = NORMAL not in image if subtask == DETECTION else None
            name = f"{image}#{number}"
            found.append(Item(name, pictures, (before + text,), (letter,), category, label, subtask, dataset, options))
    check_pictures(found, path, images)
    return found


def _question(entry: Any, place: str) -> tuple[str, tuple[tuple[str, str], ...], str, str]:
    """Its text with the options, the options, the right letter, and the subtask it counts to."""
    if not isinstance(entry, dict):
        raise UserError(f"{place}: expected an object.")
    asked, answer = value(entry, "Question", str, place), value(entry, "Answer", str, place)
    kind, given = value(entry, "type", str, place), value(entry, "Options", dict, place)
    if kind not in SUBTASKS:
        raise UserError(f"{place}: {unknown('type of question', kind, list(SUBTASKS))}")
    if answer not in given:
        raise UserError(f"{place}: its answer {answer!r} is none of its options {', '.join(given)}.")
    if len(given) > MOST:
        raise UserError(f"{place}: {len(given)} options; its scorer knows the letters A to E.")
    letters = {key: chr(ord("A") + i) for i, key in enumerate(given)}  # published: by place, whatever the key
    options = tuple((letters[key], value(given, key, str, f"{place}, options")) for key in given)
    text = f"{asked} \n" + "".join(f"{letter}. {option}\n" for letter, option in options)
    return text, options, letters[answer], SUBTASKS[kind]


def _context(templates: int, knowledge: str) -> str:
    """What the published prompt says before a question."""
    normal = f"Following is {templates} image of normal sample:" + "<image>\n" * templates if templates else ""
    told = KNOWLEDGE + knowledge if knowledge else ""
    return f"{INSTRUCTION}\n{told}{normal}Test image: \n<image>\nFollowing is new question list: \n"


def _knowledge(known: Any, path: Path, dataset: str, category: str) -> str:
    """Every text on the category, one a line, normal and defective."""
    name = dataset.replace("DS-MVTec", "MVTec")
    place = f"{path}, {name}/{category}"
    try:
        entry = known[name][category]
        return "\n".join(value(entry, kind, str, place) for kind in entry)
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{place}: nothing is told of this category. Name domain_knowledge.json.") from None


def _parts(image: str, place: str) -> tuple[str, str]:
    parts = image.split("/")
    if len(parts) < 3:
        raise UserError(f'{place}: expected a picture path "<dataset>/<category>/...".')
    return parts[0], parts[1]
