"""`anomaly-ov convert`: what a user sees, and that a model says what it was trained on wherever it goes."""

import pytest
import torch
from fake_cli import mistake
from fake_language import TEXTS, whole
from safetensors.torch import load_file
from torch.testing import assert_close

from framework.cli import main
from framework.models import trained
from framework.models.experts import embedded
from framework.models.onevision import conversion, loading, small, tuned
from framework.reasoning import LoraConfig, TuneConfig


def origin(name, source):
    return {"name": name, "source": source, "fingerprint": name, "digests": [name], "reader": {}}


PARTS, OTHERS = origin("parts", "industrial/mvtec"), origin("others", "industrial/visa")
TALKS = origin("talks", "conversations")


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    """A stage-1 checkpoint whose expert is the embedded one, trained on PARTS."""
    return checkpoint(tmp_path_factory.mktemp("expert") / "expert.ckpt", [PARTS])


def checkpoint(path, origins):
    card = {"schema": trained.SCHEMA, "backbone": {"name": "embedded", "options": {}, "identity": {}}}
    card |= {"expert": {"name": "look_twice", "options": embedded.SIZES}, "crops": "base", "pool": "top3"}
    weights = {f"expert.{name}": tensor for name, tensor in load_file(embedded.weights()).items()}
    torch.save({"state_dict": weights, trained.KEY: card | {"trained_on": origins, "run": {}}}, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, expert):
    return small.build(tmp_path_factory.mktemp("convert") / "model", TEXTS, expert=expert)


@pytest.fixture(scope="module")
def file(tmp_path_factory, folder):
    """A tuned checkpoint with adapters and a newline of sevens."""
    path = tmp_path_factory.mktemp("tuned") / tuned.FILE
    model, _ = loading.load(folder)
    names = tuned.prepare(model, TuneConfig(parts=["newline"], lora=LoraConfig(rank=2)))
    tensors = {name: torch.full_like(p, 7) for name, p in model.named_parameters() if name == "model.image_newline"}
    tensors |= {name: p for name, p in model.named_parameters() if name in names and name not in tensors}
    card = {"schema": tuned.SCHEMA, "model": str(folder), "fingerprint": tuned.fingerprint(folder)}
    card |= {"lora": vars(LoraConfig(rank=2)), "trained_on": [PARTS, TALKS], "run": {}}
    tuned.save(path, tensors, card)
    return path


def test_a_tuned_checkpoint_becomes_a_folder(file, tmp_path, capsys):
    out = tmp_path / "merged"
    assert main(["convert", str(file), str(out)]) == 0
    assert capsys.readouterr().out == f"merged {file} into {out}\n"
    assert (whole(out).model.image_newline == 7).all()
    assert conversion.origins(out) == [PARTS, TALKS]


def test_a_tuned_checkpoint_goes_back_to_a_model_that_moved(file, folder, tmp_path, capsys):
    moved, out = tmp_path / "moved", tmp_path / "merged"
    moved.symlink_to(folder)
    assert main(["convert", str(file), str(out), "--base", str(moved)]) == 0
    told = mistake(capsys, "convert", file, tmp_path / "b", "--base", tmp_path / "nowhere")
    where = "Say where it is with --base, in an experiment with model.path."
    assert told == f"anomaly-ov: {file}: was tuned from {tmp_path}/nowhere, which is not here. {where}"
    other = small.build(tmp_path / "other", TEXTS, seed=1)
    told = mistake(capsys, "convert", file, tmp_path / "b", "--base", other)
    assert told == f"anomaly-ov: {file}: was tuned from other weights than those in {other}."
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("option", ["--expert", "--tokenizer"])
def test_a_tuned_checkpoint_takes_no_other_parts(option, file, folder, tmp_path, capsys):
    told = mistake(capsys, "convert", file, tmp_path / "out", option, folder)
    assert told == f"anomaly-ov: {file}: a tuned checkpoint brings its own expert and tokenizer."


def test_a_truncated_checkpoint_is_one_line(file, tmp_path, capsys):
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-9])
    told = mistake(capsys, "convert", tmp_path / "cut.safetensors", tmp_path / "out")
    assert told.startswith(f"anomaly-ov: {tmp_path}/cut.safetensors: ") and not (tmp_path / "out").exists()


def test_converting_our_own_folder_tells_and_keeps_what_there_is(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["convert", str(folder), str(out)]) == 0
    told = capsys.readouterr().out.splitlines()
    before = whole(folder)
    tensors, numbers = len({*before.state_dict()} - {"lm_head.weight"}), sum(p.numel() for p in before.parameters())
    assert told[0] == f"{tensors} tensors, {numbers / 1e6:.1f} million numbers"
    assert told[-1] == f"wrote {out}; every key is in {out / conversion.REPORT}"
    assert_close(whole(out).state_dict(), before.state_dict(), rtol=0, atol=0)
    assert conversion.origins(out) == conversion.origins(folder) == [PARTS]


def test_another_expert_brings_its_own_origins_and_leaves_those_of_the_language_model(file, tmp_path):
    merged, other = tuned.merge(file, tmp_path / "merged"), checkpoint(tmp_path / "other.ckpt", [OTHERS])
    conversion.convert(merged, tmp_path / "a", expert=other)
    assert conversion.origins(tmp_path / "a") == [OTHERS, TALKS]
    conversion.convert(merged, tmp_path / "b", expert=embedded.weights())
    assert conversion.origins(tmp_path / "b") == [TALKS]


def test_a_bare_expert_goes_into_the_model_it_is_given(expert, folder, tmp_path):
    conversion.convert(expert, tmp_path / "out", base=folder)
    assert conversion.origins(tmp_path / "out") == [PARTS]


def test_a_model_without_a_card_has_no_origins(tmp_path):
    assert conversion.origins(small.build(tmp_path / "model", TEXTS)) == []
