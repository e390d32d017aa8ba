"""``helaseg doctor``: what this installation can do."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from helaseg.cli.options import CommonOptions
from helaseg.cli.plan import as_bytes
from helaseg.cli.session import session, show
from helaseg.core.results import installed_versions
from helaseg.execution import usable_cores

#: Extra, what to look for, what it is for.
EXTRAS = (
    ("deep", "torch", "training and prediction with networks"),
    ("cluster", "distributed", "workers on other machines"),
    ("view", "napari", "pictures in napari"),
    ("web", "neuroglancer", "pictures in the browser"),
    ("data", "pooch", "public data sets"),
    ("mesh", "trimesh", "surface files"),
)


def doctor(*, common: CommonOptions = CommonOptions()) -> None:
    """Show versions, cores, memory, disk, optional parts and the state of the kernel cache."""
    with session(common):
        if common.dry_run:
            show("plan of 'helaseg doctor': looks at the installation, writes nothing")
            return
        for line in _lines():
            show(line)


def _lines() -> Iterator[str]:
    import psutil

    for name, version in installed_versions().items():
        yield f"{name:<16}{version}"
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(Path.cwd())
    yield f"{'system':<16}{platform.platform()}"
    yield f"{'cores':<16}{usable_cores()} usable of {os.cpu_count()}"
    yield f"{'memory':<16}{as_bytes(memory.available)} free of {as_bytes(memory.total)}"
    yield f"{'disk':<16}{as_bytes(disk.free)} free of {as_bytes(disk.total)} (this folder)"
    yield f"{'kernel cache':<16}{kernel_cache()}"
    for extra, module, purpose in EXTRAS:
        if importlib.util.find_spec(module) is not None:
            state = f"present: {purpose}"
        else:
            state = f"missing: {purpose}; pip install 'helaseg[{extra}]'"
        yield f"{'[' + extra + ']':<16}{state}"


def kernel_cache() -> str:
    """Whether compiled kernels can be kept on disk, in words."""
    import helaseg._kernels

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(chosen)] if chosen else [Path(helaseg._kernels.__path__[0]) / "__pycache__"]
    if not chosen:
        # Where numba goes when the package folder is read-only.
        places.append(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "numba")
    for place in places:
        if _writable(place):
            n_files = len(list(place.rglob("*.nbi")))
            return f"works, {n_files} kernels in {place}"
    return (
        f"cannot write to {' or '.join(map(str, places))}, kernels are compiled in every run; "
        "set NUMBA_CACHE_DIR to a folder of yours"
    )


def _writable(place: Path) -> bool:
    existing = next(p for p in (place, *place.parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return True
    except OSError:
        return False
