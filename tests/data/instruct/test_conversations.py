"""Published instruction data: where pictures stand in questions, and the line for every entry that is no good."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from framework.data.instruct.conversations import Conversation, load
from framework.errors import UserError


def entry(*texts, image="a.png", roles=("human", "gpt"), **more):
    turns = [{"from": roles[i % 2], "value": text} for i, text in enumerate(texts)]
    return {"image": image, "conversations": turns, **more}


def write(root, *entries, pictures=("a.png", "b.png")):
    for name in pictures:
        (root / name).touch()
    path = root / "x.json"
    path.write_text(json.dumps(entries))
    return path


def questions(root, *texts, image="a.png"):
    (found,) = load(write(root, entry(*texts, image=image)), root)
    return [question for question, _ in found.turns]


def mistake(root, *entries, **options):
    path = write(root, *entries, **options)
    with pytest.raises(UserError) as error:
        load(path, root)
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(path), "IT").replace(f"{root}/", "")


def test_an_entry_becomes_a_conversation(tmp_path):
    first = entry("<image>\nAny defect?", "Yes", "Why?", " A dent. ", id=7, metadata={"anomaly": True, "mask": "m.png"})
    second = entry("<image>\nAny?", "No", image=["b.png"], roles=("user", "assistant"))
    path = write(tmp_path, first, second)
    assert load(path, tmp_path) == [
        Conversation(
            "7",
            (tmp_path / "a.png",),
            (("<image>\nAny defect?", "Yes"), ("Why?", " A dent. ")),
            True,
            f"{path}, entry 1",
        ),
        Conversation(f"{path}, entry 2", (tmp_path / "b.png",), (("<image>\nAny?", "No"),), None, f"{path}, entry 2"),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("<image>\nWhat?", "<image>\nWhat?"),
        ("<image> What?", "<image> What?"),  # at the front already: left as it is
        ("What?\n<image>", "<image>\nWhat?"),
        ("In <image> what?", "<image>\nIn  what?"),  # as the published code leaves it
        (" <image>", "<image>"),
        ("What?", "<image>\nWhat?"),
    ],
)
def test_the_placeholder_of_one_picture_goes_to_the_front(tmp_path, given, expected):
    assert questions(tmp_path, given, "A dent.", "Sure?", "Yes") == [expected, "Sure?"]


def test_a_placeholder_in_a_later_question_goes_to_the_front_of_that(tmp_path):
    assert questions(tmp_path, "Hello", "Hi", "See <image>", "Yes") == ["Hello", "<image>\nSee"]


def test_placeholders_of_several_pictures_stay_or_go_first_where_there_are_none(tmp_path):
    both = ["a.png", "b.png"]
    given = "Compare <image> with <image>."
    assert questions(tmp_path, given, "Same.", "Sure?", "Yes", image=both) == [given, "Sure?"]
    assert questions(tmp_path, "Compare.", "Same.", "Sure?", "Yes", image=both) == [
        "<image>\n<image>\nCompare.",
        "Sure?",
    ]
    assert questions(tmp_path, "See <image>", "Ok", "And <image>", "Ok", image=both) == ["<image>\nSee", "<image>\nAnd"]


def test_pictures_may_lie_outside_the_folder_of_images(tmp_path):
    (tmp_path / "images").mkdir()
    path = write(tmp_path, entry("?", "!", image="../a.png"), entry("?", "!", image=str(tmp_path / "b.png")))
    first, second = load(path, tmp_path / "images")
    assert first.images[0].is_file() and second.images == (tmp_path / "b.png",)


def test_a_list_is_loaded_by_its_strategies_and_seed(tmp_path):
    write(tmp_path, *(entry("?", "!", id=i) for i in range(40)))
    (tmp_path / "l.yaml").write_text("datasets:\n- {json_path: x.json, sampling_strategy: 'random:25%'}\n")
    ids = [[c.id for c in load(tmp_path / "l.yaml", tmp_path, seed)] for seed in (0, 0, 1)]
    assert len(ids[0]) == 10 and ids[0] == ids[1] != ids[2]
    number = int(ids[0][0])
    assert load(tmp_path / "l.yaml", tmp_path)[0].origin == f"{tmp_path}/x.json, entry {number + 1}"


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("text", "expected an object with image and conversations, found str."),
        (entry("?", "!", image=5), "image is a path or a list of paths, not 5."),
        (entry("?", "!", image=["a.png", ""]), "image is a path or a list of paths, not ['a.png', '']."),
        ({"image": "a.png"}, "no conversations; expected a list of turns, human and gpt."),
        (entry(), "no conversations; expected a list of turns, human and gpt."),
        (entry("?"), "1 turns, so the last question has no answer."),
        (entry("?", "!", "?"), "3 turns, so the last question has no answer."),
        (entry("<image><image>", "!"), "2 <image> for 1 image; write one for each."),
        (entry("<image>", "!", image=["a.png", "b.png"]), "1 <image> for 2 images; write one for each."),
        (entry("?", "!", metadata={"anomaly": "yes"}), "anomaly in metadata is true or false, not 'yes'."),
    ],
)
def test_an_entry_that_is_no_good_is_named(tmp_path, broken, line):
    assert mistake(tmp_path, entry("?", "!"), broken) == f"IT, entry 2: {line}"


@pytest.mark.parametrize(
    ("turns", "line"),
    [
        (["?"], 'turn 1: expected {"from": "human" or "gpt", "value": a text}.'),
        ([{"from": "human"}], 'turn 1: expected {"from": "human" or "gpt", "value": a text}.'),
        ([{"from": ["human"], "value": "?"}], 'turn 1: expected {"from": "human" or "gpt", "value": a text}.'),
        (
            [{"from": "humann", "value": "?"}],
            "turn 1: no role called 'humann'. Did you mean 'human'? Known: assistant, gpt, human, user.",
        ),
        (
            [{"from": "system", "value": "Be brief."}],
            "turn 1: the system text is fixed. Move this one into the first question, or take it out.",
        ),
        ([{"from": "gpt", "value": "!"}], "turn 1: gpt speaks out of turn. Turns alternate, human first, gpt second."),
        (
            [{"from": "human", "value": "?"}, {"from": "user", "value": "?"}],
            "turn 2: user speaks out of turn. Turns alternate, human first, gpt second.",
        ),
        ([{"from": "human", "value": " "}], "turn 1: the question is empty."),
        ([{"from": "human", "value": "?"}, {"from": "gpt", "value": "\n"}], "turn 2: the answer is empty."),
        (
            [{"from": "human", "value": "?"}, {"from": "gpt", "value": "<image>"}],
            "turn 2: an answer holds <image>; pictures stand in questions only.",
        ),
    ],
)
def test_a_turn_that_is_no_good_is_named(tmp_path, turns, line):
    assert mistake(tmp_path, {"image": "a.png", "conversations": turns}) == f"IT, entry 1, {line}"


def test_entries_without_a_picture_are_counted(tmp_path):
    text = {"conversations": entry("?", "!")["conversations"]}
    assert mistake(tmp_path, entry("?", "!"), text, entry("?", "!", image=[]), entry("?", "!", image=None)) == (
        "IT, entry 2: no image; 3 of 4 entries have none. Every conversation is about a picture: take them out."
    )


def test_missing_pictures_are_counted_and_the_first_is_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    gone = [entry("?", "!", image=["a.png", name]) for name in ("c.png", "c.png", "folder.png")]
    assert mistake(tmp_path, entry("?", "!"), *gone) == (
        "IT, entry 2: no picture c.png; 2 of 3 pictures are missing. Paths start from the folder of images."
    )


def test_nothing_heavy_is_loaded():
    code = (
        "import sys; import framework.data.instruct.conversations, framework.data.instruct.writing;"
        "assert not {'torch', 'lightning', 'open3d', 'monai', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
