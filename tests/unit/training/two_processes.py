"""What the processes do that the tests of ``launch`` start: `python -m two_processes WHAT`."""

import os
import sys
import time


def average() -> None:
    """Average statistics that are the number of the process."""
    import torch
    import torch.distributed as dist

    from flare.config.network_groups import OptimizerOptions
    from flare.training.processes import average_statistics, global_rank, process_group

    norm = torch.nn.BatchNorm1d(2)
    with process_group(OptimizerOptions(accelerator="cpu", precision="32-true")) as fabric:
        assert fabric.world_size == 2
        norm.running_mean.fill_(global_rank())
        average_statistics(norm, fabric)
    assert norm.running_mean.tolist() == [0.5, 0.5]
    assert not dist.is_initialized()


def die() -> None:
    """End rank 1 as the system does for lack of memory, while rank 0 goes on."""
    if os.environ["RANK"] == "1":
        os._exit(9)
    time.sleep(600)


def refuse() -> None:
    """End as an entry point does after an expected error."""
    sys.exit(2)


if __name__ == "__main__":
    {"average": average, "die": die, "refuse": refuse}[sys.argv[1]]()
