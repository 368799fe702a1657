"""One thread a process, as continuous integration has it: workers of pytest-xdist share the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch
