"""A hub name or a folder goes in; a local folder with config and weights comes out. Also hushes loud libraries."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from framework.errors import UnreadableError, UserError

HUB_PREFIX, LOCAL_PREFIX = "hf-hub:", "local-dir:"


def local(name: str, weights: str) -> Path | None:
    """The folder that ``weights`` names, or None where it can only be a hub or library name.

    Args:
        name: of the backbone, for messages.
        weights: an existing folder, or anything else. ``~`` is expanded, ``local-dir:`` dropped.

    Raises:
        UserError: empty, a file, or a path (it starts with . / ~ or has several separators) that does not exist.
    """
    bare = weights.removeprefix(LOCAL_PREFIX)
    path = Path(bare).expanduser()
    if not bare:
        raise UserError(f"backbone {name!r}: weights is empty; give a hub name or a folder.")
    if path.is_dir():
        return path
    if path.is_file():
        raise UserError(f"backbone {name!r}: {bare} is a file; give the folder that holds it and its config.")
    hub_like = bare.removeprefix(HUB_PREFIX)
    if bare != weights or bare.startswith((".", "/", "~")) or "\\" in bare or hub_like.count("/") > 1:
        raise UserError(
            f"backbone {name!r}: folder not found: {bare}. Give an existing folder or a hub name (owner/name)."
        )
    return None


def folder(
    name: str,
    weights: str,
    config: str,
    files: Sequence[str],
    extras: Sequence[str] = (),
    keep: Callable[[str], bool] = lambda key: True,
) -> Path:
    """A local folder with the config and the weights of a checkpoint; from the hub what is not there yet.

    Args:
        name: of the backbone, for messages.
        weights: hub name (owner/name) or folder.
        config: name of the config file.
        files: names that the weights may have, best first; ``*.index.json`` stands for its shards.
        extras: further files to fetch where the hub has them.
        keep: of sharded weights, only shards with a tensor whose name passes are fetched.

    Raises:
        UserError: the folder lacks config or weights, or the hub has no such repository or cannot be reached.
    """
    found = local(name, weights)
    if found is None:
        repo = weights.removeprefix(HUB_PREFIX)
        found = _fetch(name, repo, [config]).parent
        weight_file = _fetch(name, repo, files)
        if weight_file.name.endswith(".index.json"):
            for shard in sorted({file for key, file in shards(weight_file).items() if keep(key)}):
                _fetch(name, repo, [shard])
        for extra in extras:
            _fetch(name, repo, [extra], optional=True)
    if not (found / config).is_file():
        raise UserError(f"backbone {name!r}: {found} has no {config}; give the folder of a whole checkpoint.")
    if not any((found / file).is_file() for file in files):
        raise UserError(f"backbone {name!r}: {found} has no weights (looked for {', '.join(files)}).")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UnreadableError: not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: cannot be read as JSON ({one_line(error)}).") from None
    if not isinstance(content, dict):
        raise UnreadableError(f"{path}: holds a JSON {type(content).__name__}, not an object.")
    return content


def shards(index: Path) -> dict[str, str]:
    """File name of each tensor, from a ``*.index.json``.

    Raises:
        UnreadableError: it lists no tensors.
    """
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict):
        raise UnreadableError(f"{index}: has no weight_map, so the shards are unknown; download the checkpoint again.")
    return listed


def one_line(error: BaseException) -> str:
    """What a library said, on one line and at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def unreachable(name: str, repo: str) -> UserError:
    """What to do where a checkpoint is not on this machine and the hub cannot be asked."""
    return UserError(
        f"backbone {name!r}: {repo!r} is not whole in the local cache and the hub cannot be reached. Run "
        f"`hf download {repo}` where there is a network, or set weights to a folder that holds the checkpoint."
    )


@contextmanager
def hush() -> Iterator[None]:
    """Keep logs, warnings, prints and progress bars of libraries to themselves; afterwards all is as before."""
    with _no_logs(), warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _no_logs() -> Iterator[None]:
    root, plug, level = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(plug)  # without any handler logging.warning() would install one that stays
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        root.removeHandler(plug)


def _fetch(name: str, repo: str, files: Sequence[str], optional: bool = False) -> Path:
    """The first of ``files`` that a hub repository has, in the hub's cache; honours HF_HUB_OFFLINE."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    reached = True
    for file in files:
        try:
            with _no_logs():  # a download's bar is welcome, its retries are not
                return Path(hf_hub_download(repo, file))
        except HFValidationError:
            raise UserError(f"backbone {name!r}: {repo!r} is neither a folder nor a hub name (owner/name).") from None
        except RepositoryNotFoundError:
            raise UserError(
                f"backbone {name!r}: the hub has no {repo!r} that you may read; check the name or log in."
            ) from None
        except (LocalEntryNotFoundError, ConnectionError):
            reached = False
        except EntryNotFoundError:
            continue
        except OSError as error:
            raise UserError(f"backbone {name!r}: {repo!r} could not be fetched: {one_line(error)}.") from None
    if optional:
        return Path()
    if reached:
        raise UserError(f"backbone {name!r}: {repo!r} on the hub has none of {', '.join(files)}.")
    raise unreachable(name, repo)
