"""What runs instead of the reader of a stranger's file, in a process of its own, which finds it by its name."""

import os
import time

from framework import registry
from framework.web import reading


def aborts(path, domain, options):
    os.abort()


def never_ends(path, domain, options):
    (path.parent / "number").write_text(str(os.getpid()))
    time.sleep(60)


def greedy(path, domain, options):
    """Takes more memory than it may."""
    registry.load_domain(domain)
    registry.build = lambda *_, **__: type("Greedy", (), {"read": lambda self, record: bytearray(reading.MEMORY)})()
    reading.main(path, domain, options)


def few_pixels(path, domain, options):
    """May read fewer pixels than a small picture has."""
    reading.PIXELS = 1599
    reading.main(path, domain, options)


def ghostscript(path, domain, options):
    """Would find a Ghostscript beside the file."""
    os.environ["PATH"] = f"{path.parent}:{os.environ['PATH']}"
    reading.main(path, domain, options)


def chatty(path, domain, options):
    """A library that prints, and then a refusal of two lines."""

    def read(self, record):
        os.system("echo printed; echo told >&2")
        raise reading.UserError("a line\nand one more")

    registry.build = lambda *_, **__: type("Chatty", (), {"read": read})()
    reading.main(path, domain, options)


def tells_modules(path, domain, options):
    """Which heavy modules were there before it began."""
    import sys

    heavy = [name for name in ("torch", "nibabel", "open3d") if name in sys.modules]
    path.with_name("modules").write_text(" ".join(heavy))
    reading.main(path, domain, options)
