"""What each launcher sets in the environment -> number and count; the same number as Lightning's own environments."""

import pytest
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from framework import processes
from framework.errors import UserError
from framework.progress import say

TORCHRUN = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "GROUP_RANK": "1"}
SLURM = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_NTASKS_PER_NODE": "2"}
LAUNCHED = {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}  # by Lightning


@pytest.fixture
def told(monkeypatch):
    """Put variables in an environment that has none of any launcher."""
    for name in (*(n for names in processes.LAUNCHERS for n in names), *processes.NODE, "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)

    def tell(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return tell


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, (0, 1)),
        (TORCHRUN, (5, 8)),
        (TORCHRUN | SLURM, (5, 8)),
        (SLURM, (3, 4)),
        (SLURM | {"SLURM_JOB_NAME": "interactive"}, (0, 1)),
        (LAUNCHED, (1, 2)),
        (SLURM | {"SLURM_JOB_NAME": "bash"} | LAUNCHED, (1, 2)),
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3"}, (2, 3)),
        ({"PMI_RANK": "2", "PMI_SIZE": "3"}, (2, 3)),
        ({"SLURM_PROCID": "3"}, (0, 1)),
    ],
)
def test_number_and_count_under_each_launcher(variables, found, told):
    told(variables)
    assert processes.job() == found


@pytest.mark.parametrize(
    ("variables", "environment"),
    [(TORCHRUN, TorchElasticEnvironment), (TORCHRUN | SLURM, TorchElasticEnvironment), (SLURM, SLURMEnvironment)],
)
def test_the_numbers_are_those_of_lightning(variables, environment, told):
    told(variables)
    here = environment()
    assert processes.job() == (here.global_rank(), here.world_size())


@pytest.mark.parametrize(
    ("variables", "heard"),
    [
        ({}, True),
        (SLURM, False),
        (SLURM | {"SLURM_PROCID": "0"}, True),
        (SLURM | {"SLURM_JOB_NAME": "bash"}, True),
        (SLURM | {"LOCAL_RANK": "0"}, True),
        (TORCHRUN | {"LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"OMPI_COMM_WORLD_RANK": "1"}, False),
    ],
)
def test_the_first_process_alone_speaks(variables, heard, told, capsys):
    told(variables)
    say("a line")
    assert capsys.readouterr().err == ("a line\n" if heard else "")


def test_a_process_that_only_knows_its_number_in_its_node_is_told_what_to_do(told):
    told(LAUNCHED | {"NODE_RANK": "1"})
    with pytest.raises(UserError, match="NODE_RANK: of several nodes each process needs its RANK"):
        processes.job()
