"""One command at work: its log, its progress bars, what it says."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helaseg.cli.options import CommonOptions
    from helaseg.execution import Progress

#: Whether the traceback of an error is wanted; set by ``--debug`` here or in the file.
debug_wanted: ContextVar[bool] = ContextVar("debug_wanted", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command may use while it works.

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
def session(common: CommonOptions) -> Iterator[Session]:
    """Set up log and progress bars for one command and take them down again."""
    from helaseg.cli.options import parse_bytes
    from helaseg.execution import parse_executor

    if common.debug:
        debug_wanted.set(True)
    # Checked before any file is opened, so that a typing error costs nothing.
    parse_executor(common.executor)
    if common.memory_limit is not None:
        parse_bytes(common.memory_limit)
    with _log_to_stderr(common.log_level), _bars(common) as progress:
        yield Session(common=common, progress=progress)


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


@contextmanager
def _bars(common: CommonOptions) -> Iterator[Progress | None]:
    """Bars on stderr while it is a terminal, else None."""
    if common.quiet or not sys.stderr.isatty():
        yield None
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
