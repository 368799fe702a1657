"""Which stage a YAML file says it belongs to; how keys and overrides are read is told with the schemas."""

import pytest

from framework import reading
from framework.errors import UserError


@pytest.mark.parametrize(("content", "stage"), [("name: x\n", 1), ("stage: 1\n", 1), ("include: b.yaml\n", 2)])
def test_a_file_says_which_stage_it_belongs_to(tmp_path, content, stage):
    (tmp_path / "b.yaml").write_text("stage: 2\n")
    (tmp_path / "x.yaml").write_text(content)
    assert reading.stage(tmp_path / "x.yaml") == stage


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stage: 3\n", "stage: 3 is neither 1 (train the expert) nor 2 (tune the language model)."),
        ("tune: {at_once: 1}\n", "stage: tune belongs to stage 2. Add the line `stage: 2`."),
        ("model: {path: models/a}\n", "stage: model.path belongs to stage 2. Add the line `stage: 2`."),
        ("stage: two\n", "stage: 'two' is neither 1 (train the expert) nor 2 (tune the language model)."),
        ("stage: ${nope}\n", "stage: ${nope}: there is no such key."),
    ],
)
def test_another_stage_is_refused(tmp_path, content, message):
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(UserError) as error:
        reading.stage(tmp_path / "x.yaml")
    assert str(error.value) == f"{tmp_path / 'x.yaml'}: {message}"
