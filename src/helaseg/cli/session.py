"""One command at work: its log, its progress bars, what it says."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helaseg.cli.progress_lines import CLOSE_S, SPARSE_S, ProgressLines

if TYPE_CHECKING:
    from helaseg.cli.options import CommonOptions
    from helaseg.execution import Progress

#: Whether the traceback of an error is wanted; set by ``--debug`` here or in the file.
debug_wanted: ContextVar[bool] = ContextVar("debug_wanted", default=False)


def process_rank() -> int:
    """Number of this process among those that torchrun started; 0 alone."""
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return int(os.environ.get("RANK", "0")) if together else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Tools of a command while it works.

    Parameters
    ----------
    common : CommonOptions
        The options of every command.
    progress : Progress, optional
        Draws bars; None when nobody sees them.
    """

    common: CommonOptions
    progress: Progress | None

    def say(self, text: str) -> None:
        """A line of the summary on stdout; silent with ``--quiet``."""
        if not self.common.quiet:
            sys.stdout.write(text + "\n")


def show(text: str) -> None:
    """The asked-for result of a command on stdout, also with ``--quiet``."""
    sys.stdout.write(text + "\n")


@contextmanager
def session(
    common: CommonOptions, *, computes: bool = False, closely: bool = False
) -> Iterator[Session]:
    """Set up log and progress bars for one command and take them down again.

    Parameters
    ----------
    common : CommonOptions
    computes : bool
        Say on stderr when kernels are compiled, which delays a first run.
    closely : bool
        Where stderr is no terminal, write a line of progress every 2.5 s; else the first one
        after 10 s and later ones at longer and longer intervals.
    """
    from helaseg._threads import thread_setting
    from helaseg.cli.options import parse_bytes
    from helaseg.execution import parse_executor

    if common.debug:
        debug_wanted.set(True)
    # Checked before any file is opened, so that a typing error costs nothing.
    thread_setting()
    parse_executor(common.executor)
    if common.memory_limit is not None:
        parse_bytes(common.memory_limit)
    with ExitStack() as stack:
        stack.enter_context(_log_to_stderr(common.log_level))
        progress = stack.enter_context(_bars(common, closely=closely))
        if computes and not common.dry_run and not common.quiet:
            stack.enter_context(_compilation_told(common.executor))
        yield Session(common=common, progress=progress)


@contextmanager
def _compilation_told(executor: str) -> Iterator[None]:
    """Say why a first run takes longer, and how much longer it took."""
    from helaseg.execution import NOTICE, cached_kernels, watch_compilation

    def say(text: str) -> None:
        sys.stderr.write(f"helaseg: {text}\n")

    cache = cached_kernels()
    told = executor.startswith("processes") and (cache is None or cache[1] == 0)
    if told:
        say(NOTICE)  # workers compile out of sight of this process
    with watch_compilation(None if told else say) as made:
        yield
    if made.n_compiled:
        say(f"compiling took {made.total_seconds:.0f} s")


@contextmanager
def _log_to_stderr(level: str) -> Iterator[None]:
    logger = logging.getLogger("helaseg")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("helaseg: %(levelname)s: %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _write_line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def _bars(common: CommonOptions, *, closely: bool) -> Iterator[Progress | None]:
    """Bars on stderr while it is a terminal, else lines."""
    seen = sys.stderr.isatty()
    if common.quiet or (common.dry_run and not seen):
        yield None
        return
    if not seen:
        with ProgressLines(_write_line, intervals_s=CLOSE_S if closely else SPARSE_S) as spoken:
            yield spoken
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
    with Progress(*columns, Remaining(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step)
            bars.update(tasks[step], completed=done, total=total or None)

        yield progress
