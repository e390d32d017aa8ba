"""The command ``helaseg``: its commands, its errors and its exit codes.

Commands are named by import path and loaded when they are used, so that
``helaseg --help`` costs little. Exit codes: 0 done, 1 the job failed, 2 wrong
use or bad input.
"""

from __future__ import annotations

import difflib
import os
import re
import select
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError

from helaseg._version import __version__
from helaseg.cli.config_file import apply_config_file
from helaseg.cli.help import HELP_ALL, all_wanted
from helaseg.cli.session import debug_wanted, process_rank
from helaseg.errors import HelasegError, HelasegWarning, JobError

_NUMBER = r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?"
_NUMBER_LIST = re.compile(f"{_NUMBER}(?:,{_NUMBER})+")
_LENGTH = re.compile(rf"({_NUMBER})\s*([a-zA-ZµμåÅ]+)?")
_OPTION = re.compile("--[^=]+")

#: Command, where it lives, one line of help.
COMMANDS = (
    ("run", "run:run", "The whole job: find, crop and segment the cells of a volume, and report."),
    ("detect", "detect:detect", "Find background and cells, linked through the slices."),
    ("crop", "detect:crop", "Cut the boxes of the cells out of a volume."),
    ("segment", "segment:segment", "Nucleus, nuclear envelope and cell of one ROI."),
    ("train", "train:train", "A U-Net from images and labels."),
    ("predict", "predict:predict", "A trained U-Net on one ROI, along one axis or three."),
    ("evaluate", "evaluate:evaluate", "All metrics of a prediction against the truth."),
    ("compare", "compare:compare", "Any number of methods side by side, against one truth."),
    ("phantom", "phantom:phantom", "A synthetic volume with exact truth."),
    ("demo", "demo:demo", "Phantom, run, scores, and a U-Net beside it, to see that all works."),
    ("info", "info:info", "What a file is: format, size, voxel size, compression."),
    ("doctor", "doctor:doctor", "What this installation can do."),
)

app = App(
    name="helaseg",
    help="Cells, nuclei and membranes from volume electron microscopy, with and without training.",
    help_epilogue="helaseg COMMAND --help shows the options of a command, --help-all all settings.",
    version=__version__,
    config=apply_config_file,
    help_flags=("--help", "-h", HELP_ALL),
    # '--ids 1 2 3' is one list; nobody empties a list, so no '--empty-ids' beside it.
    default_parameter=Parameter(consume_multiple=True, negative_iterable=()),
    suppress_keyboard_interrupt=False,
)
for _rank, (_name, _path, _help) in enumerate(COMMANDS):
    app.command(f"helaseg.cli.{_path}", name=_name, help=_help, sort_key=_rank)


def main(tokens: Sequence[str] | None = None) -> int:
    """Carry out one command line.

    Parameters
    ----------
    tokens : sequence of str, optional
        The words after ``helaseg``; default are those of the process.

    Returns
    -------
    int
        Exit code: 0 done, 1 the job failed, 2 wrong use or bad input. A failure
        is reported in one line on stderr; ``--debug`` shows the traceback.
    """
    words = list(sys.argv[1:] if tokens is None else tokens)
    debug_wanted.set("--debug" in words)
    all_wanted.set(HELP_ALL in words)
    with _one_line_warnings():
        try:
            app(
                split_lists(words),
                exit_on_error=False,
                print_error=False,
                verbose=False,
                result_action="return_value",
            )
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, BrokenPipeError) and _reader_is_gone():
                return 1
            if debug_wanted.get():
                traceback.print_exc()
            code, text = _explain(error)
            # Of several processes that train together the first one speaks.
            if words[:1] != ["train"] or process_rank() == 0:
                _to_stderr(f"helaseg: error: {text}")
            return code
    return 0


def split_lists(words: Sequence[str]) -> list[str]:
    """Let ``--shape 64,512,512`` mean ``--shape 64 512 512``, for any option.

    Lengths of ``--voxel-size-nm`` may have units, such as ``0.1um,20nm,20nm``.

    Parameters
    ----------
    words : sequence of str
        A command line.

    Returns
    -------
    list of str
        With the numbers apart that follow an option and are joined by commas.
    """
    result: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        if equals and option == "--voxel-size-nm" and (sizes := _in_nm(value)):
            result += [option, *sizes]
        elif equals and option.startswith("--") and _NUMBER_LIST.fullmatch(value):
            result += [option, *value.split(",")]
        elif result and result[-1] == "--voxel-size-nm" and (sizes := _in_nm(word)):
            result += sizes
        elif result and _OPTION.fullmatch(result[-1]) and _NUMBER_LIST.fullmatch(word):
            result += word.split(",")
        else:
            result.append(word)
    return result


def _in_nm(text: str) -> list[str]:
    """Lengths with units as numbers of nm; empty if none has a unit or one is unknown."""
    found = [_LENGTH.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found) or not any(match[2] for match in found if match):
        return []
    from helaseg.io.units import nm_per_unit, rounded

    sizes = [(float(match[1]), nm_per_unit(match[2] or "nm")) for match in found if match]
    if any(nm is None for _, nm in sizes):
        return []
    return [f"{rounded(number * nm):g}" for number, nm in sizes if nm is not None]


def _explain(error: BaseException) -> tuple[int, str]:
    """Exit code and message of a failure."""
    if isinstance(error, UnknownCommandError):
        # Its own text would import every command to see which are shown.
        return 2, _unknown_command(error)
    if isinstance(error, CycloptsError):
        return 2, str(error)
    if isinstance(error, JobError):
        return 1, str(error)
    if isinstance(error, HelasegError):
        return 2, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 1, "interrupted; finished work is kept, the same command goes on from there"
    if isinstance(error, MemoryError):
        return 1, "out of memory; use fewer workers or smaller ROIs"
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return 1, f"{error.strerror}{place}; check path, permissions and free space"
    return 1, f"{type(error).__name__}: {error}; run again with --debug for the traceback"


def _unknown_command(error: UnknownCommandError) -> str:
    word = (error.unused_tokens or [""])[0]
    names = [name for name, _, _ in COMMANDS]
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"unknown command '{word}'; did you mean '{close[0]}'?"
    return f"unknown command '{word}'; there are {', '.join(names)}"


def _reader_is_gone() -> bool:
    """Return whether whoever read the output has seen enough ('helaseg info x | head').

    Pipes to workers break too; that of stdout is whole then.
    """
    try:
        fd = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    if not hasattr(select, "poll"):
        return False
    pipe = select.poll()
    pipe.register(fd, 0)
    if not any(event & select.POLLERR for _, event in pipe.poll(0)):
        return False
    # What is left to write would fail once more at the end of the process.
    os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    return True


def _to_stderr(text: str) -> None:
    sys.stderr.write(" ".join(text.split()) + "\n")
    sys.stderr.flush()


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Show the warnings of helaseg as one line each, without the source line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", HelasegWarning)
        plain = warnings.showwarning

        def show(message: Any, category: Any, *rest: Any, **more: Any) -> None:
            if issubclass(category, HelasegWarning):
                _to_stderr(f"helaseg: warning: {message}")
            else:
                plain(message, category, *rest, **more)

        warnings.showwarning = show
        yield
