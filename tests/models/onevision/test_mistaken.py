"""What was given as a language model and is none: the line says what it is and what to do."""

import pytest
from PIL import Image
from torch import nn

from framework.cli import main
from framework.config import ModelConfig
from framework.errors import UserError
from framework.models import trained
from framework.models.onevision import mistaken, tuned


def expert(path, name):
    config = ModelConfig()
    config.expert.name = name
    card = trained.describe(config, {"name": "siglip", "sha256": "0"}, [], {"experiment": "x"})
    trained.save(path, nn.Linear(1, 1), card)
    return path


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("nearest_normal", "Score files with `anomaly-ov predict --checkpoint {path} FILE`."),
        ("musc", "It scores whole sets: use `anomaly-ov test`."),
        ("of_a_plug_in", "Score files with `anomaly-ov predict --checkpoint {path} FILE`."),
        (
            "look_twice",
            "Score files with `anomaly-ov predict --checkpoint {path} FILE`, or put it into a model with "
            "`anomaly-ov convert SOURCE OUT --expert {path}`.",
        ),
    ],
)
def test_an_expert_alone_is_called_by_its_name(tmp_path, name, advice):
    path = expert(tmp_path / "expert.ckpt", name)
    line = f"{path}: the expert '{name}' that `anomaly-ov fit` trained, without a language model to ask. "
    for given in (path, tmp_path):  # the file, or the folder of its run
        with pytest.raises(UserError) as error:
            tuned.load(given)
        assert str(error.value) == line + advice.format(path=path)


def test_the_folder_of_a_run_that_tuned_says_which_file(tmp_path):
    (tmp_path / "tuned.safetensors").touch()
    with pytest.raises(UserError, match=r"the folder of a run\. Give the model that it tuned, .*/tuned\.safetensors\."):
        tuned.load(tmp_path)


def test_of_anything_else_nothing_is_said(tmp_path):
    (tmp_path / "text").write_text("text")
    assert mistaken.told(tmp_path) == mistaken.told(tmp_path / "text") == mistaken.told(tmp_path / "gone") == ""


@pytest.mark.parametrize("arguments", [["serve", "--port", "0"], ["ask", "FILE"]])
def test_ask_and_serve_say_it_in_one_line(tmp_path, capsys, arguments):
    path = expert(tmp_path / "expert.ckpt", "nearest_normal")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    given = [str(tmp_path / "a.png") if a == "FILE" else a for a in arguments]
    assert main([given[0], "--checkpoint", str(path), *given[1:]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"anomaly-ov: {path}: the expert 'nearest_normal' that")
