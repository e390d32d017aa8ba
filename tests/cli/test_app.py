"""The command line itself: help, errors, exit codes, log, progress."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from helaseg.cli import doctor as doctor_module
from helaseg.cli.app import COMMANDS, main
from helaseg.cli.options import CommonOptions
from helaseg.cli.progress_lines import ProgressLines
from helaseg.cli.session import session
from helaseg.errors import (
    DataFormatError,
    HelasegError,
    JobError,
    NothingFoundWarning,
    OutputExistsError,
    ParameterError,
)
from helaseg.execution import compiling


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Make the command 'doctor' fail with an error of our choice."""

    def fail_with(error: BaseException) -> None:
        def lines() -> Iterator[str]:
            raise error

        monkeypatch.setattr(doctor_module, "_lines", lines)

    return fail_with


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    return text.strip()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, _, _ in COMMANDS:
        assert f" {name} " in out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from helaseg.cli.app import main; main(['--help']);"
        "heavy = {'numba', 'torch', 'matplotlib', 'pandas', 'scipy', 'skimage', 'cv2', 'numpy'};"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_the_process_ends_with_the_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "helaseg", "nonsense"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert one_line(done.stderr).startswith("helaseg: error: unknown command 'nonsense'; there are")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "helaseg", "doctor"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_pipe_that_breaks_elsewhere_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("helaseg.cli.app.app", broken)
    assert main(["doctor"]) == 1
    assert "Broken pipe" in one_line(capsys.readouterr().err)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import helaseg

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == helaseg.__version__


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runn"], "unknown command 'runn'; did you mean 'run'?"),
        (
            ["doctor", "--exekutor", "serial"],
            "Unknown option: --exekutor. Did you mean --executor?",
        ),
        (["doctor", "surplus"], "surplus"),
        (["doctor", "--executor", "threads:0"], "with N of at least 1, got 'threads:0'"),
        (["doctor", "--executor", "tcp://a"], "or 'tcp://HOST:PORT', got 'tcp://a'"),
        (["doctor", "--memory-limit", "much"], "must be a size such as 4GB or 500MB, got 'much'"),
        (["doctor", "--log-level", "loud"], "--log-level"),
        (["doctor", "--config", "nowhere.toml"], "--config must name a readable TOML file"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    err = one_line(capsys.readouterr().err)
    assert err.startswith("helaseg: error: ")
    assert message in err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataFormatError("slice 3 is torn"), 2, "slice 3 is torn"),
        (ParameterError("two\nlines"), 2, "two lines"),
        (OutputExistsError("in use"), 2, "in use"),
        (HelasegError("any"), 2, "any"),
        (JobError("a worker died"), 1, "a worker died"),
        (KeyboardInterrupt(), 1, "interrupted; finished work is kept"),
        (MemoryError(), 1, "out of memory"),
        (OSError(28, "No space left on device", "x.tif"), 1, "No space left on device: x.tif"),
        (OSError("plain"), 1, "OSError: plain"),
        (ZeroDivisionError("oops"), 1, "ZeroDivisionError: oops; run again with --debug"),
    ],
)
def test_exit_codes(
    failing, error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(error)
    assert main(["doctor"]) == code
    assert message in one_line(capsys.readouterr().err)


def test_debug_shows_the_traceback(
    failing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(ZeroDivisionError("oops"))
    (tmp_path / "c.toml").write_text("debug = true\n")
    for words in (["--debug"], ["--config", str(tmp_path / "c.toml")]):
        assert main(["doctor", *words]) == 1
        assert "Traceback" in capsys.readouterr().err
    assert main(["doctor"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_warnings_of_helaseg_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines() -> Iterator[str]:
        warnings.warn(NothingFoundWarning("no cell found"), stacklevel=1)
        yield "done"

    monkeypatch.setattr(doctor_module, "_lines", lines)
    assert main(["doctor"]) == 0
    seen = capsys.readouterr()
    assert one_line(seen.err) == "helaseg: warning: no cell found"
    assert seen.out == "done\n"


def test_the_log_goes_to_stderr_and_is_taken_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("helaseg")
    before = (list(logger.handlers), logger.level)

    def lines() -> Iterator[str]:
        logging.getLogger("helaseg.io").info("scaled to uint8")
        yield "done"

    monkeypatch.setattr(doctor_module, "_lines", lines)
    main(["doctor"])
    assert capsys.readouterr().err == ""
    main(["doctor", "--log-level", "info"])
    assert one_line(capsys.readouterr().err) == "helaseg: INFO: scaled to uint8"
    assert (list(logger.handlers), logger.level) == before


def test_bars_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with session(CommonOptions()) as work:
        assert isinstance(work.progress, ProgressLines)
    with session(CommonOptions(dry_run=True)) as work:
        assert work.progress is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with session(CommonOptions(quiet=True)) as work:
        assert work.progress is None
    with session(CommonOptions()) as work:
        assert work.progress is not None
        work.progress("detect", 1, 3)
        work.progress("detect", 2, 3)
        work.progress("unknown length", 2, 0)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "detect" in seen.err


def test_quiet_silences_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet, text in ((False, "3 cells\n"), (True, "")):
        with session(CommonOptions(quiet=quiet)) as work:
            work.say("3 cells")
        assert capsys.readouterr().out == text


def test_doctor_tells_versions_and_extras(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_module, "EXTRAS", (("a", "json", "x"), ("b", "no_such_module", "y")))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("helaseg ", "numba ", "cores ", "threads ", "memory ", "disk ", "kernel cache"):
        assert f"\n{word}" in out
    assert "present: x" in out
    assert "missing: y; pip install 'helaseg[b]'" in out


def test_doctor_tells_a_cache_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    empty = f"empty, in {tmp_path}; 'helaseg doctor --warm' fills it"
    assert doctor_module.kernel_cache() == empty
    (tmp_path / "one.nbi").touch()
    assert doctor_module.kernel_cache() == f"works, 1 kernels in {tmp_path}"
    monkeypatch.setattr(compiling, "_writable", lambda place: False)
    assert "set NUMBA_CACHE_DIR to a folder of yours" in doctor_module.kernel_cache()


def test_doctor_writes_nothing_in_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--dry-run"]) == 0
    assert "writes nothing" in capsys.readouterr().out
