"""A file from a stranger and its domain in, its sample out: read by a process of its own, which has limits.

What no reader may survive (a small file that unpacks to terabytes, one that makes a library crash or never end) ends
that process and is one line to whom it belongs. Arrays come back as they are, without pickle. Processes are forked
from one that has loaded what readers need (``warm.py``), which takes far longer than to read a scan.
"""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import os
import resource
import sys
import threading
import time
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from framework import registry
from framework.errors import UnreadableError, UserError
from framework.files import write_whole
from framework.types import Domain, Record, Sample

MEMORY = 8 << 30  # bytes
SECONDS = 120
PIXELS = 200_000_000  # of all views together, about what Pillow opens of one picture
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP")  # pictures are told by content: of EPS it would run Ghostscript
REFUSED = 2  # exit status
ARRAYS, LINE = "sample.npz", "refused.txt"
PARTS = ("owner", "stand_in", "place", "weight")  # of a sample, what scores of its elements need
BACK = "back"  # of a sample that has one: JSON of what makes it again
SCENE = "scene."  # begins the names of arrays of a scene
LOOK_S = 0.1  # how often it is looked whether the visitor is still there
_CONTEXT = multiprocessing.get_context("forkserver")


def warm_up() -> None:
    """Start the process that readers are forked from, without waiting for it."""
    _CONTEXT.set_forkserver_preload(["framework.web.warm"])
    forkserver.ensure_running()


def options_of(reader: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Reader options by domain: each goes to all domains that have it.

    Raises:
        UserError: no domain has such an option, or it does not fit.
    """
    for domain in registry.domains():
        registry.load_domain(domain)
    known = {name: registry.options("domain", name) for name in registry.names("domain")}
    given = {name: {key: value for key, value in reader.items() if key in known[name]} for name in known}
    found = {name: registry.asked(name) | options for name, options in given.items()}
    for key in reader:
        if not any(key in options for options in known.values()):
            raise UserError(
                registry.unknown("reader option", key, [name for names in known.values() for name in names])
            )
    for name, options in found.items():
        registry.build("domain", name, **options)
    return found


async def read(
    path: Path, domain: str, options: dict[str, Any] | None = None
) -> tuple[Sample, dict[str, np.ndarray] | None]:
    """The sample of a file whose ending ``domain`` reads, without its truth; leaves ``sample.npz`` beside the file.

    With it comes the scene that a browser turns, where the domain has one and the file is not too large for it.

    Args:
        path: of the file.
        domain: its name.
        options: of the domain's reader.

    Raises:
        UserError: as the domain's reader; the file needs more memory, time or pixels than one may.
    """
    warm_up()
    process, gone = _CONTEXT.Process(target=main, args=(path, domain, options or {}), daemon=True), threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(_run, process, gone))
    try:
        status = await asyncio.shield(running)
    finally:  # also where the visitor has gone: nothing may write into a folder that is being removed
        gone.set()
        await running
    if status is None:
        raise UnreadableError(f"{path}: cannot be read within {SECONDS} seconds. Send a smaller file.")
    if status == REFUSED:
        raise UserError(path.with_name(LINE).read_text(encoding="utf-8"))
    if status:
        raise UnreadableError(
            f"{path}: cannot be read with {MEMORY >> 30} GB of memory. It is damaged, or send a smaller file."
        )
    return await asyncio.to_thread(_unpacked, path, domain, options or {})


def main(path: Path, domain: str, options: dict[str, Any]) -> NoReturn:
    """What the process does; its exit status is REFUSED after a line in ``refused.txt``."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS * 4, SECONDS * 4))  # over threads, should nobody be left to end it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what libraries print is not the server's
        os.dup2(nowhere, stream)
    Image.init()
    Image.ID[:] = FORMATS
    try:
        registry.load_domain(domain)
        reader = registry.build("domain", domain, **options)
        sample = reader.read(Record(path, anomalous=False, category=""))
        pixels = sample.views[:, 0].size
        if pixels > PIXELS:
            raise UserError(f"{path}: {pixels:,} pixels in all views, {PIXELS:,} are most. Send a smaller file.")
        plain = io.BytesIO()
        arrays: dict[str, Any] = _packed(reader, sample)
        np.savez(plain, **arrays)
        write_whole(path.with_name(ARRAYS), plain.getbuffer())
    except UserError as error:
        path.with_name(LINE).write_text(" ".join(str(error).split()), encoding="utf-8", errors="replace")
        sys.exit(REFUSED)
    sys.exit(0)


def _packed(reader: Domain, sample: Sample) -> dict[str, np.ndarray]:
    """Plain arrays of a sample: its views, and where the domain has a scene, that and what lifts scores to it."""
    texts = {"captions": sample.captions, "warnings": sample.warnings, "fuse": [sample.fuse]}
    found = {"views": sample.views} | {name: np.array(words, np.str_) for name, words in texts.items()}
    wide = sample.elements * (1 if sample.place is None else len(sample.views))
    if not hasattr(reader, "scene") or wide > PIXELS:
        return found
    found |= {name: part for name in PARTS if (part := getattr(sample, name)) is not None}
    if sample.back is not None:
        found[BACK] = np.array(json.dumps(sample.back.plain()))
    scene: dict[str, np.ndarray] = reader.scene(sample)
    return found | {f"{SCENE}{name}": values for name, values in scene.items()}


def _unpacked(path: Path, domain: str, options: dict[str, Any]) -> tuple[Sample, dict[str, np.ndarray] | None]:
    """What ``_packed`` was given."""
    with np.load(path.with_name(ARRAYS), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    scene = {name.removeprefix(SCENE): values for name, values in found.items() if name.startswith(SCENE)}
    back = None
    if BACK in found:
        registry.load_domain(domain)
        reader: Any = registry.build("domain", domain, **options)
        back = reader.back(**json.loads(str(found[BACK])))
    sample = Sample(
        Record(path, anomalous=False, category=""),
        found["views"],
        back=back,
        captions=tuple(map(str, found["captions"])),
        warnings=tuple(map(str, found["warnings"])),
        fuse=str(found["fuse"][0]),
        **{name: found[name] for name in PARTS if name in found},
    )
    return sample, scene or None


def _run(process: ForkServerProcess, gone: threading.Event) -> int | None:
    """Exit status of a process; None where it had to be ended, for its time was over or nobody waits for it."""
    process.start()  # waits until what it is forked from is warm
    end = time.monotonic() + SECONDS
    while process.exitcode is None and time.monotonic() < end and not gone.is_set():
        process.join(LOOK_S)
    status = process.exitcode
    if status is None:
        process.kill()
    process.join()
    process.close()
    return status
