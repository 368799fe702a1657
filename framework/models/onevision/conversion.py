"""Published, llava-hf or own weights -> one folder that ``AnomalyOV.from_pretrained`` loads, no tensor left random."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from framework.errors import UnreadableError, UserError
from framework.files import check_new, new_folder, write_whole
from framework.models import trained
from framework.models.backbones.sources import one_line
from framework.models.cards import Origin
from framework.models.checkpoints import NAMED, strip
from framework.models.onevision import chat
from framework.models.onevision.configuration import ADVERBS, PREFIX, AnomalyOVConfig
from framework.models.onevision.modeling import AnomalyOV
from framework.models.onevision.names import EXPERT, Move, moves
from framework.models.onevision.sizes import configure
from framework.models.onevision.source import Source
from framework.progress import track

SHARD = 4 << 30  # bytes in a file of weights
REPORT = "conversion.json"
ORIGINS = "trained_on.json"
CONVERSATIONS = "conversations"  # source of an origin that the language model was tuned on
Plan = dict[str, tuple[Source, str]]  # our key: where its tensor lies


@dataclass(frozen=True, slots=True)
class Report:
    """What was converted.

    Attributes:
        folder: that ``from_pretrained`` loads; ``conversion.json`` in it lists every key.
        moves: of every tensor of every source.
        parameters: numbers written.
        notes: what a user should know, a line each.
    """

    folder: Path
    moves: list[Move]
    parameters: int
    notes: list[str]


def convert(
    source: Path, out: Path, expert: Path | None = None, base: Path | None = None, tokenizer: Path | None = None
) -> Report:
    """Write ``out`` whole, or nothing.

    Args:
        source: a published-style checkpoint (folder or file), a llava-hf LLaVA-OneVision folder, a folder of our own,
            or a bare expert file.
        out: folder to write, which must not be there.
        expert: expert weights that replace those of ``source``: published (32 keys) or ``expert.ckpt`` of a run.
        base: for a bare expert, the checkpoint it goes into.
        tokenizer: folder of the tokenizer, where the checkpoint's has none.

    Raises:
        UserError: a tensor would be left random, or has no place, or another shape; nothing says how many heads;
            ``out`` is there already.
        UnreadableError: a file is missing or damaged.
    """
    check_new(out)
    main = Source(source)
    if _is_expert(main):
        if base is None:
            raise UserError(f"{source}: a bare expert. Give the LLaVA-OneVision it belongs to with --base.")
        main, expert = Source(base), source
    elif base is not None:
        raise UserError(f"{source}: is a whole model already; --base is for a bare expert.")
    plan, found = _plan(main, Source(expert) if expert else None)
    folder = main.path if main.path.is_dir() else main.path.parent
    where = str(main.path)
    shapes = {target: origin.shapes[key] for target, (origin, key) in plan.items()}
    lacking_expert = not any(target.startswith(EXPERT) for target in plan)
    if lacking_expert:
        raise UserError(f"{where}: has no expert, whose 32 tensors would be random. Give one with --expert FILE.")
    config = configure(folder, shapes, where)
    if config.tie_word_embeddings and plan.pop("lm_head.weight", None):
        found = [Move(m.source, "", "tied to the embedding") if m.target == "lm_head.weight" else m for m in found]
    _fit(config, {k: shapes[k] for k in plan}, where)
    words, notes = _tokenizer(tokenizer or folder, tokenizer is not None, config)
    with new_folder(out) as partial:
        parameters = _write(partial, plan, config)
        config.save_pretrained(partial)
        if words is not None:
            words.save_pretrained(partial)
        keep_origins(partial, expert, folder)
        _report(partial, found, notes)
    return Report(out, found, parameters, notes)


def _is_expert(source: Source) -> bool:
    keys = strip(dict.fromkeys(source.shapes))
    return "positive_embedding" in keys


def _plan(main: Source, expert: Source | None) -> tuple[Plan, list[Move]]:
    """Where each tensor of our model comes from, and where each of the sources goes."""
    plan: Plan = {}
    found: list[Move] = []
    for move in moves(main.shapes):
        if expert is not None and move.target.startswith(EXPERT):
            move = Move(move.source, "", f"replaced by {expert.path}")
        found.append(move)
        if move.target in plan:
            raise UserError(f"{main.path}: both {plan[move.target][1]} and {move.source} are {move.target}.")
        if move.target:
            plan[move.target] = main, move.source
    if expert is not None:
        originals = strip({key: key for key in expert.shapes})
        for key, original in originals.items():
            found.append(Move(original, EXPERT + key))
            plan[EXPERT + key] = expert, original
    return plan, found


def _fit(config: AnomalyOVConfig, found: dict[str, tuple[int, ...]], where: str) -> None:
    """Refuse a plan that leaves a tensor of the model out, has one too many, or one of another shape."""
    try:
        with torch.device("meta"):
            model = AnomalyOV(config)
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"{where}: its config.json describes no model ({one_line(error)}).") from None
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    if config.tie_word_embeddings:
        wanted.pop("lm_head.weight")
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    for kind, keys in (("lacks", missing), ("has, and the model has not,", extra)):
        if keys:
            more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
            raise UserError(f"{where}: {kind} {', '.join(keys[:NAMED])}{more}. No tensor may be left random or over.")
    for key, shape in wanted.items():
        if found[key] != shape:
            raise UserError(f"{where}: {key} has shape {found[key]}, the model needs {shape}.")


def _write(folder: Path, plan: Plan, config: AnomalyOVConfig) -> int:
    """Files of weights and their index; how many numbers they hold. The expert is kept in float32."""
    names: dict[str, str] = {}
    total = parameters = 0
    for number, part in enumerate(_parts(plan), start=1):
        name = f"model-{number:05d}.safetensors"
        write_whole(folder / name, save(part, metadata={"format": "pt"}))
        names |= dict.fromkeys(part, name)
        total += sum(t.nbytes for t in part.values())
        parameters += sum(t.numel() for t in part.values())
        config.dtype = next((t.dtype for k, t in part.items() if not k.startswith(EXPERT)), config.dtype)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(names.items()))}
    write_whole(folder / "model.safetensors.index.json", json.dumps(index, indent=2).encode())
    return parameters


def _parts(plan: Plan) -> Iterator[dict[str, Tensor]]:
    """The tensors of the model, as many at a time as go into one file."""
    part: dict[str, Tensor] = {}
    for key, (source, name) in track(plan.items(), len(plan), "converting"):
        tensor = source.tensor(name)
        tensor = (tensor.float() if key.startswith(EXPERT) else tensor).contiguous()
        if not tensor.isfinite().all():
            raise UserError(f"{source.path}: {name} holds NaN or infinite numbers. Use another copy of the file.")
        if part and sum(t.nbytes for t in part.values()) + tensor.nbytes > SHARD:
            yield part
            part = {}
        part[key] = tensor.clone() if tensor._base is not None else tensor
    yield part


def _tokenizer(folder: Path, asked: bool, config: AnomalyOVConfig) -> tuple[Any, list[str]]:
    """The tokenizer to write, its ids entered into the configuration, and what to tell."""
    rows = config.text_config.vocab_size
    if not asked and not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        highest = max(max(ids) for ids in config.prefix_token_ids)
        if highest >= rows:
            raise UserError(
                f"{folder}: holds no tokenizer, and {rows} vocabulary rows are not Qwen2's. Give --tokenizer."
            )
        return None, [f"no tokenizer in {folder}: the model has none to be asked with; give one with --tokenizer"]
    words = chat.read_tokenizer(folder)
    config.image_token_index = words.convert_tokens_to_ids(chat.IMAGE)
    config.prefix_token_ids = chat.prefix_ids(words)
    if len(words) > rows:
        raise UserError(f"{folder}: {len(words)} tokens, but the checkpoint has {rows} vocabulary rows.")
    if len({len(ids) for ids in config.prefix_token_ids}) != 1:
        adverbs = ", ".join(ADVERBS)
        raise UserError(f"{folder}: {PREFIX.format('...')!r} with {adverbs} gives token lists of different lengths.")
    return words, []


def _report(folder: Path, found: list[Move], notes: list[str]) -> None:
    content = {"tensors": [asdict(move) for move in found], "notes": notes}
    write_whole(folder / REPORT, json.dumps(content, indent=1).encode())


def origins(folder: Path) -> list[dict[str, Any]]:
    """What the model of a folder was trained on, as ``trained.describe`` lists it; none where unknown.

    Raises:
        UnreadableError: the file that says so is damaged.
    """
    path = folder / ORIGINS
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        kept = [{k: v for k, v in o.items() if k in Origin.__dataclass_fields__} for o in found]
        for origin in kept:
            Origin(**origin)  # needs what has no default
        return kept
    except (ValueError, AttributeError, TypeError):
        raise UnreadableError(f"{path}: damaged. Copy it again; without it nobody knows what was trained on.") from None


def keep_origins(folder: Path, expert: Path | None, base: Path | None = None) -> None:
    """Write beside a model what it was trained on: what is known of ``base``, and what the card of the expert says.

    Args:
        folder: of the model.
        expert: that replaces the one of ``base``, whose sets then no longer count; a published file has no card.
        base: folder of ours that the rest of the model comes from.
    """
    found = origins(base) if base else []
    if expert is not None:
        found = [origin for origin in found if origin["source"] == CONVERSATIONS]
        if expert.suffix == ".ckpt":
            found = [*trained.read(expert)[trained.KEY]["trained_on"], *found]
    if found:
        write_origins(folder, found)


def write_origins(folder: Path, found: list[dict[str, Any]]) -> None:
    """Write beside a model what it was trained on."""
    write_whole(folder / ORIGINS, json.dumps(found).encode())
