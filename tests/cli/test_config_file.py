"""Options and TOML keys come from the same settings classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
from cyclopts import App, MissingArgumentError, Parameter

from helaseg.cli.app import app as real_app
from helaseg.cli.app import split_lists
from helaseg.cli.config_file import apply_config_file
from helaseg.cli.options import CommonOptions, InputOptions, parse_bytes
from helaseg.errors import DataFormatError, ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusSettings:
    min_area_um2: float = 1.0
    box_nm: tuple[float, float, float] = (1.0, 2.0, 3.0)
    levels: tuple[float, ...] = (1.0, 2.0)

    def __post_init__(self) -> None:
        if self.min_area_um2 <= 0:
            msg = f"'min_area_um2' must be positive, got {self.min_area_um2}"
            raise ParameterError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    nucleus: NucleusSettings = field(default_factory=NucleusSettings)
    seed: int = 0


NO_INPUT, NO_SETTINGS, NO_COMMON = InputOptions(), JobSettings(), CommonOptions()


@pytest.fixture
def parse():
    """Parse words for a command with settings as the real ones have them."""
    app = App(config=apply_config_file, default_parameter=real_app.default_parameter)

    @app.command
    def job(
        *,
        input_options: InputOptions = NO_INPUT,
        settings: Annotated[JobSettings, Parameter(name="*")] = NO_SETTINGS,
        common: CommonOptions = NO_COMMON,
    ) -> Any:
        return input_options, settings, common

    def call(*words: str) -> Any:
        return app(
            split_lists(["job", *words]),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )

    return call


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> str:
        file = tmp_path / "settings.toml"
        file.write_text(text)
        return str(file)

    return write


def test_the_defaults_are_those_of_the_classes(parse) -> None:
    assert parse() == (InputOptions(), JobSettings(), CommonOptions())


def test_the_file_and_the_options_give_the_same(parse, toml) -> None:
    words = "--voxel-size-nm 50,10,10 --nucleus.min-area-um2 2 --nucleus.box-nm 4,5,6 --seed 3"
    from_words = parse(*words.split(), "--executor", "threads:2", "--quiet")
    from_file = parse(
        "--config",
        toml(
            "voxel_size_nm = [50, 10, 10]\nseed = 3\nexecutor = 'threads:2'\nquiet = true\n"
            "[nucleus]\nmin_area_um2 = 2.0\nbox_nm = [4, 5, 6]\n"
        ),
    )
    assert from_words[:2] == from_file[:2]
    assert from_words[0].voxel_size_nm == (50.0, 10.0, 10.0)
    assert from_words[1].nucleus == NucleusSettings(min_area_um2=2.0, box_nm=(4.0, 5.0, 6.0))
    assert from_file[2].quiet
    assert from_file[2].executor == "threads:2"


def test_a_list_of_any_length_is_one_value(parse, toml) -> None:
    for words in (
        ["--nucleus.levels", "4,5,6", "--seed", "1"],
        ["--nucleus.levels", "4", "5", "6", "--seed", "1"],
        ["--config", toml("seed = 1\n[nucleus]\nlevels = [4, 5, 6]\n")],
    ):
        _, settings, _ = parse(*words)
        assert settings == JobSettings(nucleus=NucleusSettings(levels=(4.0, 5.0, 6.0)), seed=1)


def test_the_command_line_wins(parse, toml) -> None:
    file = toml("seed = 3\n[nucleus]\nmin_area_um2 = 2.0\n")
    _, settings, _ = parse("--config", file, "--seed", "9")
    assert settings.seed == 9
    assert settings.nucleus.min_area_um2 == 2.0


def test_keys_may_be_written_as_the_options(parse, toml) -> None:
    _, settings, _ = parse("--config", toml("[nucleus]\nmin-area-um2 = 2.0\n"))
    assert settings.nucleus.min_area_um2 == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", r"unknown key 'sed' in .*settings.toml; did you mean 'seed'\?"),
        (
            "[nucleus]\nmin_area_umm2 = 1",
            r"unknown key 'nucleus.min_area_umm2' in .*; did you mean 'nucleus.min_area_um2'\?",
        ),
        ("min_area_um2 = 1", r"unknown key 'min_area_um2' .*did you mean 'nucleus.min_area_um2'\?"),
        ("zzzzqqqq = 1", "unknown key 'zzzzqqqq' in .*; see the command's --help"),
        ("nucleus = 3", r"'nucleus' in .* must be a table of settings: write \[nucleus\]"),
        ("config = 'other.toml'", "unknown key 'config'"),
        ("[nucleus]\nmin_area_um2 = -1", "'min_area_um2' must be positive"),
    ],
)
def test_a_wrong_key_is_refused(parse, toml, text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse("--config", toml(text))


def test_a_file_that_is_no_toml_is_refused(parse, toml, tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"settings\.toml is not a valid one: Invalid value"):
        parse("--config", toml("seed = "))
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DataFormatError, match="must name a TOML file"):
        parse("--config", str(tmp_path / "b.toml"))
    with pytest.raises(DataFormatError, match=r"readable TOML file: .*none\.toml does not"):
        parse("--config", str(tmp_path / "none.toml"))


def test_resume_and_overwrite_are_two_sides_of_one_option(parse, toml) -> None:
    assert not parse()[2].overwrite
    assert parse("--overwrite")[2].overwrite
    assert not parse("--resume")[2].overwrite
    assert parse("--config", toml("overwrite = true"))[2].overwrite
    assert not parse("--resume", "--config", toml("overwrite = true"))[2].overwrite


@pytest.mark.parametrize("text", ["50,10", "a,b,c", "50"])
def test_a_voxel_size_has_three_numbers(parse, text: str) -> None:
    with pytest.raises(MissingArgumentError, match="--voxel-size-nm requires 3 positional"):
        parse("--voxel-size-nm", text)


def test_a_voxel_size_must_be_positive(parse, toml) -> None:
    with pytest.raises(ParameterError, match="'voxel_size_nm' must be positive"):
        parse("--voxel-size-nm", "50,0,10")
    with pytest.raises(ParameterError, match="'voxel_size_nm' must be positive"):
        parse("--config", toml("voxel_size_nm = [50, 10, -10]"))


def test_number_lists_after_an_option_are_split() -> None:
    words = [
        "job",
        "1,2",
        "--shape",
        "64,5e2,-1",
        "--size=1.5,2,3",
        "--name",
        "a,b",
        "--x=1",
        "4,5",
    ]
    assert split_lists(words) == (
        ["job", "1,2", "--shape", "64", "5e2", "-1", "--size", "1.5", "2", "3"]
        + ["--name", "a,b", "--x=1", "4,5"]
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4_000_000_000), ("500 MB", 500_000_000), ("1.5gb", 1_500_000_000), ("2e9", 2 * 10**9)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "4 XB", "1.2.3GB", "nan"])
def test_a_wrong_size_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="must be a size such as 4GB or 500MB"):
        parse_bytes(text)
