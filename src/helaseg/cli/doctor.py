"""``helaseg doctor``: what this installation can do."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from helaseg._threads import thread_setting
from helaseg.cli.options import CommonOptions
from helaseg.cli.plan import as_bytes
from helaseg.cli.session import session, show
from helaseg.core.results import installed_versions
from helaseg.errors import JobError
from helaseg.execution import cached_kernels, kernel_cache_places, usable_cores

#: Extra, what to look for, what it is for.
EXTRAS = (
    ("deep", "torch", "training and prediction with networks"),
    ("cluster", "distributed", "workers on other machines"),
    ("data", "h5py", "MATLAB files of version 7.3"),
)
#: Extras that bring a library which no command uses yet.
PLANNED = (
    ("view", "pictures in napari"),
    ("web", "pictures in the browser"),
    ("mesh", "surface files"),
)


def doctor(
    *,
    warm: Annotated[bool, Parameter(negative=())] = False,
    common: CommonOptions = CommonOptions(),
) -> None:
    """Show versions, cores, memory, disk, optional parts and the state of the kernel cache.

    Parameters
    ----------
    warm : bool
        First compile every kernel for this processor, so that no later job has
        to: up to a minute, once per installation and processor model.
    """
    with session(common) as work:
        if common.dry_run:
            after = " after compiling every kernel into its cache" if warm else ", writes nothing"
            show(f"plan of 'helaseg doctor': looks at the installation{after}")
            return
        if warm:
            if cached_kernels() is None:
                raise JobError(f"kernels cannot be kept: {kernel_cache()}")
            from helaseg.pipelines.warm import warm_kernels

            work.say("compiling what is not in the kernel cache, up to a minute")
            made = warm_kernels(progress=work.progress)
            work.say(
                f"every kernel is compiled now, it took {made.total_seconds:.0f} s"
                if made.n_compiled
                else "every kernel was in the cache"
            )
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
    yield f"{'threads':<16}{thread_setting()} in one kernel call (NUMBA_NUM_THREADS)"
    yield f"{'memory':<16}{as_bytes(memory.available)} free of {as_bytes(memory.total)}"
    yield f"{'disk':<16}{as_bytes(disk.free)} free of {as_bytes(disk.total)} (this folder)"
    yield f"{'kernel cache':<16}{kernel_cache()}"
    for extra, module, purpose in EXTRAS:
        if importlib.util.find_spec(module) is not None:
            state = f"present: {purpose}"
        else:
            state = f"missing: {purpose}; pip install 'helaseg[{extra}]'"
        yield f"{'[' + extra + ']':<16}{state}"
    for extra, purpose in PLANNED:
        yield f"{'[' + extra + ']':<16}not yet: {purpose}"


def kernel_cache() -> str:
    """Return whether compiled kernels can be kept on disk, in words."""
    found = cached_kernels()
    if found is None:
        places = " or ".join(map(str, kernel_cache_places()))
        return (
            f"cannot write to {places}, kernels are compiled in every run; "
            "set NUMBA_CACHE_DIR to a folder of yours"
        )
    place, n_files = found
    if n_files == 0:
        return f"empty, in {place}; 'helaseg doctor --warm' fills it"
    return f"works, {n_files} kernels in {place}"
