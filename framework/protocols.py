"""A paper's protocol by name, and an experiment -> whether it may be followed, and how far it was. Loads no torch.

A protocol is a YAML file of ``experiments/protocols``: the settings that an experiment takes from it, which sets are
trained on for which test set, and what the paper's code does that is left out here, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from framework.config import Config
from framework.errors import UserError
from framework.reading import PROTOCOLS, load_as, named


@dataclass
class Protocol:
    """What a paper's numbers were made under."""

    title: str = MISSING  # paper and repository
    sources: dict[str, list[str]] = field(default_factory=dict)  # test set: what is trained on for it; others: the rest
    one_vs_rest: dict[str, list[str]] = field(default_factory=dict)  # train set: the classes that are trained on alone
    settings: dict[str, Any] = field(default_factory=dict)  # keys of an experiment: resolution, crops, smoothing, ...
    left_out: list[str] = field(default_factory=list)  # what its code does and we do not, and why
    impossible: list[str] = field(default_factory=list)  # what it asks for and cannot be said here: it is refused


OTHERS = "others"


def read(name: str) -> Protocol:
    """A protocol by its name or the path of its file.

    Raises:
        UserError: there is none, or it is not one.
    """
    found: Protocol = load_as(Protocol, named(PROTOCOLS, name), [])
    return found


def check(config: Config) -> None:
    """Refuse a protocol that asks for what the framework cannot do.

    Raises:
        UserError: says what that is; or there is no such protocol.
    """
    impossible = read(config.protocol).impossible if config.protocol else []
    if impossible:
        raise UserError(
            f"protocol {config.protocol}: asks for {'; '.join(impossible)}, which cannot be done here. Take another "
            "protocol, or write the keys that you mean without this one."
        )


def recipe(config: Config) -> str:
    """For ``Row.recipe``: the protocol's name, and where the experiment does otherwise, in what; "" for none."""
    if not config.protocol:
        return ""
    name, found = named(PROTOCOLS, config.protocol).stem, list(deviations(config))
    return f"{name}, but {', '.join(found)}" if found else name


def deviations(config: Config) -> Iterator[str]:
    """What an experiment does otherwise than its protocol, a few words each."""
    protocol = read(config.protocol)
    for key, wanted in _leaves(protocol.settings, ""):
        value = _at(config, key)
        if value != wanted:
            yield f"{key}={value}"
    for tested in config.test:
        wanted = protocol.sources.get(_plain(tested), protocol.sources.get(OTHERS))
        if wanted is not None and config.train and {_plain(name) for name in config.train} != set(wanted):
            yield f"{tested} from {_joined(list(config.train))} instead of {_joined(wanted)}"
    for trained in config.train:
        classes = protocol.one_vs_rest.get(trained)
        if classes is not None and config.one_vs_rest != classes:
            yield f"one_vs_rest={config.one_vs_rest}"


def shown(config: Config) -> list[str]:
    """Lines for ``check``: which protocol, what is done otherwise, what of it is left out."""
    if not config.protocol:
        return []
    protocol = read(config.protocol)
    lines = [f"protocol    {config.protocol}: {protocol.title}"]
    lines += [f"            otherwise here: {text}" for text in deviations(config)]
    return lines + [f"            left out: {text}" for text in protocol.left_out]


def _plain(name: str) -> str:
    """A set's own name, also where one-vs-rest gave it another: "mvtec3d cookie", "mvtec3d without cookie"."""
    return name.partition(" ")[0]


def _joined(names: Sequence[str]) -> str:
    return " + ".join(names)


def _leaves(settings: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _at(thing: Any, key: str) -> Any:
    """What an experiment has under a dotted key; None where it has nothing."""
    for part in key.split("."):
        thing = thing.get(part) if isinstance(thing, dict) else getattr(thing, part, None)
    return thing
