"""What stage 2 trains: which tensors, a small file of them beside the model they belong to, and one folder again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig as PeftLora
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from framework.errors import UnreadableError, UserError
from framework.files import check_new, new_folder, write_whole
from framework.models.backbones.sources import hush, one_line
from framework.models.onevision import loading, mistaken
from framework.models.onevision.chat import Chat
from framework.models.onevision.conversion import write_origins
from framework.models.onevision.modeling import AnomalyOV
from framework.reasoning import LoraConfig, TuneConfig

FILE = "tuned.safetensors"
KEY = "anomaly_ov"
SCHEMA = 2  # of the card
PIECES, PIECE = 16, 4096  # of each tensor a fingerprint reads so many pieces of so many bytes, its ends among them
MODULES = {
    "projector": "model.multi_modal_projector.",
    "language_model": "model.language_model.",
    "newline": "model.image_newline",
}


def prepare(model: AnomalyOV, tune: TuneConfig, dtype: torch.dtype | None = None) -> list[str]:
    """Freeze everything but the parts that are tuned, and add adapters where they are asked for.

    Args:
        model: changed in place.
        tune: parts and adapters.
        dtype: what trained tensors are kept in; None leaves them as they are.

    Returns:
        Names of the trained tensors.

    Raises:
        UserError: the regular expression of the adapters matches nothing, or something outside the language model.
    """
    model.requires_grad_(False)
    prefixes = tuple(MODULES[part] for part in tune.parts)
    head = "language_model" in tune.parts
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(prefixes) or (head and name.startswith("lm_head.")))
    if tune.lora.rank:
        adapt(model, tune.lora)
    names = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            names.append(name)
            if dtype is not None:
                parameter.data = parameter.data.to(dtype)
    return names


def adapt(model: AnomalyOV, lora: LoraConfig) -> None:
    """Add low-rank adapters to the linear layers of the language model that the expression names."""
    hit = [name for name, module in model.named_modules() if re.fullmatch(lora.layers, name)]
    outside = [name for name in hit if not name.startswith(MODULES["language_model"])]
    linear = [name for name in hit if isinstance(model.get_submodule(name), nn.Linear)]
    if outside or len(linear) != len(hit) or not hit:
        named = f"{(outside or hit)[0]}, which it cannot adapt" if hit else "no layer"
        raise UserError(f"tune.lora.layers: matches {named}. Only linear layers of model.language_model are meant.")
    options = {"r": lora.rank, "lora_alpha": lora.alpha, "lora_dropout": lora.dropout}
    trained = [p for p in model.parameters() if p.requires_grad]
    model.add_adapter(PeftLora(target_modules=lora.layers, **options))
    for parameter in trained:  # which the library freezes
        parameter.requires_grad_(True)


def recompute(model: AnomalyOV) -> None:
    """Let the layers of the language model compute their activations again in the backward pass.

    Asked of the whole model, the library would also make the first embeddings of the frozen tower ask for gradients: it
    would keep all activations of the tower, and go back through it for nothing.
    """
    model.model.language_model.activation_checkpointing_enable({"use_reentrant": False})


def save(path: Path, tensors: Mapping[str, Tensor], card: dict[str, Any]) -> None:
    """Write trained tensors and their card, whole."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, to_bytes(plain, metadata={KEY: json.dumps(card, sort_keys=True), "format": "pt"}))


def card_of(path: Path) -> dict[str, Any]:
    """The card of a tuned checkpoint: model, fingerprint, tune, trained_on, run.

    Raises:
        UnreadableError: the file is missing or damaged.
        UserError: it is something else, or of another version.
    """
    try:
        with safe_open(path, framework="pt") as f:
            card: dict[str, Any] = json.loads((f.metadata() or {}).get(KEY, "{}"))
    except FileNotFoundError:
        raise UnreadableError(f"{path}: no such file.") from None
    except (OSError, SafetensorError, ValueError) as error:
        other = mistaken.told(path) or f"{path}: damaged, or not whole ({one_line(error)}). Train again."
        raise UnreadableError(other) from None
    if card.get("schema") != SCHEMA:
        raise UserError(f"{path}: not a checkpoint that this version of anomaly-ov tuned.")
    return card


def is_tuned(path: Path) -> bool:
    """Whether a file of tensors has a card of ours."""
    try:
        return "schema" in card_of(path)
    except UserError:
        return False


def load(path: Path, dtype: str = "auto", attention: str = "sdpa", base: str = "") -> tuple[AnomalyOV, Chat]:
    """A model folder, or a tuned checkpoint with the model it belongs to.

    Args:
        path: folder, or ``tuned.safetensors``.
        dtype: see ``loading.load``.
        attention: see ``loading.load``.
        base: where the model of a checkpoint lies on this machine, "" for where it lay.

    Raises:
        UserError: as ``loading.load``; a checkpoint of another model.
    """
    if path.is_dir() or not path.exists():
        if path.is_dir() and not (path / "config.json").is_file() and (other := mistaken.told(path)):
            raise UserError(other)
        return loading.load(path, dtype, attention)
    card = card_of(path)
    folder = Path(base or card["model"]).expanduser()
    if not folder.is_dir():
        where = "with --base, in an experiment with model.path"
        raise UserError(f"{path}: was tuned from {folder}, which is not here. Say where it is {where}.")
    if fingerprint(folder) != card["fingerprint"]:
        raise UserError(f"{path}: was tuned from other weights than those in {folder}.")
    model, chat = loading.load(folder, dtype, attention)
    if card["lora"]["rank"]:
        adapt(model, LoraConfig(**card["lora"]))
    own = dict(model.named_parameters())
    with safe_open(path, framework="pt") as f:
        for name in f.keys():  # noqa: SIM118 - not a mapping
            tensor = f.get_tensor(name)
            if name not in own or own[name].shape != tensor.shape:
                raise UserError(f"{path}: {name} does not fit the model in {folder}.")
            own[name].data.copy_(tensor)
    return model.eval().requires_grad_(False), chat


def fingerprint(folder: Path) -> str:
    """What tells the weights of a folder from others: sha256 of names, shapes and pieces of each tensor.

    Training changes layers all over, and with them only some rows of embeddings, so pieces tell what was trained.

    Raises:
        UnreadableError: a file is no safetensors.
    """
    found = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as f:
            header = f.read(min(int.from_bytes(f.read(8), "little"), path.stat().st_size))
            found.update(header)
            for start, size in _extents(header, path):
                last = max(0, size - PIECE)
                for place in sorted({last * i // (PIECES - 1) for i in range(PIECES)}):
                    f.seek(start + place)
                    found.update(f.read(min(PIECE, size)))
    return found.hexdigest()


def _extents(header: bytes, path: Path) -> list[tuple[int, int]]:
    """Where each tensor of a safetensors file starts, and its size in bytes."""
    try:
        tensors = [entry["data_offsets"] for name, entry in json.loads(header).items() if name != "__metadata__"]
        return sorted((8 + len(header) + start, end - start) for start, end in tensors)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnreadableError(f"{path}: damaged, or not whole. Convert it again.") from None


def identity(path: Path) -> str:
    """Sha256 of what answers follow from: the weights of a folder, and what was tuned."""
    if path.is_dir():
        return fingerprint(path)
    return hashlib.sha256((card_of(path)["fingerprint"] + _content(path)).encode()).hexdigest()


def merge(path: Path, out: Path, base: str = "") -> Path:
    """A tuned checkpoint and its model -> one folder, adapters added into the weights they adapt.

    Raises:
        UserError: ``out`` is there already, or as ``load``.
    """
    check_new(out)
    model, chat = load(path, base=base)
    adapted = [(name, module) for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    for name, module in adapted:
        module.merge()
        model.set_submodule(name, module.get_base_layer())
    if adapted:
        model.delete_adapter("default")  # else the library saves adapters only
    with new_folder(out) as folder, hush():
        model.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)
        write_origins(folder, card_of(path)["trained_on"])
    return out


def _content(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
