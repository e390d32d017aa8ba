"""Data sets on disk: which images, which labels, of which cell. Nothing here needs torch."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from helaseg._validate import as_zyx, check_choice, check_positive
from helaseg.core.volume import Sliceable, Volume
from helaseg.deep.examples import Example, make_example
from helaseg.deep.labels import LabelPart, VotePart, parts_of
from helaseg.deep.train_config import TrainConfig
from helaseg.errors import (
    DataFormatError,
    GridMismatchError,
    HelasegError,
    MissingVoxelSizeError,
)
from helaseg.io import find_image, open_volume, read_segmentation, to_uint8
from helaseg.io.method_files import RAW_NAMES

Kind = Literal["labels", "votes", "classical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledVolume:
    """One image and what is known of it.

    Parameters
    ----------
    image : Path
        Grey values.
    labels : Path
        Label image, votes, or the folder of `helaseg segment`.
    kind : {"labels", "votes", "classical"}
        Which of them: integers; shares of votes between 0 and 1; the unsupervised result, the
        confidence of which is the weight.
    cell : str
        Cell it shows, by default the name of the image.
    voxel_size_nm : tuple of float, optional
        z, y, x, where the files do not say.
    slices : tuple of int, optional
        Slices, from 0, that are labelled; all by default. The others count nothing.
    ignore : Path, optional
        Mask of voxels that count nothing.
    instances : bool
        Every label is an object of the one class.
    values : mapping of str to sequence of int
        Labels of each class, where they are not those of `helaseg segment`.
    weight : float
        How much the volume counts, 0 to 1.
    """

    image: Path
    labels: Path
    kind: Kind = "labels"
    cell: str = ""
    voxel_size_nm: tuple[float, float, float] | None = None
    slices: tuple[int, ...] | None = None
    ignore: Path | None = None
    instances: bool = False
    values: Mapping[str, Sequence[int]] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("labels", "votes", "classical"))
        check_positive("weight", self.weight)
        object.__setattr__(self, "cell", str(self.cell) or self.image.name.partition(".")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled volumes, and which cells are kept for validation.

    Parameters
    ----------
    volumes : tuple of LabelledVolume
    validation : tuple of str
        Cells; empty leaves the choice to the settings of training.
    """

    volumes: tuple[LabelledVolume, ...]
    validation: tuple[str, ...] = ()


def read_dataset(path: Path) -> Dataset:
    """Read what a folder or a TOML file lists.

    Parameters
    ----------
    path : Path
        A folder with ``images`` and ``labels`` (or ``votes``), files or folders of slices of
        equal names, and perhaps ``ignore``; or a TOML file with a table ``[[volume]]`` for
        each volume: ``image``, one of ``labels``, ``votes`` and ``classical``, and what else
        `LabelledVolume` knows. Its paths start at the file. ``validation`` lists cells.

    Raises
    ------
    DataFormatError
        If there is nothing, or an image without labels or the other way round.
    """
    if path.is_dir():
        return Dataset(volumes=tuple(_in_folder(path)))
    if not path.is_file():
        msg = f"{path} is no data set: give a folder with images/ and labels/, or a TOML file"
        raise DataFormatError(msg)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        msg = f"{path} must be a TOML file that lists volumes ({error})"
        raise DataFormatError(msg) from error
    unknown = sorted(content.keys() - {"volume", "validation"})
    if unknown or not content.get("volume"):
        came = f"unknown keys {', '.join(unknown)}" if unknown else "no table [[volume]]"
        msg = f"{path} must have tables [[volume]] and perhaps a list 'validation', it has {came}"
        raise DataFormatError(msg)
    tables, validation = content["volume"], content.get("validation", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        msg = f"{path} must list its volumes as tables [[volume]], 'volume' is something else"
        raise DataFormatError(msg)
    if not isinstance(validation, list):
        msg = f"{path} must list the cells of 'validation' in [...], got {validation!r}"
        raise DataFormatError(msg)
    volumes = tuple(_from_table(path, k, table) for k, table in enumerate(tables, start=1))
    return Dataset(volumes=volumes, validation=tuple(map(str, validation)))


def from_classical(folders: Iterable[Path]) -> list[LabelledVolume]:
    """Segmented ROIs, each with its image, as labelled volumes.

    Raises
    ------
    DataFormatError
        If a folder holds no image: list it in a TOML file, which names one.
    """
    found = []
    for folder in folders:
        raw = find_image(folder)
        if raw == folder:
            msg = (
                f"{folder} must hold the image as one of {', '.join(RAW_NAMES)}; 'helaseg run' "
                "writes it, or name it in a TOML data set"
            )
            raise DataFormatError(msg)
        cell = folder.resolve().name
        found.append(LabelledVolume(image=raw, labels=folder, kind="classical", cell=cell))
    return found


def open_example(volume: LabelledVolume, config: TrainConfig) -> Example:
    """Read a labelled volume on the voxels of the network.

    Raises
    ------
    DataFormatError
        If the files do not fit, or say nothing of the classes.
    GridMismatchError
        If labels state another voxel size or place than their image.
    """
    try:
        # What helaseg segmented with gaps is learned with them.
        gaps = volume.kind == "classical"
        image = to_uint8(open_volume(volume.image, volume.voxel_size_nm, allow_gaps=gaps))
    except MissingVoxelSizeError as error:
        msg = (
            f"{volume.image} does not state its voxel size; list it in a TOML data set with "
            "voxel_size_nm = [Z, Y, X]"
        )
        raise MissingVoxelSizeError(msg) from error
    network = config.network
    classes = network.classes[1:] if network.head == "classes" else network.classes
    weights = np.full(image.shape[0], float(volume.weight))
    name = str(volume.labels)
    if volume.kind == "classical":
        parts, known, sure = _from_result(volume.labels, image, classes)
        note = "the unsupervised result"
        weights *= sure
    else:
        labels = _beside(volume.labels, image, volume.voxel_size_nm)
        if volume.kind == "votes":
            if len(classes) != 1:
                msg = f"{name} holds votes on one class, the network wants {', '.join(classes)}"
                raise DataFormatError(msg)
            parts, known = {classes[0]: VotePart(labels.data)}, None
            note = f"votes on {classes[0]}"
        else:
            parts, known, note = parts_of(
                labels.data,
                classes,
                name=name,
                values=dict(volume.values) or None,
                holds="objects" if volume.instances else None,
            )
    if volume.slices is not None:
        weights *= _only(volume.slices, image.shape[0], name)
    if volume.ignore is not None:
        left_out = _beside(volume.ignore, image, volume.voxel_size_nm).data
        seen: Sliceable = LabelPart(left_out, (), inverse=True)
        known = seen if known is None else _Both(known, seen)
    return make_example(
        image,
        parts,
        config=config,
        name=str(volume.image),
        cell=volume.cell,
        known=known,
        slice_weights=weights.tolist(),
        note=note,
    )


def _from_result(
    folder: Path, image: Volume, classes: Sequence[str]
) -> tuple[dict[str, Sliceable], Sliceable | None, Any]:
    """Classes of the unsupervised result, and how sure each slice is."""
    result = read_segmentation(folder)
    result.labels.grid.check_agrees(image.grid, names=(str(folder), "its image"))
    parts, known, _ = parts_of(result.labels.data, classes, name=str(folder), holds="classes")
    if "nucleus" in parts and "nuclear envelope" not in parts:
        parts["nucleus"] = LabelPart(result.nucleus.data, ())
    # A slice without nucleus has no confidence: that there is none is as sure as can be.
    sure = np.array([s.confidence for s in result.slices])
    return parts, known, np.where(np.isfinite(sure), np.clip(sure, 0, 1), 1.0)


class _Both:
    """Voxels that two images of 0 to 255 know."""

    def __init__(self, first: Sliceable, second: Sliceable) -> None:
        self.first, self.second = first, second
        self.shape, self.dtype = first.shape, first.dtype

    def __getitem__(self, index: Any) -> Any:
        return np.minimum(self.first[index], self.second[index])


def _beside(path: Path, image: Volume, voxel_size_nm: tuple[float, float, float] | None) -> Volume:
    """Open a second image on the grid of the first; it need not state its voxel size."""
    grid = image.grid
    try:
        volume = open_volume(path, voxel_size_nm)
    except MissingVoxelSizeError:
        volume = open_volume(path, grid.voxel_size_nm)
    own = volume.grid
    if not np.allclose(own.voxel_size_nm, grid.voxel_size_nm, rtol=1e-3):
        sizes = [" x ".join(f"{v:g}" for v in g.voxel_size_nm) for g in (own, grid)]
        msg = (
            f"{path} states voxels of {sizes[0]} nm, its image {image.name} has {sizes[1]} nm; "
            "correct the wrong file, or list both in a TOML data set with voxel_size_nm = [Z, Y, X]"
        )
        raise GridMismatchError(msg)
    placed = any(own.offset_nm) and any(grid.offset_nm)
    if placed and not np.allclose(own.to_vx(grid.offset_nm), 0, atol=0.5):
        msg = (
            f"{path} lies at {own.offset_nm} nm (z, y, x), its image {image.name} at "
            f"{grid.offset_nm} nm; give labels of the same place"
        )
        raise GridMismatchError(msg)
    if volume.shape != image.shape:
        msg = f"{path} must have the shape of its image {image.shape}, got {volume.shape}"
        raise DataFormatError(msg)
    return volume


def _only(slices: Sequence[int], n: int, name: str) -> Any:
    wrong = [z for z in slices if not 0 <= z < n]
    if wrong or not slices:
        came = f"{wrong[0]}" if wrong else "none"
        msg = f"'slices' of {name} must lie between 0 and {n - 1}, got {came}"
        raise DataFormatError(msg)
    there = np.zeros(n)
    there[list(slices)] = 1
    return there


def _in_folder(path: Path) -> list[LabelledVolume]:
    images = _by_name(path / "images")
    given = [k for k in ("labels", "votes") if (path / k).is_dir()]
    if not images or not given:
        what = "images" if not images else "labels"
        msg = f"{path} holds no training data: {what}/ is missing or empty"
        raise DataFormatError(msg)
    found = []
    ignore = _by_name(path / "ignore")
    for kind in given:
        labels = _by_name(path / kind)
        stray = sorted(labels.keys() - images.keys())
        if stray:
            msg = f"{labels[stray[0]]} has no image of the same name in {path / 'images'}"
            raise DataFormatError(msg)
        found += [
            LabelledVolume(
                image=images[name],
                labels=file,
                kind=kind,  # type: ignore[arg-type]
                cell=name,
                ignore=ignore.get(name),
            )
            for name, file in labels.items()
        ]
    alone = sorted(images.keys() - {v.cell for v in found})
    if alone:
        msg = f"{images[alone[0]]} has no labels of the same name; add them, or move it away"
        raise DataFormatError(msg)
    return found


def _by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    return {p.name.partition(".")[0]: p for p in files}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _is_integers(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int for v in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: What the keys of a table [[volume]] must hold, and how to say so.
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **{
        name: (_is_text, "the path of a file")
        for name in ("image", "labels", "votes", "classical", "ignore")
    },
    "cell": (lambda v: isinstance(v, str | int), "a name"),
    "slices": (_is_integers, "a list of slices, such as [0, 2]"),
    "instances": (lambda v: isinstance(v, bool), "true or false"),
    "values": (
        lambda v: isinstance(v, dict) and all(_is_integers(n) for n in v.values()),
        "a table of classes with lists of labels, such as { nucleus = [2] }",
    ),
    "weight": (_is_number, "a number"),
}


def _from_table(path: Path, k: int, table: Mapping[str, Any]) -> LabelledVolume:
    place = f"{path}, volume {k}"
    kinds = [kind for kind in ("labels", "votes", "classical") if kind in table]
    known = {f.name for f in fields(LabelledVolume)} | set(kinds)
    unknown = sorted(table.keys() - known | ({"kind"} & table.keys()))
    if unknown:
        msg = f"{place} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}"
        raise DataFormatError(msg)
    if len(kinds) != 1 or "image" not in table:
        msg = f"{place} must have 'image' and one of 'labels', 'votes' and 'classical'"
        raise DataFormatError(msg)
    values = {k: v for k, v in table.items() if k not in ("labels", "votes", "classical")}
    for name, (is_right, form) in _FORMS.items():
        if name in table and not is_right(table[name]):
            msg = f"{place}: '{name}' must be {form}, got {str(table[name])[:60]!r}"
            raise DataFormatError(msg)
    for name in ("image", "ignore"):
        if name in values:
            values[name] = path.parent / values[name]
    try:
        if "slices" in values:
            values["slices"] = tuple(values["slices"])
        if "voxel_size_nm" in values:
            size = as_zyx("voxel_size_nm", values["voxel_size_nm"], positive=True)
            values["voxel_size_nm"] = size
        return LabelledVolume(
            **values,
            labels=path.parent / table[kinds[0]],
            kind=kinds[0],  # type: ignore[arg-type]
        )
    except HelasegError as error:
        msg = f"{place}: {error}"
        raise DataFormatError(msg) from error
