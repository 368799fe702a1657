"""A command line in; the same run by two processes at once, as torchrun and Lightning start them, out."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence

import fake_process

TWICE = """
import os, sys
import pyarrow.parquet, sklearn.metrics, torchmetrics.functional, transformers  # most of a start; none asks for a rank
second = os.fork()
os.environ["LOCAL_RANK"] = "0" if second else "1"
if not second:
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
from framework.cli import main
status = main(sys.argv[1:])
if second:
    os.waitpid(second, 0)
sys.exit(status)
"""


def by_two(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What the first of two processes of ``anomaly-ov`` did.

    Lightning would start the second once the first has imported torch; here one import is for both, if any.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "NODE_RANK": "0"}
    return fake_process.run(TWICE, arguments, env=os.environ | shared)
