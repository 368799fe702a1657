"""What is trained, saved, loaded and merged; and that a loss teaches nothing else."""

import json
import shutil

import fake_language
import pytest
import torch
from fake_language import TEXTS, VIEWS, batch, siglip
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.errors import UnreadableError, UserError
from framework.models.onevision import conversion, loading, small, tuned
from framework.models.onevision.chat import Chat
from framework.models.onevision.modeling import AnomalyOV
from framework.reasoning import LAYERS, LoraConfig, TuneConfig

ORIGIN = {"name": "talks", "source": "conversations", "fingerprint": "f", "digests": ["d"], "reader": {}}
EXPERTS = {"name": "parts", "source": "industrial/mvtec", "fingerprint": "e", "digests": ["c"], "reader": {}}
LORA = TuneConfig(parts=["projector", "newline"], lora=LoraConfig(rank=2))


def card(folder, tune, **changes):
    found = {"schema": tuned.SCHEMA, "model": str(folder), "fingerprint": tuned.fingerprint(folder)}
    return found | {"lora": vars(tune.lora), "trained_on": [EXPERTS, ORIGIN], "run": {"seed": 0}} | changes


def tune(folder, out, config=None, **changes):
    """A model whose trained tensors are all changed, and its file."""
    config = config or TuneConfig()
    model, chat = loading.load(folder)
    names = tuned.prepare(model, config, torch.float32)
    generator = torch.Generator().manual_seed(1)
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name in names:
            own[name] += 0.05 * torch.randn(own[name].shape, generator=generator)
    tuned.save(out, {name: own[name] for name in names}, card(folder, config, **changes))
    return model.eval(), chat


@torch.no_grad()
def logits(model, chat):
    return model(**batch(chat, VIEWS)).logits


def trained(model):
    return [name for name, p in model.named_parameters() if p.requires_grad]


@pytest.mark.parametrize(
    ("parts", "begins"),
    [
        (["projector"], {"model.multi_modal_projector."}),
        (["newline"], {"model.image_newline"}),
        (["language_model"], {"model.language_model."}),
        (["projector", "language_model", "newline"], set(tuned.MODULES.values())),
    ],
)
def test_only_the_parts_are_trained(parts, begins, fresh):
    model, _ = fresh
    names = tuned.prepare(model, TuneConfig(parts=parts))
    assert names == trained(model) == [n for n, _ in model.named_parameters() if n.startswith(tuple(begins))]
    assert all(any(name.startswith(begin) for name in names) for begin in begins)


def test_a_head_of_its_own_is_part_of_the_language_model(tmp_path):
    source = fake_language.write(tmp_path / "source", fake_language.tensors())
    conversion.convert(source, tmp_path / "model")
    model, _ = loading.load(tmp_path / "model")
    assert "lm_head.weight" in tuned.prepare(model, TuneConfig(parts=["language_model"]))
    assert "lm_head.weight" not in tuned.prepare(model, TuneConfig(parts=["projector"]))


def test_what_is_trained_is_kept_in_its_own_precision(folder):
    model, _ = loading.load(folder, dtype="bfloat16")
    names = set(tuned.prepare(model, TuneConfig(parts=["projector"]), torch.float32))
    kept = {name: p.dtype for name, p in model.named_parameters() if "expert" not in name}
    assert kept == {name: torch.float32 if name in names else torch.bfloat16 for name in kept}


def test_adapters_are_on_seven_layers_of_each_block_of_the_language_model_only(fresh):
    model, _ = fresh
    names = tuned.prepare(model, LORA)
    adapted = {name.split(".lora_")[0] for name in names if ".lora_" in name}
    kinds = {f"self_attn.{x}_proj" for x in "qkvo"} | {f"mlp.{x}_proj" for x in ("gate", "up", "down")}
    assert adapted == {f"model.language_model.layers.{i}.{kind}" for i in range(small.LAYERS) for kind in kinds}
    assert len(names) == 2 * 7 * small.LAYERS + 5  # two layers with bias, and the newline
    assert {n for n in names if ".lora_" not in n} == {n for n in names if "projector" in n} | {"model.image_newline"}


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (r".*\.(q_proj|vision_tower)", "matches model.vision_tower"),
        (r"model\.multi_modal_projector\.linear_1", "matches model.multi_modal_projector.linear_1, which it cannot"),
        (
            r"model\.language_model\.layers\.\d+\.mlp",
            "matches model.language_model.layers.0.mlp, which it cannot adapt",
        ),
        ("q_proj", "matches no layer."),
    ],
)
def test_other_layers_are_refused(layers, told, fresh):
    model, _ = fresh
    with pytest.raises(UserError) as error:
        tuned.adapt(model, LoraConfig(rank=2, layers=layers))
    assert str(error.value).startswith(f"tune.lora.layers: {told}") and "\n" not in str(error.value)
    assert str(error.value).endswith("Only linear layers of model.language_model are meant.")


@pytest.mark.parametrize("config", [TuneConfig(), LORA])
def test_a_loss_teaches_what_is_trained_and_nothing_else(config, fresh):
    model, chat = fresh
    names = tuned.prepare(model, config)
    model.losses(**batch(chat, VIEWS))[0].mean().backward()
    taught = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert taught == {name for name in names if ".lora_A." not in name}  # B is 0 at first, so A has no gradient yet
    frozen = {name for name, p in model.named_parameters() if p.grad is not None} - set(names)
    assert not frozen and not any("tower" in name or "expert" in name for name in names)


@pytest.mark.parametrize("config", [TuneConfig(), LORA])
def test_recomputing_keeps_nothing_of_the_frozen_tower(config):
    """The library would make its first embeddings ask for gradients, and the backward pass go through it."""
    words = small.tokenizer(TEXTS)
    model = AnomalyOV(siglip(words))
    tuned.prepare(model, config)
    tuned.recompute(model)
    seen, computed = [], []
    model.model.vision_tower.encoder.layers[-1].register_forward_hook(lambda _, __, found: seen.append(found))
    model.model.language_model.layers[0].mlp.register_forward_pre_hook(lambda *_: computed.append(1))
    model.train().losses(**batch(Chat(words, model.config), VIEWS))[0].sum().backward()
    assert len(seen) == 1 and not seen[0].requires_grad
    assert len(computed) == 2


@pytest.mark.parametrize("config", [TuneConfig(), LORA])
def test_what_is_saved_is_what_was_trained_and_loads_as_it_was(config, folder, loaded, tmp_path):
    model, chat = tune(folder, tmp_path / tuned.FILE, config)
    assert load_file(tmp_path / tuned.FILE).keys() == set(trained(model))
    again, other = tuned.load(tmp_path / tuned.FILE)
    assert_close(logits(again, other), logits(model, chat), rtol=0, atol=0)
    assert (logits(*loaded) - logits(model, chat)).abs().max() > 1e-3
    assert not trained(again) and not again.training


def test_a_folder_loads_as_it_is(folder, loaded):
    assert_close(logits(*tuned.load(folder)), logits(*loaded), rtol=0, atol=0)


def test_the_base_may_move_but_not_change(folder, tmp_path):
    path = tmp_path / tuned.FILE
    model, chat = tune(folder, path, model=str(tmp_path / "gone"))
    with pytest.raises(UserError) as error:
        tuned.load(path)
    assert str(error.value).startswith(f"{path}: was tuned from {tmp_path / 'gone'}, which is not here.")
    assert_close(logits(*tuned.load(path, base=str(folder))), logits(model, chat), rtol=0, atol=0)
    other = small.build(tmp_path / "other", fake_language.TEXTS, seed=1, canvas=6)
    with pytest.raises(UserError) as error:
        tuned.load(path, base=str(other))
    assert str(error.value) == f"{path}: was tuned from other weights than those in {other}."
    assert tuned.identity(path) != tuned.identity(folder) != tuned.identity(other)


def test_a_fingerprint_follows_every_tensor_and_its_place(tmp_path):
    def of(name, tensors):
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
        return tuned.fingerprint(tmp_path / name)

    whole = {f"layer{i}": torch.zeros(300_000) for i in range(12)}  # 14 MB
    changed = {**whole, "layer5": torch.full((300_000,), 0.1)}
    renamed = {"layer" if name == "layer5" else name: tensor for name, tensor in whole.items()}
    found = [of(name, t) for name, t in (("a", whole), ("b", changed), ("c", renamed), ("d", dict(whole)))]
    assert len(set(found)) == 3 and found[0] == found[3]
    (tmp_path / "a/model.safetensors").write_bytes(b"8 letters and more")
    with pytest.raises(UnreadableError, match=r"model\.safetensors: damaged, or not whole\. Convert it again\."):
        tuned.fingerprint(tmp_path / "a")


def test_a_tensor_that_does_not_fit_is_named(folder, tmp_path):
    path = tmp_path / tuned.FILE
    tuned.save(path, {"model.image_newline": torch.zeros(3)}, card(folder, TuneConfig()))
    with pytest.raises(UserError) as error:
        tuned.load(path)
    assert str(error.value) == f"{path}: model.image_newline does not fit the model in {folder}."


def test_a_damaged_or_foreign_file_is_one_line(folder, tmp_path):
    path = tmp_path / tuned.FILE
    tune(folder, path, TuneConfig(parts=["newline"]))
    content = path.read_bytes()
    for length in (0, 5, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(UnreadableError, match=rf"^{path}: damaged, or not whole \(.*\)\. Train again\.$"):
            tuned.card_of(path)
        assert not tuned.is_tuned(path)
    path.write_bytes(content)
    assert tuned.is_tuned(path)
    with pytest.raises(UnreadableError, match=r"nowhere: no such file\.$"):
        tuned.card_of(tmp_path / "nowhere")
    shutil.copyfile(folder / "model.safetensors", path)
    with pytest.raises(UserError, match="not a checkpoint that this version of anomaly-ov tuned"):
        tuned.load(path)


@pytest.mark.parametrize("config", [TuneConfig(), LORA])
def test_a_merged_folder_answers_alike_and_says_what_it_was_trained_on(config, folder, tmp_path):
    model, chat = tune(folder, tmp_path / tuned.FILE, config)
    merged = tuned.merge(tmp_path / tuned.FILE, tmp_path / "merged")
    whole = fake_language.whole(merged)
    assert not any("lora" in name for name in whole.state_dict())
    assert_close(logits(*loading.load(merged)), logits(model, chat), rtol=0, atol=1e-5)
    conversion.convert(merged, tmp_path / "converted")
    assert_close(logits(*loading.load(tmp_path / "converted")), logits(model, chat), rtol=0, atol=1e-5)
    for kept in (merged, tmp_path / "converted"):
        assert conversion.origins(kept) == [EXPERTS, ORIGIN]
        assert json.loads((kept / conversion.ORIGINS).read_text()) == [EXPERTS, ORIGIN]


def test_merging_keeps_the_precision_of_every_tensor(folder, tmp_path):
    model, _ = loading.load(folder, dtype="bfloat16")
    model.save_pretrained(tmp_path / "half")
    loading.load(folder)[1].tokenizer.save_pretrained(tmp_path / "half")
    tune(tmp_path / "half", tmp_path / tuned.FILE, LORA)
    whole = fake_language.whole(tuned.merge(tmp_path / tuned.FILE, tmp_path / "merged"))
    kinds = {name: p.dtype for name, p in whole.named_parameters()}
    assert kinds == {name: torch.float32 if "expert" in name else torch.bfloat16 for name in kinds}
    for name, p in model.model.anomaly_expert.named_parameters():
        assert torch.equal(p, whole.model.anomaly_expert.get_parameter(name)), name


def test_nothing_is_merged_over_what_is_there_or_left_half(folder, tmp_path, monkeypatch):
    tune(folder, tmp_path / tuned.FILE, LORA)
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=r"there: is there already\. Choose another folder, or remove it\."):
        tuned.merge(tmp_path / tuned.FILE, tmp_path / "there")
    monkeypatch.setattr(tuned, "write_origins", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tuned.merge(tmp_path / tuned.FILE, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", tuned.FILE]


def test_the_default_adapters_are_told_by_their_whole_names():
    assert LoraConfig().layers == LAYERS
