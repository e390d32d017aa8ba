"""The learned method: a trained network on one ROI, as the unsupervised one gives it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.envelope import ENVELOPE_NM
from helaseg.cells.shape import describe_cell
from helaseg.core.grid import Grid
from helaseg.core.objects import CellFlag
from helaseg.core.results import CLASS_NAMES, Provenance, SegmentationResult, SliceRecord
from helaseg.core.volume import LabelVolume, Volume
from helaseg.deep.grey import grey_scale
from helaseg.deep.images import PredictedImage
from helaseg.deep.nucleus import HALF, Keep, keep_components, nucleus_probability
from helaseg.deep.predict_config import Fusion, PredictConfig
from helaseg.deep.resample import ResampledArray, working_grid
from helaseg.errors import CheckpointError
from helaseg.execution import Progress, StepTimer

if TYPE_CHECKING:
    from helaseg.deep.checkpoint import Checkpoint
    from helaseg.deep.train_config import TrainConfig

Bytes = NDArray[np.uint8]
#: Voxels may be this many times as large as those the network knows: interpolation shows
#: nothing that was not recorded.
MAX_COARSER = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedResult:
    """What a network says of one ROI.

    Parameters
    ----------
    segmentation : SegmentationResult
        As the unsupervised method gives it. Without the class cytoplasm its cell is empty.
    probability : ndarray of uint8 (0 to 255 for 0 to 1) or float16, shape (C, Z, Y, X)
        As the settings say.
    agreement : ndarray of uint8, shape (C, Z, Y, X), or None
        How many of three axes gave 0.5 and more.
    grid : Grid
        Of both: voxels of the network.
    classes : tuple of str
        Their channels.
    """

    segmentation: SegmentationResult
    probability: NDArray[Any]
    agreement: Bytes | None
    grid: Grid
    classes: tuple[str, ...]


def predict(
    volume: Volume,
    model: Checkpoint,
    *,
    config: PredictConfig | None = None,
    tri_axis: Fusion | None = None,
    keep: Keep = "target",
    target_vx: tuple[float, float, float] | None = None,
    device: str = "auto",
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> LearnedResult:
    """Apply a trained network to one ROI.

    Parameters
    ----------
    volume : Volume
        Image of one cell, uint8, shape (Z, Y, X).
    model : Checkpoint
        From `helaseg.deep.read_checkpoint`.
    config : PredictConfig, optional
        Windows, flips, precision.
    tri_axis : {"union", "majority", "mean", "intersection"}, optional
        Predict along z, y and x and fuse; along z alone by default.
    keep : {"target", "largest", "all"}
        Which nucleus: that of the target, the largest, or all.
    target_vx : tuple of float, optional
        Point in the target cell, in voxels of `volume`; its middle by default.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
    scratch : Path, optional
        Folder for arrays that may be too large for the memory.
    progress : callable, optional
        Told the slices done.

    Returns
    -------
    LearnedResult

    Raises
    ------
    CheckpointError
        If the network finds no nucleus, or the volume is recorded too coarsely for it.

    Notes
    -----
    1. Grey values on the voxels of the network; along z only if it sees several slices, or for
       three axes.
    2. Probabilities (`Predictor.blocks`), along one axis or fused of three.
    3. The nucleus up to the midline of its envelope; components under 1.25 µm³ are dropped.
    4. Back on the pixels of the volume: probabilities are interpolated, then cut at 0.5. The
       envelope is that of the network, or a band of 70 nm on the border of the nucleus.
    """
    from helaseg.deep.predict import Predictor
    from helaseg.deep.tri_axis import new_array, predict_tri_axis
    from helaseg.io import fingerprint

    config = config or PredictConfig()
    train = model.config
    network = train.network
    if not {"nucleus", "nuclear envelope"} & set(network.classes):
        msg = (
            f"the network knows {', '.join(network.classes)}, but neither nucleus nor nuclear "
            "envelope, which are looked for here"
        )
        raise CheckpointError(msg)
    timer = StepTimer()
    grid = _grid_for(volume.grid, train, tri_axis=tri_axis)
    source: Any = ResampledArray(volume.data, shape=grid.shape, dtype=np.uint8)
    with timer.measured("resample"):
        if tri_axis is not None:
            # Read three times, once along each axis.
            source = _kept(source, scratch)
        scale = grey_scale(source)
    predictor = Predictor(model.network, device=device, config=config)
    with timer.measured("predict"):
        if tri_axis is None:
            shape = (len(network.classes), *grid.shape)
            probability, agreement = new_array(shape, scratch, "z.npy", config.output), None
            for start, block in predictor.blocks(source, scale):
                stop = start + block.shape[1]
                probability[:, start:stop] = block
                _tell(progress, stop, grid.shape[0])
        else:
            found = predict_tri_axis(
                predictor,
                source,
                scale=scale,
                fusion=tri_axis,
                scratch=scratch,
                progress=lambda done, total: _tell(progress, done, total),
            )
            probability, agreement = found.probability, found.agreement
    with timer.measured("nucleus"):
        chances = probability if probability.dtype == np.uint8 else _as_bytes(probability)
        nucleus = nucleus_probability(chances, network.classes, head=network.head)
        target = None if target_vx is None else _moved(target_vx, volume.grid, grid)
        inside = keep_components(nucleus >= HALF, grid, keep=keep, target_vx=target)
    with timer.measured("measure"):
        segmentation = _as_segmentation(
            volume.grid, grid, nucleus, inside, chances, network.classes
        )
    provenance = Provenance(
        config={"predict": dataclasses.asdict(config), "tri_axis": tri_axis, "keep": keep},
        inputs={
            volume.name: {
                "grid": dataclasses.asdict(volume.grid),
                "fingerprint": fingerprint(volume),
            },
            "model": dict(model.provenance),
        },
        seed=train.seed,
        steps=timer.steps,
    )
    return LearnedResult(
        segmentation=dataclasses.replace(segmentation, provenance=provenance),
        probability=probability,
        agreement=agreement,
        grid=grid,
        classes=network.classes,
    )


def _as_segmentation(
    full: Grid,
    grid: Grid,
    nucleus: Bytes,
    inside: NDArray[np.bool_],
    probability: Bytes,
    classes: tuple[str, ...],
) -> SegmentationResult:
    """Label images, measurements and records, as the unsupervised method gives them."""
    # Other nuclei fall below the border, so that interpolation does not bring them back.
    nucleus = np.where(inside, nucleus, np.minimum(nucleus, HALF - 1))
    parts: dict[str, Any] = {"nucleus": nucleus}
    own = None
    if "cytoplasm" in classes:
        body = _sum_of(probability, classes, ("cytoplasm", "nucleus", "nuclear envelope"))
        own = _touching(body >= HALF, inside)
        parts["cell"] = np.where(own, body, np.minimum(body, HALF - 1))
        parts["others"] = np.where(own, np.minimum(body, HALF - 1), body)
    if "nuclear envelope" in classes:
        band = probability[classes.index("nuclear envelope")]
        kept = _touching((band >= HALF) | inside, inside)
        parts["envelope"] = np.where(kept, band, np.minimum(band, HALF - 1))
    parts["band_px"] = ENVELOPE_NM / full.pixel_nm

    def image(kind: Any, names: Any) -> LabelVolume:
        data = PredictedImage(kind, full.shape, **parts)
        return LabelVolume(data=data, grid=full, names=names)

    described = describe_cell(inside, own, grid)
    nucleus_image, cell_image = image("nucleus", {1: "nucleus"}), image("cell", {1: "cell"})
    flags = CellFlag.NONE if inside.any() else CellFlag.NO_NUCLEUS
    whole = inside if own is None else own
    for z, flag in ((0, CellFlag.CUT_AT_FIRST_SLICE), (-1, CellFlag.CUT_AT_LAST_SLICE)):
        if whole[z].any():
            flags |= flag
    sure = ResampledArray(nucleus, shape=full.shape, dtype=np.uint8)
    return SegmentationResult(
        labels=image("labels", CLASS_NAMES),
        nucleus=nucleus_image,
        cell=cell_image,
        slices=tuple(_record(z, nucleus_image, cell_image, sure) for z in range(full.shape[0])),
        invaginations=described.invaginations,
        measurements=dict(described.measurements),
        flags=flags,
    )


def _record(z: int, nucleus: LabelVolume, cell: LabelVolume, sure: Any) -> SliceRecord:
    """Areas of a slice, and the mean probability in the nucleus."""
    inside = nucleus.slice(z) != 0
    n_nucleus, n_cell = int(np.count_nonzero(inside)), int(np.count_nonzero(cell.slice(z)))
    area_um2 = nucleus.grid.face_areas_nm2[0] / 1e6
    return SliceRecord(
        z=z,
        nucleus_px=n_nucleus,
        cell_px=n_cell,
        nucleus_um2=round(n_nucleus * area_um2, 6),
        cell_um2=round(n_cell * area_um2, 6),
        confidence=round(float(sure[z][inside].mean()) / 255, 4) if n_nucleus else math.nan,
        event="predicted" if n_nucleus else "absent",
    )


def _as_bytes(probability: NDArray[Any]) -> Bytes:
    chances = np.empty(probability.shape, np.uint8)
    for z in range(probability.shape[1]):
        np.rint(probability[:, z] * np.float32(255), out=chances[:, z], casting="unsafe")
    return chances


def _sum_of(probability: Bytes, classes: tuple[str, ...], wanted: tuple[str, ...]) -> Bytes:
    there = [probability[classes.index(c)] for c in wanted if c in classes]
    return np.minimum(np.sum(there, axis=0, dtype=np.uint16), 255).astype(np.uint8)


def _touching(mask: NDArray[np.bool_], seed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Components of a mask that overlap another one."""
    from helaseg.image import label

    parts, n = label(mask, return_count=True)
    kept = np.zeros(n + 1, bool)
    kept[np.unique(parts[seed])] = True
    kept[0] = False
    return kept[parts]


def _kept(source: ResampledArray, scratch: Path | None) -> Bytes:
    """The resampled volume, read once, in memory or in a file."""
    from helaseg.deep.tri_axis import new_array

    held = new_array(source.shape, scratch, "grey.npy")
    for z in range(source.shape[0]):
        held[z] = source[z]
    return held


def _grid_for(full: Grid, train: TrainConfig, *, tri_axis: Fusion | None) -> Grid:
    """The voxels of the network in a volume.

    Raises
    ------
    CheckpointError
        If the volume is recorded too coarsely.
    """
    wanted = train.working_voxel_nm
    along_z = train.along_z or tri_axis is not None
    axes = range(0 if along_z else 1, 3)
    if any(full.voxel_size_nm[a] > MAX_COARSER * wanted[a] for a in axes):
        size, aim = (" x ".join(f"{s:g}" for s in v) for v in (full.voxel_size_nm, wanted))
        msg = (
            f"the network knows voxels of {aim} nm, those of this volume are too coarse ({size} "
            "nm): train one for them, or give the right size with --voxel-size-nm Z,Y,X"
        )
        raise CheckpointError(msg)
    return working_grid(full, wanted, along_z=along_z)


def _moved(
    point: tuple[float, float, float], here: Grid, there: Grid
) -> tuple[float, float, float]:
    """A point in the voxels of another grid."""
    z, y, x = there.to_vx(here.to_nm(point))
    return float(z), float(y), float(x)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("predict", done, total)


def write_probabilities(folder: Path, result: LearnedResult) -> list[Path]:
    """Write the probabilities on the voxels of the network.

    Parameters
    ----------
    folder : Path
        Gets ``probability.tif``, one file per class if there are several
        (``probability_nucleus.tif``), and ``agreement.tif`` likewise after a prediction
        along three axes.
    result : LearnedResult

    Returns
    -------
    list of Path
    """
    from helaseg.io import write_tiff

    files = []
    for stem, channels in (("probability", result.probability), ("agreement", result.agreement)):
        if channels is None:
            continue
        for name, channel in zip(result.classes, channels, strict=True):
            ending = "" if len(result.classes) == 1 else "_" + name.replace(" ", "_")
            files.append(folder / f"{stem}{ending}.tif")
            write_tiff(files[-1], channel, result.grid)
    return files


def weights_digest(model: Checkpoint) -> str:
    """A short name of the trained weights: equal weights give equal names."""
    content = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.network.state_dict().items()):
        content.update(name.encode())
        content.update(tensor.cpu().contiguous().numpy())
    return content.hexdigest()


def plan_text(volume: Volume, model: Checkpoint, *, tri_axis: Fusion | None, device: str) -> str:
    """What `predict` would do: voxels, network, device, and memory for its arrays."""
    from helaseg.deep.inference import find_device

    train = model.config
    grid = _grid_for(volume.grid, train, tri_axis=tri_axis)
    classes = train.network.classes
    n_arrays = len(classes) * (5 if tri_axis else 1) + 1
    return "\n".join(
        [
            f"volume    {volume.grid}",
            f"voxels    {grid}",
            f"network   {model.network.n_parameters:,} parameters, classes {', '.join(classes)}",
            f"axes      z, y and x, {tri_axis}" if tri_axis else "axes      z",
            f"device    {find_device(device)}",
            f"disk      {n_arrays * grid.n_voxels / 1e9:.2f} GB while it works",
        ]
    )
