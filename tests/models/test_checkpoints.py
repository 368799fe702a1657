"""A published expert file loads wholly or not at all, and the message says what is wrong with it."""

import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from framework.errors import UnreadableError, UserError
from framework.models.checkpoints import load_expert_weights
from framework.models.experts.look_twice import LookTwice


def small(width=6, patches=4, levels=2, embedding=5, seed=0):
    torch.manual_seed(seed)
    return LookTwice(width, patches, levels, embedding, descriptor=5, attention=3, hidden=7)


def weights(prefix="", **sizes):
    return {prefix + key: value.clone() for key, value in small(seed=1, **sizes).state_dict().items()}


def refusal(path, kind=UserError):
    """The one line that a user reads; the expert keeps its weights."""
    expert, before = small(), small().state_dict()
    with pytest.raises(kind) as caught:
        load_expert_weights(path, expert)
    assert all(torch.equal(value, before[key]) for key, value in expert.state_dict().items())
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def saved(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "prefix", ["", "module.", "anomaly_encoder.", "model.anomaly_encoder.", "expert.", "module.expert."]
)
@pytest.mark.parametrize("name", ["expert.pth", "expert.safetensors"])
def test_every_tensor_arrives_whatever_prefix_they_share(name, prefix, tmp_path):
    path, expert = tmp_path / name, small()
    (save_file if path.suffix == ".safetensors" else torch.save)(weights(prefix), path)
    load_expert_weights(path, expert)
    assert all(torch.equal(value, weights()[key]) for key, value in expert.state_dict().items())


def test_the_expert_keeps_its_dtype(tmp_path):
    expert = small().double()
    load_expert_weights(saved(tmp_path / "e.pth", {k: v.bfloat16() for k, v in weights().items()}), expert)
    assert expert.positive_embedding.dtype == torch.float64
    assert torch.equal(expert.positive_embedding, weights()["positive_embedding"].bfloat16().double())


def test_a_missing_key_is_named(tmp_path):
    content = weights()
    del content["q_former.key_proj.bias"]
    message = refusal(saved(tmp_path / "e.pth", content))
    assert "missing q_former.key_proj.bias, unexpected none" in message and "exactly its 24 tensors" in message


def test_only_the_first_few_of_many_keys_are_named(tmp_path):
    content = {key: value for key, value in weights().items() if "predictor" not in key} | {"optimizer": torch.zeros(1)}
    message = refusal(saved(tmp_path / "e.pth", content))
    assert "missing class_predictor.0.bias, class_predictor.0.weight, class_predictor.2.bias and 5 more" in message
    assert "unexpected optimizer." in message


def test_a_prefix_on_some_keys_only_is_not_stripped(tmp_path):
    content = weights() | {"module.positive_embedding": torch.zeros(1, 5)}
    assert "unexpected module.positive_embedding" in refusal(saved(tmp_path / "e.pth", content))


def test_a_whole_model_is_refused(tmp_path):
    content = weights("anomaly_encoder.") | {"model.image_newline": torch.zeros(4)}
    assert "unexpected anomaly_encoder." in refusal(saved(tmp_path / "e.pth", content))


@pytest.mark.parametrize(
    ("sizes", "built"),
    [
        ({"width": 9, "patches": 16}, "width 9, 16 patches and 2 levels"),
        ({"levels": 4}, "width 6, 4 patches and 4 levels"),
    ],
)
def test_weights_for_another_backbone_say_for_which(sizes, built, tmp_path):
    message = refusal(saved(tmp_path / "e.pth", weights(**sizes)))
    assert message.startswith(f"built for {built}; this backbone gives width 6, 4 patches and 2 levels.")


def test_a_wrong_shape_is_named(tmp_path):
    message = refusal(saved(tmp_path / "e.pth", weights(embedding=8)))
    assert message.startswith("positive_embedding has shape (1, 8), the expert needs (1, 5).")
    assert message.endswith(" Write model.expert.options.embedding=8.")


def test_every_size_to_write_is_named(tmp_path):
    theirs = LookTwice(6, 4, 2, embedding=8, descriptor=9, attention=4, hidden=7).state_dict()
    options = ("embedding=8", "descriptor=9", "attention=4")
    wanted = " ".join(f"model.expert.options.{option}" for option in options)
    assert refusal(saved(tmp_path / "e.pth", theirs)).endswith(f" Write {wanted}.")


def test_an_expert_of_another_kind_gets_no_sizes_to_write(tmp_path):
    path = saved(tmp_path / "e.pth", {"weight": torch.zeros(1, 2), "bias": torch.zeros(1)})
    with pytest.raises(
        UserError, match=r"weight has shape \(1, 2\), the expert needs \(1, 3\). Set the expert's sizes."
    ):
        load_expert_weights(path, torch.nn.Linear(3, 1))


def test_a_number_that_is_none_is_named(tmp_path):
    content = weights()
    content["pooling_layer.0.weight"][0, 2] = torch.nan
    assert refusal(saved(tmp_path / "e.pth", content)).startswith("pooling_layer.0.weight holds NaN or infinite")


@pytest.mark.parametrize(
    ("content", "held"),
    [
        ({"state_dict": weights(), "epoch": 3}, "holds keys state_dict, epoch, not a flat dictionary of tensors"),
        ({0: torch.zeros(3)}, "holds keys 0, not a flat dictionary of tensors"),
        ([torch.zeros(3)], "holds list, not a flat dictionary of tensors"),
    ],
)
def test_other_contents_are_described(content, held, tmp_path):
    assert refusal(saved(tmp_path / "e.pth", content), UnreadableError).startswith(held)


def test_an_empty_dictionary_is_not_taken_for_weights(tmp_path):
    assert "missing class_predictor.0.bias" in refusal(saved(tmp_path / "e.pth", {}))


@pytest.mark.parametrize("name", ["e.pth", "e.safetensors"])
def test_a_file_that_is_not_there(name, tmp_path):
    assert refusal(tmp_path / name, UnreadableError).startswith("no such file")


@pytest.mark.parametrize("name", ["e.pth", "e.safetensors"])
def test_a_folder_in_place_of_a_file(name, tmp_path):
    (tmp_path / name).mkdir()
    assert refusal(tmp_path / name, UnreadableError).startswith("not a readable file of weights (")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("name", ["e.pth", "e.safetensors"])
def test_a_truncated_file(name, kept, tmp_path):
    path = tmp_path / name
    (save_file if path.suffix == ".safetensors" else torch.save)(weights(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert refusal(path, UnreadableError).startswith("not a readable file of weights (")


def test_a_damaged_file_of_the_old_format(tmp_path):
    path = tmp_path / "e.pth"
    torch.save(weights(), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for kept in range(0, len(whole), 97):
        path.write_bytes(whole[:kept])
        assert refusal(path, UnreadableError).startswith("not a readable file of weights (")


@pytest.mark.parametrize("name", ["e.pth", "e.safetensors"])
@pytest.mark.parametrize(
    "content", [b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n", bytes(range(256))]
)
def test_something_else_under_the_name(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path, UnreadableError).startswith("not a readable file of weights (")


def test_code_in_a_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "e.pth"
    path.write_bytes(pickle.dumps({"positive_embedding": Trap()}, protocol=2))
    assert re.match(r"not a readable file of weights \(", refusal(path, UnreadableError))
    assert not (tmp_path / "ran").exists()
