"""A file from a stranger and its domain in, its views out: read by a process of its own, which has limits.

What no reader may survive (a small file that unpacks to terabytes, one that makes a library crash or never end) ends
that process and is one line to whom it belongs. Views come back as a plain array, without pickle.
"""

from __future__ import annotations

import asyncio
import io
import resource
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from framework import registry
from framework.errors import UnreadableError, UserError
from framework.files import write_whole
from framework.types import Record

MEMORY = 8 << 30  # bytes
SECONDS = 120
PIXELS = 200_000_000  # of all views together, about what Pillow opens of one picture
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP")  # pictures are told by content: of EPS it would run Ghostscript
REFUSED = 2  # exit status
VIEWS = "views.npy"


async def read(path: Path, domain: str) -> np.ndarray:
    """Views ``(V, 3, H, W)`` uint8 of a file whose ending ``domain`` reads; leaves ``views.npy`` beside it.

    Raises:
        UserError: as the domain's reader; the file needs more memory, time or pixels than one may.
    """
    words = [sys.executable, "-m", __name__, str(path), domain]
    nothing, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdin=nothing, stdout=nothing, stderr=pipe)
    try:
        async with asyncio.timeout(SECONDS):
            _, told = await process.communicate()
    except TimeoutError:
        raise UnreadableError(f"{path}: cannot be read within {SECONDS} seconds. Send a smaller file.") from None
    finally:  # also where the visitor has gone
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == REFUSED:
        raise UserError(told.decode(errors="replace").strip().splitlines()[-1])
    if process.returncode:
        raise UnreadableError(
            f"{path}: cannot be read with {MEMORY >> 30} GB of memory. It is damaged, or send a smaller file."
        )
    return await asyncio.to_thread(np.load, path.with_name(VIEWS), allow_pickle=False)


def main(path: Path, domain: str) -> int:
    """What the process does; returns its exit status, after a line on standard error where the file is refused."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS * 4, SECONDS * 4))  # over threads, should nobody be left to end it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.init()
    Image.ID[:] = FORMATS
    try:
        registry.load_domain(domain)
        views = registry.build("domain", domain).read(Record(path, anomalous=False, category="")).views
        pixels = views[:, 0].size
        if pixels > PIXELS:
            raise UserError(f"{path}: {pixels:,} pixels in all views, {PIXELS:,} are most. Send a smaller file.")
        plain = io.BytesIO()
        np.save(plain, views, allow_pickle=False)
        write_whole(path.with_name(VIEWS), plain.getbuffer())
    except UserError as error:
        print(error, file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
