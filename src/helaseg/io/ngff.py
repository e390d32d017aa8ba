"""OME-Zarr metadata: from the attributes of a group to axes and scales, and back.

Reads the versions 0.1 to 0.6; writes 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helaseg.core.grid import Grid
from helaseg.errors import DataFormatError
from helaseg.io.units import nm_per_unit

VERSION = "0.5"

_OLD_AXES = "tczyx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of an image: its name, its type and its unit in nm (None if unknown)."""

    name: str
    kind: str
    unit_nm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One resolution: the array's path in its group, scale and translation per array axis.

    Both are in the units of the axes; None where the metadata does not give a scale.
    """

    path: str
    scale: tuple[float, ...] | None
    translation: tuple[float, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiscale:
    """An image in several resolutions, the finest first."""

    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]

    def zyx(self, shape: Sequence[int], *, where: str) -> tuple[int | None, int, int]:
        """Find the array axes of z (None if there is no z), y and x.

        Raises
        ------
        DataFormatError
            If another axis, such as time or channel, has more than one entry.
        """
        axes = self.axes or tuple(
            Axis(name=n, kind="", unit_nm=None) for n in _OLD_AXES[-len(shape) :]
        )
        if len(axes) != len(shape):
            msg = f"{where} states {len(axes)} axes but its array has shape {tuple(shape)}"
            raise DataFormatError(msg)
        names = [axis.name.lower() for axis in axes]
        if "y" in names and "x" in names:
            z = names.index("z") if "z" in names else None
            places = (z, names.index("y"), names.index("x"))
        else:
            space = [i for i, axis in enumerate(axes) if axis.kind == "space"]
            if len(space) not in (2, 3):
                msg = f"{where} must have the axes z, y, x, got {', '.join(names)}"
                raise DataFormatError(msg)
            places = (space[-3] if len(space) == 3 else None, space[-2], space[-1])
        for i, n in enumerate(shape):
            if i not in places and n != 1:
                msg = (
                    f"{where} has {n} entries along '{names[i]}', one grey image is expected; "
                    f"store one of them as a volume of its own"
                )
                raise DataFormatError(msg)
        return places

    def grid(self, number: int, shape: Sequence[int], *, where: str) -> Grid | None:
        """The grid of a level, None where scale or units are not given.

        Raises
        ------
        DataFormatError
            If the scale is not positive or the axes do not fit.
        """
        places = self.zyx(shape, where=where)
        level = self.levels[number]
        if level.scale is None or level.translation is None or places[0] is None:
            return None
        chosen = [i for i in places if i is not None]
        units = [self.axes[i].unit_nm for i in chosen] if self.axes else [None]
        known = [u for u in units if u is not None]
        if len(known) != 3:
            return None
        size = [level.scale[i] * u for i, u in zip(chosen, known, strict=True)]
        if not all(math.isfinite(s) and s > 0 for s in size):
            msg = f"{where} must state a positive scale, got {level.scale}"
            raise DataFormatError(msg)
        offset = [level.translation[i] * u for i, u in zip(chosen, known, strict=True)]
        return Grid(
            shape=tuple(shape[i] for i in chosen),  # type: ignore[arg-type]
            voxel_size_nm=tuple(size),  # type: ignore[arg-type]
            offset_nm=tuple(offset),  # type: ignore[arg-type]
        )


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a group's attributes that OME-Zarr defines (its place differs by version)."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def read_multiscale(attributes: Mapping[str, Any], *, where: str) -> Multiscale | None:
    """The first multiscale image of a group's attributes; None if there is none.

    Parameters
    ----------
    attributes : mapping
        Attributes of the zarr group.
    where : str
        Path for messages.

    Raises
    ------
    DataFormatError
        If the metadata are there but wrong, or hold a transformation other than
        scale and translation.

    Notes
    -----
    Up to 0.5 the axes stand in the multiscale, and its own transformations follow
    those of each dataset. In 0.6 the axes stand in the coordinate system
    that the transformations of the datasets lead to, each may be a sequence, and
    the multiscale's own ones lead on to other systems: they are not applied.

    References
    ----------
    Moore et al. 2023, "OME-Zarr: a cloud-optimized bioimaging file format",
    Histochem. Cell Biol. 160, 223, doi:10.1007/s00418-023-02209-1; the
    specification at https://ngff.openmicroscopy.org (0.6: RFC-5).
    """
    found = ome_attributes(attributes).get("multiscales")
    if not found:
        return None
    try:
        return _parse(found[0], where)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, DataFormatError):
            raise
        msg = f"{where} has OME-Zarr metadata that cannot be understood ({error!r})"
        raise DataFormatError(msg) from error


def _parse(image: Mapping[str, Any], where: str) -> Multiscale:
    datasets = image["datasets"]
    systems = image.get("coordinateSystems")
    axes = _axes(image.get("axes", ()) if not systems else _intrinsic(systems, datasets)["axes"])
    after = image.get("coordinateTransformations", ()) if not systems else ()
    levels = []
    for dataset in datasets:
        steps = [*dataset.get("coordinateTransformations", ()), *after]
        scale, translation = _compose(steps, len(axes), where) if steps and axes else (None, None)
        levels.append(Level(path=str(dataset["path"]), scale=scale, translation=translation))
    if not levels:
        msg = f"{where} is an OME-Zarr image without datasets"
        raise DataFormatError(msg)
    return Multiscale(axes=axes, levels=tuple(levels))


def _intrinsic(
    systems: Sequence[Mapping[str, Any]], datasets: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The coordinate system into which the datasets are placed."""
    steps = datasets[0].get("coordinateTransformations") or [{}]
    output = steps[-1].get("output")
    name = output.get("name") if isinstance(output, Mapping) else output
    return next((s for s in systems if s.get("name") == name), systems[0])


def _axes(entries: Sequence[Any]) -> tuple[Axis, ...]:
    axes = []
    for entry in entries:
        given = {"name": entry} if isinstance(entry, str) else entry
        axes.append(
            Axis(
                name=str(given["name"]),
                kind=str(given.get("type", "")),
                unit_nm=nm_per_unit(given.get("unit")),
            )
        )
    return tuple(axes)


def _compose(
    steps: Sequence[Mapping[str, Any]], ndim: int, where: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translation of transformations carried out one after the other."""
    scale, shift = [1.0] * ndim, [0.0] * ndim
    for step in _flat(steps):
        kind = step.get("type")
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or kind not in step:
            msg = (
                f"{where} is placed by a transformation of type {kind!r}, only scale and "
                f"translation written in the metadata are read; give the voxel size instead"
            )
            raise DataFormatError(msg)
        values = [float(v) for v in step[kind]]
        if len(values) != ndim:
            msg = f"{where} states a {kind} of {len(values)} numbers for {ndim} axes"
            raise DataFormatError(msg)
        if kind == "scale":
            scale = [a * v for a, v in zip(scale, values, strict=True)]
            shift = [a * v for a, v in zip(shift, values, strict=True)]
        else:
            shift = [a + v for a, v in zip(shift, values, strict=True)]
    return tuple(scale), tuple(shift)


def _flat(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    flat: list[Mapping[str, Any]] = []
    for step in steps:
        flat += _flat(step["transformations"]) if step.get("type") == "sequence" else [step]
    return flat


def image_attributes(
    grids: Sequence[Grid],
    *,
    name: str,
    kind: str,
    names: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Attributes of an OME-Zarr 0.5 group whose levels are the arrays "0", "1", ...

    Parameters
    ----------
    grids : sequence of Grid
        Grid of each level, the finest first.
    name : str
        Name of the image.
    kind : {"image", "labels"}
        Labels get the ``image-label`` entry.
    names : mapping of int to str, optional
        What the labels mean.
    """
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [
                {"type": "scale", "scale": list(grid.voxel_size_nm)},
                {"type": "translation", "translation": list(grid.offset_nm)},
            ],
        }
        for number, grid in enumerate(grids)
    ]
    image: dict[str, Any] = {
        "name": name,
        "axes": [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"],
        "datasets": datasets,
    }
    if len(grids) > 1:
        image["type"] = "mode" if kind == "labels" else "mean"
    ome: dict[str, Any] = {"version": VERSION, "multiscales": [image]}
    if kind == "labels":
        properties = [
            {"label-value": int(v), "name": text} for v, text in sorted((names or {}).items())
        ]
        ome["image-label"] = {"properties": properties} if properties else {}
    return {"ome": ome}
