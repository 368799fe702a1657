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
    assert named(row(), row(backbone="siglip"), row(trained_on="cups")) == [
        "parts · embedded",
        "parts · siglip",
        "cups · embedded",
    ]


def test_a_model_is_whole_where_its_parts_do_not_match():
    assert named(row(model="a, anyres crops"), row(model="b")) == ["parts · a, anyres crops", "parts · b"]
    assert named(row(model="a, base crops, mean"), row(model="b, anyres crops, mean")) == [
        "parts · a, base crops",
        "parts · b, anyres crops",
    ]


def test_an_experiment_is_named_where_nothing_else_tells_two_methods_apart():
    rows = [row(experiment="warm"), row(experiment="cold"), row(trained_on="cups", experiment="hot")]
    assert named(*rows) == ["parts · warm", "parts · cold", "cups"]
