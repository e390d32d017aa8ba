"""``--config FILE.toml``: the options of a command from a file."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection
from cyclopts.argument import update_argument_collection

from helaseg.errors import DataFormatError, ParameterError
from helaseg.io.regular_file import check_regular_file

#: Keys of earlier versions, and why they went.
REMOVED = {"seed": "no step of this command is random"}


def apply_config_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill the options that the command line left open from the file of ``--config``.

    Parameters
    ----------
    app : App
        The command that is about to run.
    commands : tuple of str
        Its name.
    arguments : ArgumentCollection
        Its options, with what the command line gave.

    Raises
    ------
    DataFormatError
        If the file cannot be read or is no TOML.
    ParameterError
        For a key that is no option of the command; names the nearest one.
    """
    for argument in arguments:
        if "--config" in argument.names and argument.tokens:
            path = Path(argument.tokens[-1].value)
            settings = _read(path)
            _check_keys(path, settings, arguments)
            update_argument_collection(
                settings,
                str(path),
                arguments,
                app.app_stack.stack[-1],
                root_keys=(),
                allow_unknown=False,
            )
            return


def _read(path: Path) -> dict[str, Any]:
    try:
        with check_regular_file(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        msg = f"--config must name a readable TOML file, got {path}: {error.strerror}"
        raise DataFormatError(msg) from error
    except DataFormatError as error:
        msg = f"--config must name a readable TOML file: {error}"
        raise DataFormatError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"--config must name a TOML file, {path} is not a valid one: {error}"
        raise DataFormatError(msg) from error


def _check_keys(path: Path, settings: Mapping[str, Any], arguments: ArgumentCollection) -> None:
    known = {
        name.removeprefix("--").replace("-", "_"): argument
        for argument in arguments
        for name in argument.names
        if name.startswith("--") and argument.parse is not False
    }
    sections = {".".join(key.split(".")[:n]) for key in known for n in range(1, key.count(".") + 1)}
    known.pop("config", None)
    for key in _flat_keys(settings):
        plain = key.replace("-", "_")
        if plain in known and plain not in sections:
            continue
        if plain in sections:
            msg = f"'{key}' in {path} must be a table of settings: write [{key}]"
            raise ParameterError(msg)
        if plain in REMOVED:
            msg = f"'{key}' in {path} is no longer a setting: {REMOVED[plain]}; remove the line"
            raise ParameterError(msg)
        options = sorted(set(known) - sections)
        close = difflib.get_close_matches(plain, options, n=1) or _same_leaf(plain, options)
        advice = f"did you mean '{close[0]}'?" if close else "see the command's --help"
        msg = f"unknown key '{key}' in {path}; {advice}"
        raise ParameterError(msg)


def _same_leaf(key: str, options: list[str]) -> list[str]:
    """Options whose last part is that of the key: the table was forgotten or is wrong."""
    leaf = key.rpartition(".")[2]
    return [option for option in options if option.rpartition(".")[2] == leaf]


def _flat_keys(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key
