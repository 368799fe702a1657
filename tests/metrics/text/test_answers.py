"""Which answer is read from what a model wrote: the published rules with their flaws, and the strict ones."""

import pytest

from framework.metrics.text.answers import anchored, choice, legacy_choice, substring

TEXTS = {"A": "Scratch", "B": "Bent wire", "C": "Defect of type A", "D": "No defect"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes", True),
        ("no, but yesterday's part had one", True),
        ("It is fine. Yes.", True),
        ("YES", False),
        ("No", False),
        ("", False),
    ],
)
def test_the_published_rule_looks_for_a_substring(text, expected):
    assert substring(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Yes",
            "yes.",
            "YES!",
            " \n yes",
            "'Yes'",
            '"Yes",',
            "“Yes”",
            "**Yes**, there is a scratch",
            "- yes",
            "> Yes",
        ),
        *(
            "Answer: Yes",
            "answer: yes",
            "**Answer:** yes",
            "A: Yes",
            "The answer is yes.",
            "Final answer - YES",
            "(yes)",
        ),
        *("<answer>Yes</answer>", r"\boxed{Yes}", "<think>No, wait.</think>\nYes", "Assistant: yes", "Yes, no doubt."),
        "Yes: no other part has this hole, or not that I know.",
    ],
)
def test_yes_as_the_first_word_is_a_yes(text):
    assert anchored(text) is True


@pytest.mark.parametrize(
    "text",
    [
        *(
            "No",
            "no.",
            "**No**, the part is clean",
            "A: No",
            "answer: no",
            "No defects.",
            "No there are none",
            "No\n3 parts",
        ),
        *("No, no scratch", "No, wait, yes", "`No`", "No, or not that I see"),
        "No - yes would be wrong",
    ],
)
def test_no_as_the_first_word_is_a_no(text):
    assert anchored(text) is False


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "...", "Maybe", "Not sure", "None", "Nothing to see", "Normal", "yesterday", "Yes/No", "yes or no"),
        *("No or yes", "Yes and no", "yes|no", "No way to tell", "No idea.", "No doubt, a scratch", "No. 3 is bent"),
        *("no-one knows", "yes-man", "There is a defect: yes", "I say no", "<think>Yes, there", "The answer", "Noyes"),
        *("No information is given", "A", "不"),
    ],
)
def test_what_begins_with_neither_is_no_answer(text):
    assert anchored(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[
            (text, "B")
            for text in ("B", "(B)", "B.", "B: scratch", "**B**", "b", "(b).", "B) bent", "Answer: B", "[B]")
        ],
        *[
            (t, "B")
            for t in ("The answer is B.", "Option B", "answer: b", r"$\boxed{B}$", "It is B, so B", "B scratch")
        ],
        *[(t, "A") for t in ("A", "A.", "A: scratch", "The answer is A because it is bent", "I choose A", "A) hole")],
        ("B: A scratch is seen", "B"),
        ("<think>A or C</think> D", "D"),
        ("Not A but B", "B"),
        *[(t, None) for t in ("It is not B.", "It isn't B", "A and B", "Neither B")],
        *[
            (t, None)
            for t in ("", "E", "A scratch", "A or B", "Neither A nor B", "B/C", "USB-C", "B-side", "ABC", "abc")
        ],
        *[
            (t, None)
            for t in ("I cannot tell", "b or so", "Answer: A scratch", "<think>B", "None of them", "D's and C")
        ],
    ],
)
def test_one_distinct_letter_is_a_choice(text, expected):
    assert choice(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scratch.", "A"),
        ("The answer is: bent  wire", "B"),
        ("B bent wire", "B"),
        ("C: Defect of type A", "C"),
        ("Answer: A scratch", "A"),
        ("D", "D"),
        ("no defects", None),
        ("wire", None),
    ],
)
def test_the_words_of_one_option_are_a_choice(text, expected):
    assert choice(text, TEXTS) == expected


def test_options_may_be_fewer_and_words_that_two_share_are_no_choice():
    assert choice("C", "AB") is None
    assert choice("yes", {"A": "Yes", "B": "No"}) == "A"
    assert choice("Yes.", {"A": "Yes", "B": "yes"}) is None
    assert choice("B", {"A": "Yes", "B": "yes"}) == "B"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("B", "B"), ("A or B", "B"), ("B. There is A scratch", "A"), ("(E)", "E"), ("b", None), ("F", None), ("", None)],
)
def test_the_published_parser_takes_the_last_letter(text, expected):
    assert legacy_choice(text) == expected


def test_the_published_parser_guesses_the_nearest_option():
    assert legacy_choice("a bent wire it is", TEXTS) == "B"
    assert legacy_choice("Sorry, no.", TEXTS) in TEXTS
    assert legacy_choice("It is A", TEXTS) == "A"
