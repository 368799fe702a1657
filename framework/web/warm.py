"""Nothing in; a process out that has loaded all that readers of files need, to fork readers from.

To be imported there and nowhere else. It starts no thread and opens no device, which would not survive a fork.
"""

from __future__ import annotations

import importlib
import os
import signal

from framework import registry

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it with the server, without a traceback
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: threads that spin take the cores from the model
for _domain in registry.domains():
    registry.load_domain(_domain)
    for _module in getattr(registry.get("domain", _domain), "imports", ()):
        try:
            importlib.import_module(_module)
        except (ImportError, OSError):  # a package or a system library that is not installed: the reader says which
            break
