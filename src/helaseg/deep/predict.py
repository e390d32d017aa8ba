"""From grey values to probabilities, block by block: `Predictor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helaseg.deep.device import PRECISIONS, fast_precision, find_device
from helaseg.deep.grey import GreyScale
from helaseg.deep.inference import inference_copy
from helaseg.deep.patches import AxisWindows, PatchPlan, plan_patches
from helaseg.deep.predict_config import PredictConfig
from helaseg.deep.unet import UNet
from helaseg.deep.unet_config import UNetConfig


class Predictor:
    """Applies a network to volumes of any size.

    Parameters
    ----------
    network : UNet
        Trained.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    config : PredictConfig, optional
        Windows, flips, precision.

    Attributes
    ----------
    device : torch.device
        Where it computes.

    Notes
    -----
    Nothing but the slices of one batch and their probabilities is in memory at a time.
    """

    def __init__(
        self, network: UNet, *, device: str = "auto", config: PredictConfig | None = None
    ) -> None:
        self.config = config or PredictConfig()
        self.device = find_device(device)
        name = self.config.precision
        self.precision = fast_precision(self.device) if name == "auto" else PRECISIONS[name]
        self.shape: UNetConfig = network.config
        self._network = inference_copy(network, device=self.device, precision=self.precision)
        self._run: Any = torch.compile(self._network) if self.config.compile else self._network

    def plan(self, shape: Sequence[int]) -> PatchPlan:
        """The windows of a volume of this shape."""
        axes = (self._axis(k, n) for k, n in enumerate(shape))
        size, overlap, halo, step = zip(*axes, strict=True)
        return plan_patches(shape, size=size, overlap=overlap, halo=halo, step=step)

    def resident(self, source: Any) -> Tensor:
        """The whole volume on the device, as it was recorded (one byte per voxel)."""
        return self._on_device(source[:, :, :])

    def blocks(self, source: Any, scale: GreyScale) -> Iterator[tuple[int, NDArray[Any]]]:
        """Probabilities of some slices after the other.

        Parameters
        ----------
        source : tensor or sliceable of numbers, shape (Z, Y, X)
            Grey values on the voxels of the network. A tensor on the device is not copied.
        scale : GreyScale
            Of the whole volume.

        Yields
        ------
        start : int
            First slice of the block; blocks follow each other without a gap.
        probabilities : ndarray, shape (C, slices, Y, X)
            uint8, 0 to 255 for 0 to 1, or float16, as the settings say.
        """
        if self.device.type != "cuda":
            for start, block in self.device_blocks(source, scale):
                yield start, block.cpu().numpy()
            return
        waiting: tuple[int, _Download] | None = None
        for start, block in self.device_blocks(source, scale):
            coming = start, _Download(block)
            if waiting is not None:
                yield waiting[0], waiting[1].wait()
            waiting = coming
        if waiting is not None:
            yield waiting[0], waiting[1].wait()

    @torch.inference_mode()
    def device_blocks(self, source: Any, scale: GreyScale) -> Iterator[tuple[int, Tensor]]:
        """Yield the blocks of `blocks` as tensors on the device."""
        shape = tuple(source.shape)
        plan = self.plan(shape)
        blend = [
            torch.from_numpy(axis.weights).to(self.device) for axis in (plan.z, plan.y, plan.x)
        ]
        n_classes = len(self.shape.classes)
        kept: Tensor | None = None  # sums of slices that later windows add to
        done = 0
        groups = self._groups(plan)
        for at, group in enumerate(groups):
            stop = plan.z.target(group[-1]).stop
            final = stop if at + 1 == len(groups) else plan.z.starts[groups[at + 1][0]]
            sums = torch.zeros((n_classes, stop - done, *shape[1:]), device=self.device)
            if kept is not None:
                sums[:, : kept.shape[1]] = kept
            self._add(sums, done, source, scale, plan, blend, group)
            whole = sums[:, : final - done].clamp_(0, 1)
            if self.config.output == "float16":
                yield done, whole.to(torch.float16)
            else:
                yield done, (whole * 255).round_().to(torch.uint8)
            kept, done = sums[:, final - done :], final

    def _add(
        self,
        sums: Tensor,
        done: int,
        source: Any,
        scale: GreyScale,
        plan: PatchPlan,
        blend: Sequence[Tensor],
        group: Sequence[int],
    ) -> None:
        """Add the weighted probabilities of all windows of some slices."""
        index = np.stack([plan.z.source(k) for k in group])
        low = int(index.min())
        slab = self._on_device(source[low : int(index.max()) + 1])
        slab = (slab.to(torch.float32) - scale.mean) / scale.std
        slab = slab.to(self.precision)
        slices = slab[torch.from_numpy(index - low).to(self.device)]  # (G, Z, Y, X)
        deep, tall, wide = blend
        first, last = plan.z.target(group[0]), plan.z.target(group[-1])
        for i in range(len(plan.y.starts)):
            rows = _pick(slices, plan.y, i, axis=2)
            for j in range(len(plan.x.starts)):
                patch = _pick(rows, plan.x, j, axis=3)
                found = self._probabilities(patch)  # (G, C, Z', Y', X')
                ys, xs = plan.y.target(i), plan.x.target(j)
                found = found[..., : ys.stop - ys.start, : xs.stop - xs.start]
                found *= tall[i, : found.shape[-2], None] * wide[j, : found.shape[-1]]
                if plan.z.is_tiling:  # as single slices are: added all at once
                    column = found.movedim(1, 0).flatten(1, 2)[:, : last.stop - first.start]
                    sums[:, first.start - done : last.stop - done, ys, xs] += column
                    continue
                for g, k in enumerate(group):
                    zs = plan.z.target(k)
                    weight = deep[k, : zs.stop - zs.start, None, None]
                    part = found[g, :, : zs.stop - zs.start] * weight
                    sums[:, zs.start - done : zs.stop - done, ys, xs] += part

    def _probabilities(self, patch: Tensor) -> Tensor:
        if not self.config.flips:
            return self._network.probabilities(self._run(patch)).float()
        # In the plane: as it is, and mirrored along y, x and both.
        mirrors = [[], [-2], [-1], [-2, -1]]
        total: Any = 0
        for axes in mirrors:
            found = self._network.probabilities(self._run(patch.flip(axes)))
            total = total + found.float().flip(axes)
        return total / len(mirrors)

    def _on_device(self, values: Any) -> Tensor:
        if isinstance(values, Tensor):
            return values.to(self.device)
        array = np.ascontiguousarray(values)
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.astype(np.float32)
        return torch.from_numpy(array).to(self.device)

    def _groups(self, plan: PatchPlan) -> list[list[int]]:
        """Windows along z that go through the network together."""
        deep = plan.z.size + 2 * plan.z.halo
        window = deep * (plan.y.size + 2 * plan.y.halo) * (plan.x.size + 2 * plan.x.halo)
        most = self.config.batch_voxels or (1 << 22 if self.device.type == "cuda" else 1 << 20)
        n = max(1, most // window)
        ks = list(range(len(plan.z.starts)))
        return [ks[k : k + n] for k in range(0, len(ks), n)]

    def _axis(self, axis: int, n: int) -> tuple[int, int, int, int]:
        """Output, overlap, halo and step of windows along an axis of `n` voxels."""
        shape, config = self.shape, self.config
        if axis == 0 and shape.n_axes == 2:
            halo = (shape.slices_in - shape.slices_out) // 2
            return shape.slices_out, shape.slices_out // 2 if n > shape.slices_out else 0, halo, 1
        wanted, overlap = (
            (config.depth_vx, config.overlap_slices)
            if axis == 0
            else (config.patch_px, config.overlap_px)
        )
        # As many windows as it takes, then as small as still cover the axis: a little more
        # than one window goes in at once, and hardly a voxel more than needed is computed.
        count = 1 if n <= wanted + overlap else -(-(n - overlap) // (wanted - overlap))
        size = -(-(n + (count - 1) * overlap) // count)
        # Windows lie on the grid of the halvings, so neighbours are at least a step apart.
        step = shape.multiple
        length = shape.valid_length(max(size, step) + shape.shrinks_by)
        out = shape.output_length(length)
        return out, min(overlap, out - step) if n > out else 0, (length - out) // 2, step


class _Download:
    """A block on its way from a GPU, while the GPU already works on the next one."""

    def __init__(self, block: Tensor) -> None:
        self._host = torch.empty(block.shape, dtype=block.dtype, pin_memory=True)
        self._host.copy_(block, non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record(torch.cuda.current_stream(block.device))

    def wait(self) -> NDArray[Any]:
        self._arrived.synchronize()
        return self._host.numpy()


def _pick(values: Tensor, windows: AxisWindows, k: int, *, axis: int) -> Tensor:
    index = windows.source(k)
    if len(index) == values.shape[axis] and np.array_equal(index, np.arange(len(index))):
        return values
    return values.index_select(axis, torch.from_numpy(index).to(values.device))
