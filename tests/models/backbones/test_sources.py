"""Where weights come from: folders, the hub's cache without a network, and what is said where neither has them."""

import logging
import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
import transformers
from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError

from framework.errors import UnreadableError, UserError
from framework.models.backbones import sources
from framework.registry import build

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache, repo, save):
    """Lay a repository into the cache as a download would."""
    home, commit = cache / f"models--{repo.replace('/', '--')}", "0" * 40
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    folder = home / "snapshots" / commit
    folder.mkdir(parents=True)
    save(folder)
    return folder


def test_an_existing_folder_is_local_however_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for weights in ("owner/name", "./owner/name", str(tmp_path / "owner/name"), "~/owner/name", "local-dir:owner/name"):
        found = sources.local("siglip", weights)
        assert found is not None
        assert found.resolve() == (tmp_path / "owner" / "name").resolve()


@pytest.mark.parametrize("weights", ["owner/name", "hf-hub:owner/name", "vit_tiny_patch16_224.augreg", "ViT-B-16"])
def test_what_looks_like_a_name_is_not_a_path(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sources.local("siglip", weights) is None


@pytest.mark.parametrize("weights", ["./owner", "../owner/name", "/no/such", "~/no", "a/b/c", "a\\b", "local-dir:a/b"])
def test_a_path_that_does_not_exist_is_told_as_such(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^backbone 'siglip': folder not found: .*hub name \(owner/name\)\.$"):
        sources.local("siglip", weights)


def test_a_file_or_nothing_is_refused(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=r"is a file; give the folder that holds it"):
        sources.local("siglip", str(tmp_path / "model.safetensors"))
    with pytest.raises(UserError, match=r"weights is empty"):
        sources.local("siglip", "")


def test_a_hub_name_in_the_cache_loads_without_a_network(cache):
    model = transformers.Dinov2Model(transformers.Dinov2Config(**SIZES))
    put(cache, "owner/tiny", model.save_pretrained)
    backbone = build("backbone", "dinov2", weights="owner/tiny")
    saved = model.embeddings.patch_embeddings.projection.weight
    assert torch.equal(backbone.tower.embeddings.patch_embeddings.projection.weight, saved)


def test_of_a_sharded_checkpoint_in_the_cache_only_needed_shards_must_be_there(cache):
    vision = {**SIZES, "intermediate_size": 32, "model_type": "siglip_vision_model", "vision_use_head": False}
    text = {"model_type": "qwen2", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 500}
    config = transformers.LlavaOnevisionConfig(vision_config=vision, text_config=text)
    model = transformers.LlavaOnevisionForConditionalGeneration(config)
    folder = put(cache, "owner/llava", lambda path: model.save_pretrained(path, max_shard_size="20KB"))
    files = sources.shards(folder / "model.safetensors.index.json")
    seen = {file for key, file in files.items() if "vision_tower" in key}
    for file in set(files.values()) - seen:
        (folder / file).unlink()
    assert build("backbone", "llava_onevision", weights="owner/llava").width == 16
    (folder / min(seen)).unlink()
    with pytest.raises(UserError, match=r"'owner/llava' is not whole in the local cache"):
        build("backbone", "llava_onevision", weights="owner/llava")


@pytest.mark.parametrize("name", ["siglip", "llava_onevision", "clip", "dinov2", "open_clip", "timm"])
def test_the_default_weights_without_cache_and_network_say_what_to_fetch(cache, name):
    with pytest.raises(UserError) as caught:
        build("backbone", name)
    message = str(caught.value)
    assert message.startswith(f"backbone {name!r}: ")
    assert "Run `hf download " in message
    assert message.endswith("or set weights to a folder that holds the checkpoint.")
    assert "\n" not in message


def test_a_name_that_no_hub_could_have_is_told(cache):
    with pytest.raises(UserError, match=r"'what is this' is neither a folder nor a hub name"):
        build("backbone", "siglip", weights="what is this")


REFUSAL = SimpleNamespace(headers={}, request=None)  # of an HTTP answer, what the errors read


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RepositoryNotFoundError("x", response=REFUSAL), "the hub has no 'owner/name' that you may read; check the"),
        (RemoteEntryNotFoundError("x", response=REFUSAL), "'owner/name' on the hub has none of model.bin, model.safe"),
        (OSError(28, "No space left on device"), "'owner/name' could not be fetched: [Errno 28] No space left on dev"),
    ],
)
def test_what_the_hub_answers_is_passed_on_in_one_line(monkeypatch, tmp_path, error, message):
    def answer(_, file):
        if file == "config.json":
            return str(tmp_path / file)
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    with pytest.raises(UserError) as caught:
        sources.folder("siglip", "owner/name", "config.json", ["model.bin", "model.safetensors"])
    assert message in str(caught.value)


OFFLINE = {"HF_HUB_OFFLINE": "1"}
UNREACHABLE = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize("switch", [OFFLINE, UNREACHABLE])
def test_a_hub_that_may_not_or_cannot_be_asked_ends_in_one_line(tmp_path, switch):
    """In a process of its own, since the hub's address and the offline switch are read at import.

    There nothing sleeps, for the library would wait half a minute in all between its tries.
    """
    code = (
        "import time; time.sleep = lambda seconds: None\n"
        "from framework.models.backbones.sources import folder; from framework.errors import UserError\n"
        "try: folder('siglip', 'owner/name', 'config.json', ['model.safetensors'])\n"
        "except UserError as error: print(error)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path), **switch}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "the hub cannot be reached. Run `hf download owner/name`" in done.stdout
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_an_index_without_a_map_is_unreadable(tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text("{}")
    with pytest.raises(UnreadableError, match=r"index\.json: has no weight_map"):
        sources.shards(path)


def test_hush_swallows_what_libraries_say_and_restores_everything(capfd):
    root = logging.getLogger()
    before = (list(root.handlers), logging.root.manager.disable, list(warnings.filters))
    with pytest.raises(KeyError), sources.hush():
        logging.warning("root")
        logging.getLogger("transformers").error("library")
        warnings.warn("warned", stacklevel=1)
        print("printed")
        print("erred", file=sys.stderr)
        raise KeyError
    assert capfd.readouterr() == ("", "")
    assert (list(root.handlers), logging.root.manager.disable, list(warnings.filters)) == before
