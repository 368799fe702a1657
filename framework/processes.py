"""What launchers tell a process in its environment -> its number, and how many there are. Loads no torch."""

from __future__ import annotations

import os

from framework.errors import UserError

LOCAL = ("LOCAL_RANK", "WORLD_SIZE")  # Lightning's own launcher, which numbers the processes of a node
LAUNCHERS = (  # number and count, in order: SLURM's are set where another launches, too
    ("RANK", "WORLD_SIZE"),  # torchrun
    LOCAL,
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH
)
SHELLS = ("bash", "interactive")  # names of SLURM jobs in which somebody types; as Lightning tells them
NODE = ("NODE_RANK", "GROUP_RANK")  # number of the node, as Lightning reads it


def job() -> tuple[int, int]:
    """Number of this process and how many there are; (0, 1) for one alone.

    Raises:
        UserError: it is numbered within a node other than the first, so that its number among all is unknown.
    """
    for rank, ranks in _launchers():
        if rank in os.environ and ranks in os.environ:
            if (rank, ranks) == LOCAL and _node() > 0:
                raise UserError("NODE_RANK: of several nodes each process needs its RANK. Start them with torchrun.")
            return int(os.environ[rank]), int(os.environ[ranks])
    return 0, 1


def first() -> bool:
    """Whether this process is number 0 of its job, or alone."""
    for rank, ranks in _launchers():
        if rank in os.environ:
            return int(os.environ[rank]) == 0 and ((rank, ranks) != LOCAL or _node() == 0)
    return True


def _launchers() -> list[tuple[str, str]]:
    shell = os.environ.get("SLURM_JOB_NAME") in SHELLS  # one process, whatever the size of the allocation
    return [names for names in LAUNCHERS if not (shell and names[0].startswith("SLURM"))]


def _node() -> int:
    return int(next((os.environ[name] for name in NODE if name in os.environ), "0"))
