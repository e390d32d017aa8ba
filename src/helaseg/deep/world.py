"""Several processes that train one network, as ``torchrun`` starts them."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass

import torch
from torch import distributed, nn

from helaseg.deep.device import find_device


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
        """Meet the others that torchrun started, or have met before; alone without it."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        where = find_device(device)
        if where.type == "cuda":
            where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(where)
        if not distributed.is_initialized():
            # Optimisers import it. Imported once a group is there, it keeps the group and
            # its threads beyond `leave`, and these then abort the process at its end.
            importlib.import_module("torch._dynamo")
            distributed.init_process_group("nccl" if where.type == "cuda" else "gloo")
        return cls(rank=distributed.get_rank(), size=size, device=where)

    @property
    def writes(self) -> bool:
        """Return whether this process is the one that writes files and speaks."""
        return self.rank == 0

    def average(self, network: nn.Module) -> None:
        """Give all processes the mean of their gradients and of what normalisation remembers.

        All of them hold the same network after each step then. torch's wrapper leaves what
        normalisation remembers to each process, so that they would judge validation differently.
        """
        if self.size == 1:
            return
        tensors = [p.grad for p in network.parameters() if p.grad is not None]
        tensors += [b for b in network.buffers() if b.is_floating_point()]
        flat = torch.cat([t.reshape(-1) for t in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for t, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            t.copy_(mean.view_as(t))

    def agree(self, *values: float) -> list[float]:
        """The values of the first process, in all of them."""
        if self.size == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.broadcast(told, src=0)
        return told.tolist()

    def leave(self) -> None:
        """Wait for the others and part, if that was not done before."""
        if self.size > 1 and distributed.is_initialized():
            distributed.barrier()
            distributed.destroy_process_group()
