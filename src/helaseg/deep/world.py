"""Several processes that train one network, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import distributed, nn

from helaseg.deep.inference import find_device


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One process among the others.

    Parameters
    ----------
    rank : int
        Its number; 0 writes.
    size : int
        How many there are.
    device : torch.device, optional
        Where it computes; None if there is only this process.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None

    @classmethod
    def join(cls, device: str) -> World:
        """Meet the others that torchrun started; alone without it."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        where = find_device(device)
        if where.type == "cuda":
            where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(where)
        distributed.init_process_group("nccl" if where.type == "cuda" else "gloo")
        return cls(rank=distributed.get_rank(), size=size, device=where)

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network)

    def leave(self) -> None:
        """Wait for the others and part."""
        if self.size > 1:
            distributed.barrier()
            distributed.destroy_process_group()
