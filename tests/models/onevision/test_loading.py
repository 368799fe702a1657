"""A model folder loads whole, or one line says why not; a small one is built the same each time."""

import json
import shutil

import fake_language
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.experts import embedded
from framework.models.onevision import loading, small
from framework.models.onevision.configuration import LEVELS, THRESHOLDS, AnomalyOVConfig
from framework.models.onevision.modeling import AnomalyOV


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "model")


def mistake(action, root, *args, **options):
    with pytest.raises(UserError) as error:
        action(*args, **options)
    assert "\n" not in str(error.value)
    return str(error.value).replace(f"{root}/", "")


def edit(folder, **changes):
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))


def weights(folder, change):
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def test_no_folder(tmp_path):
    line = mistake(loading.load, tmp_path, tmp_path / "none")
    assert line == "none: no model folder. Make one with `anomaly-ov convert SOURCE none`."


def test_another_model(copied, tmp_path):
    edit(copied, model_type="llava_onevision")
    line = mistake(loading.load, tmp_path, copied)
    assert line == "model: a 'llava_onevision', not yet an Anomaly-OV. Run `anomaly-ov convert model OUT` first."


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda w: {k: v for k, v in w.items() if "newline" not in k}, "1 missing keys, model.image_newline first"),
        (lambda w: w | {"model.other": torch.ones(1)}, "1 unexpected keys, model.other first"),
    ],
)
def test_a_tensor_that_is_missing_or_too_many(change, line, copied, tmp_path):
    weights(copied, change)
    assert mistake(loading.load, tmp_path, copied) == f"model: {line}. Convert it again."


def test_an_expert_that_a_file_lacks_is_random_and_not_whatever_memory_holds(copied):
    weights(copied, lambda w: {k: v for k, v in w.items() if "_embedding" not in k})
    expert = AnomalyOV.from_pretrained(copied).model.anomaly_expert
    for embedding in (expert.positive_embedding, expert.negative_embedding):
        assert abs(embedding.mean()) < 0.4 and 0.7 < embedding.std() < 1.3


def test_a_tensor_of_another_shape(copied, tmp_path):
    weights(copied, lambda w: w | {"image_newline": torch.ones(5)})
    wrong = "('model.image_newline', torch.Size([5]), torch.Size([64]))"
    assert mistake(loading.load, tmp_path, copied) == f"model: 1 mismatched keys, {wrong} first. Convert it again."


def test_damaged_files(copied, tmp_path):
    file = copied / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert mistake(loading.load, tmp_path, copied).startswith("model: cannot be loaded (")
    file.unlink()
    assert mistake(loading.load, tmp_path, copied).startswith("model: cannot be loaded (")
    (copied / "config.json").write_text("[]")
    assert mistake(loading.load, tmp_path, copied) == "model/config.json: holds a JSON list, not an object."


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"image_grid_pinpoints": [[160, 160], [160, 320]]},
            "model: image_grid_pinpoints are not all canvases of 1 to n tiles of 160 pixels a side, so pictures would "
            "be cut otherwise than the model was trained.",
        ),
        ({"prefix_token_ids": [[1], [2], [3, 4]]}, "model: prefix_token_ids must be 3 lists of one length."),
        ({"prefix_token_ids": [[1], [2]]}, "model: prefix_token_ids must be 3 lists of one length."),
        ({"expert_arithmetic": "fast"}, "model: expert_arithmetic='fast'; write safe or published."),
        (
            {"vision_aspect_ratio": "anyres_max_4"},
            "model: vision_aspect_ratio='anyres_max_4'; the model works with 'anyres_max_9' only.",
        ),
        ({"vision_feature_layer": -2}, "model: vision_feature_layer=-2; the model works with -1 only."),
        ({"level_layers": [2, 3, 5, 8]}, "model: level_layers=[2, 3, 5, 8]; the tower has hidden states 1 to 7."),
        ({"prefix_thresholds": [0.7, 0.3]}, "model: prefix_thresholds=[0.7, 0.3]; write two scores, the lower first."),
        ({"prefix_thresholds": [0.3]}, "model: prefix_thresholds=[0.3]; write two scores, the lower first."),
    ],
)
def test_a_config_that_our_layout_does_not_fit(changes, line, copied, tmp_path):
    edit(copied, **changes)
    assert mistake(loading.load, tmp_path, copied) == line


@pytest.mark.parametrize(
    "change", [{"prefix_thresholds": "high"}, {"level_layers": [1, "a"]}, {"expert_arithmetic": 3}]
)
def test_a_config_of_the_wrong_kind(change, copied, tmp_path):
    edit(copied, **change)
    line = mistake(loading.load, tmp_path, copied)
    assert line.startswith("model/config.json: not a valid config (Validation error for field '")


def test_a_tower_config_of_the_wrong_kind(copied, tmp_path):
    known = json.loads((copied / "config.json").read_text())["vision_config"]
    edit(copied, vision_config=known | {"patch_size": "large"})
    line = mistake(loading.load, tmp_path, copied)
    assert line.startswith("model/config.json: not a valid config (Validation error for field 'patch_size'")


def test_without_a_tokenizer(copied, tmp_path):
    for file in copied.glob("tokenizer*"):
        file.unlink()
    assert mistake(loading.load, tmp_path, copied).startswith("model: holds no tokenizer that can be read (")


def test_a_loaded_model_is_ready(loaded):
    model, chat = loaded
    assert not model.training and model.device.type == "cpu" and chat.layout.prefix == 6


def test_the_published_settings_are_the_defaults():
    config = AnomalyOVConfig()
    assert config.level_layers == LEVELS == [7, 13, 19, 25] and config.prefix_thresholds == THRESHOLDS == [0.3, 0.7]
    config.level_layers.append(1)
    assert AnomalyOVConfig().level_layers == [7, 13, 19, 25]


def test_a_small_model_is_the_same_each_time_and_no_other_random_number_moves(folder, tmp_path):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    assert small.build(tmp_path / "again", reversed(fake_language.TEXTS), canvas=6) == tmp_path / "again"
    assert torch.rand(1) == wanted
    first, again = (load_file(f / "model.safetensors") for f in (folder, tmp_path / "again"))
    assert_close(again, first, rtol=0, atol=0)
    assert (folder / "tokenizer.json").read_text() == (tmp_path / "again" / "tokenizer.json").read_text()
    other = load_file(small.build(tmp_path / "other", fake_language.TEXTS, seed=1, canvas=6) / "model.safetensors")
    differ = {key for key in first if not torch.equal(first[key], other[key])}
    assert "language_model.embed_tokens.weight" in differ
    assert not [key for key in differ if "anomaly_expert" in key or "vision_tower" in key]


def test_a_small_model_knows_its_words_and_spells_others(loaded):
    words = loaded[1].tokenizer
    assert len(words.tokenize("with moderately suspicious features: ")) == 6
    assert words.decode(words("Größe 漢字 😀", add_special_tokens=False)["input_ids"]) == "Größe 漢字 😀"


def test_a_small_model_takes_another_expert_or_says_why_not(folder, tmp_path):
    weights_ = {key: value.float() + 1 for key, value in load_file(embedded.weights()).items()}
    torch.save(weights_, tmp_path / "expert.pth")
    small.build(tmp_path / "out", ["a"], expert=tmp_path / "expert.pth")
    expert = loading.load(tmp_path / "out")[0].model.anomaly_expert
    assert_close(expert.state_dict(), weights_, rtol=0, atol=0)
    line = mistake(small.build, tmp_path, tmp_path / "out", ["a"])
    assert line == "out: is there already. Choose another folder, or remove it."
    del weights_["positive_embedding"]
    torch.save(weights_, tmp_path / "half.pth")
    line = mistake(small.build, tmp_path, tmp_path / "new", ["a"], expert=tmp_path / "half.pth")
    assert line.startswith("half.pth: not the weights of this expert, missing positive_embedding")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["expert.pth", "half.pth", "out"]
