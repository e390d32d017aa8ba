"""The learned method: a trained network on one ROI, as the unsupervised one gives it."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from helaseg.core.grid import Grid
from helaseg.core.results import Provenance, SegmentationResult
from helaseg.core.volume import Volume
from helaseg.deep.grey import grey_scale
from helaseg.deep.nucleus import HALF, Keep, keep_components, nucleus_probability
from helaseg.deep.predict_config import Fusion, PredictConfig
from helaseg.deep.resample import ResampledArray, working_grid
from helaseg.errors import CheckpointError, WeakAxisWarning
from helaseg.execution import Progress, StepTimer
from helaseg.pipelines.learned_segmentation import as_segmentation

if TYPE_CHECKING:
    from helaseg.deep.checkpoint import Checkpoint
    from helaseg.deep.train_config import TrainConfig

Bytes = NDArray[np.uint8]
#: Voxels may be this many times as large as those the network knows: interpolation shows
#: nothing that was not recorded.
MAX_COARSER = 2.5
#: Each of the three axes finds about as much; warn below this fraction of the best axis.
WEAK_AXIS = 0.5
#: Classes of which the nucleus is made; others may be much larger and hide what they lack.
LOOKED_FOR = ("nucleus", "nuclear envelope")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedResult:
    """Prediction of a network for one ROI.

    Parameters
    ----------
    segmentation : SegmentationResult
        As the unsupervised method gives it. Without the class cytoplasm its cell is empty.
    probability : ndarray of uint8 (0 to 255 for 0 to 1) or float16, shape (C, Z, Y, X)
        As the settings say.
    agreement : ndarray of uint8, shape (C, Z, Y, X), or None
        How many of three axes gave 0.5 and more.
    axis_shares : tuple of float, or None
        Voxels of nucleus and envelope that each of three axes (z, y, x) gave 0.5 and more, as
        parts of those of the axis with the most.
    grid : Grid
        Of both: voxels of the network.
    classes : tuple of str
        Their channels.
    """

    segmentation: SegmentationResult
    probability: NDArray[Any]
    agreement: Bytes | None
    axis_shares: tuple[float, ...] | None
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
        If the network knows neither nucleus nor nuclear envelope, or the volume is recorded
        too coarsely for it.

    Notes
    -----
    1. Grey values on the voxels of the network; along z only if it sees several slices, or for
       three axes.
    2. Probabilities (`Predictor.blocks`), along one axis or fused of three.
    3. The nucleus up to the midline of its envelope; components under 1.25 µm³ are dropped.
    4. Back on the pixels of the volume: probabilities are interpolated, then cut at 0.5. The
       envelope is that of the network, or a band of 70 nm on the border of the nucleus.
    """
    from helaseg.deep.device import DeviceEnergy, device_name, versions
    from helaseg.deep.predict import Predictor
    from helaseg.deep.tri_axis import new_array, predict_tri_axis
    from helaseg.io import describe_job, fingerprint

    config = config or PredictConfig()
    train = model.config
    network = train.network
    if not set(LOOKED_FOR) & set(network.classes):
        msg = (
            f"the network knows {', '.join(network.classes)}, but neither nucleus nor nuclear "
            "envelope, which are looked for here"
        )
        raise CheckpointError(msg)
    predictor = Predictor(model.network, device=device, config=config)
    timer = StepTimer(lambda: DeviceEnergy(predictor.device))
    grid = network_grid(volume.grid, train, tri_axis=tri_axis)
    source: Any = ResampledArray(volume.data, shape=grid.shape, dtype=np.uint8)
    with timer.measured("resample"):
        if tri_axis is not None:
            # Read three times, once along each axis.
            source = _kept(source, scratch)
        scale = grey_scale(source)
    with timer.measured("predict"):
        if tri_axis is None:
            shape = (len(network.classes), *grid.shape)
            probability, agreement = new_array(shape, scratch, "z", config.output), None
            axis_shares = None
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
            axis_shares = _axis_shares(found.n_found, network.classes)
    with timer.measured("nucleus"):
        chances = probability if probability.dtype == np.uint8 else _as_bytes(probability)
        nucleus = nucleus_probability(chances, network.classes, head=network.head)
        target = None if target_vx is None else _moved(target_vx, volume.grid, grid)
        inside = keep_components(nucleus >= HALF, grid, keep=keep, target_vx=target)
    with timer.measured("measure"):
        segmentation = as_segmentation(
            volume.grid, grid, nucleus, inside, chances, network.classes
        ).with_slice_numbers(volume.slice_numbers)
    provenance = Provenance(
        config={
            "predict": dataclasses.asdict(config),
            "tri_axis": tri_axis,
            "keep": keep,
            "axis_shares": axis_shares,
        },
        inputs={
            volume.name: {
                "grid": dataclasses.asdict(volume.grid),
                "fingerprint": fingerprint(volume),
            },
            "model": dict(model.provenance),
        },
        seed=train.seed,
        versions=versions(),
        machine=device_name(predictor.device),
        steps=timer.steps,
        job=describe_job(volume),
    )
    return LearnedResult(
        segmentation=dataclasses.replace(segmentation, provenance=provenance),
        probability=probability,
        agreement=agreement,
        axis_shares=axis_shares,
        grid=grid,
        classes=network.classes,
    )


def _axis_shares(n_found: NDArray[np.int64], classes: tuple[str, ...]) -> tuple[float, ...]:
    """Compute the share of the nucleus that each axis finds; warn of an axis with little."""
    own = [k for k, name in enumerate(classes) if name in LOOKED_FOR]
    counts = n_found[:, own].sum(axis=1)
    shares = tuple(float(n) / max(1, int(counts.max())) for n in counts)
    named = zip("zyx", shares, strict=True)
    weak = [f"{100 * s:.0f} % along {axis}" for axis, s in named if s < WEAK_AXIS]
    if weak and counts.any():
        msg = (
            f"the network finds {' and '.join(weak)} of the nucleus that it finds along the best "
            "axis; look at agreement.tif, train it with --axes zyx, or leave out --tri-axis"
        )
        warnings.warn(msg, WeakAxisWarning, stacklevel=3)
    return shares


def _as_bytes(probability: NDArray[Any]) -> Bytes:
    chances = np.empty(probability.shape, np.uint8)
    for z in range(probability.shape[1]):
        np.rint(probability[:, z] * np.float32(255), out=chances[:, z], casting="unsafe")
    return chances


def _kept(source: ResampledArray, scratch: Path | None) -> Bytes:
    """The resampled volume, read once, in memory or in a file."""
    from helaseg.deep.tri_axis import new_array

    held = new_array(source.shape, scratch, "grey")
    for z in range(source.shape[0]):
        held[z] = source[z]
    return held


def network_grid(full: Grid, train: TrainConfig, *, tri_axis: Fusion | None) -> Grid:
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
