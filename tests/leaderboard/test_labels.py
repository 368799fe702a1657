"""What the lines of a table are called."""

from fake_rows import row

from framework.leaderboard.labels import labels
from framework.leaderboard.rows import CONTROL, NOTHING


def named(*rows):
    return list(labels(list(rows)).values())


def test_one_method_is_called_by_what_it_was_trained_on():
    assert named(row(), row(trained_on="cups", experiment="other"), row(trained_on=NOTHING)) == [
        "parts",
        "cups",
        NOTHING,
    ]


def test_every_line_of_several_methods_says_which_it_is():
    models = ("look_twice, base crops, views top3", "musc, base crops, views top3")
    rows = [row(model=models[0]), row(trained_on=NOTHING, model=models[1]), row(model=CONTROL + "size")]
    assert named(*rows) == ["parts · look_twice", f"{NOTHING} · musc", CONTROL + "size"]
    assert named(row(), row(trained_on="cups", backbone="siglip", model="other")) == [
        "parts · look_twice",
        "cups · other",
    ]
    assert named(row(), row(backbone="siglip"), row(trained_on="cups")) == [
        "parts · embedded",
        "parts · siglip",
        "cups · embedded",
    ]


def test_a_model_is_called_by_the_first_parts_that_tell_it_from_the_others():
    def models(*names):
        return [name.removeprefix("parts · ") for name in named(*(row(model=name) for name in names))]

    assert models("a, anyres crops, mean", "b, base crops, mean") == ["a", "b"]
    assert models("a, anyres crops, mean", "a, base crops, mean") == ["anyres crops", "base crops"]
    assert models("a, x, mean", "a, y, mean", "b, x, mean") == ["a, x", "a, y", "b, x"]
    assert models("a, x", "b") == ["a", "b"]
    assert models("a, x", "a") == ["a, x", "a"]  # one has no part of its own


def test_an_experiment_is_named_where_nothing_else_tells_two_methods_apart():
    rows = [row(experiment="warm"), row(experiment="cold"), row(trained_on="cups", experiment="hot")]
    assert named(*rows) == ["parts · warm", "parts · cold", "cups"]
