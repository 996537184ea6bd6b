from pathlib import Path

import pytest
import typer

from uncrop import errors
from uncrop.cli import exits, files


def stopped(capsys: pytest.CaptureFixture[str], caught: pytest.ExceptionInfo[typer.Exit]) -> tuple[int, str]:
    return caught.value.exit_code, capsys.readouterr().err


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        files.read_file(tmp_path / "none.jpg")
    assert stopped(capsys, caught) == (2, f"uncrop: {tmp_path}/none.jpg: no such file\n")


def test_a_folder_is_not_a_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        files.read_file(tmp_path)
    assert stopped(capsys, caught) == (2, f"uncrop: {tmp_path}: is a folder, not a photo\n")


def test_an_unreadable_file_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        files.read_file(tmp_path / ("x" * 300))
    assert stopped(capsys, caught)[1].endswith("cannot be read (file name too long)\n")


def test_the_name_sets_the_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert files.format_of(Path("a.JPG")) == "JPEG"
    assert files.format_of(Path("a.webp")) == "WEBP"
    with pytest.raises(typer.Exit) as caught:
        files.format_of(Path("a.gif"))
    code, line = stopped(capsys, caught)
    assert code == 2
    assert line.startswith("uncrop: a.gif: the name must end in .jpg")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidFieldValue(), 2),
        (errors.MaskRequired(), 2),
        (errors.InvalidImage(), 3),
        (errors.ImageTooLarge(), 3),
        (errors.InvalidExtendParameters(), 3),
        (errors.ContentRejected(), 3),
        (errors.ServerBusy(), 4),
        (errors.ProviderRateLimited(), 4),
        (errors.ProviderUnavailable(), 4),
        (errors.ProviderNotConfigured(), 5),
        (errors.ProviderTimeout(), 5),
        (errors.InternalError(), 5),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_every_error_has_its_exit_code(error: errors.UncropError, code: int) -> None:
    assert exits.code_of(error) == code


def test_an_error_is_explained_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, exits.explained():
        raise errors.ImageTooLarge("The image is too large", details={"max_allowed": 3})
    assert stopped(capsys, caught) == (3, "uncrop: The image is too large; at most 3\n")


def test_options_and_variables_are_named_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), exits.explained():
        raise errors.InvalidExtendParameters("Too much", details={"extend_left": 2500, "max_allowed": 2000})
    with pytest.raises(typer.Exit), exits.explained():
        raise errors.ProviderNotConfigured("No key", details={"provider": "clipdrop"})
    assert capsys.readouterr().err == (
        "uncrop: --left 2500: too much\nuncrop: clipdrop: no key; set UNCROP_CLIPDROP_API_KEY\n"
    )


@pytest.mark.parametrize(
    ("details", "line"),
    [
        ({"provider": "comfyui"}, "comfyui: not configured; set UNCROP_COMFYUI_BASE_URL"),
        ({"provider": "comfyui", "provider_status": 400}, "comfyui: not configured; it lacks a node"),
        ({"provider": "gone"}, "gone: not configured; it lacks a node"),
        (None, "Not configured; it lacks a node"),
    ],
)
def test_what_is_not_configured_is_told_by_what_is_missing(
    capsys: pytest.CaptureFixture[str], details: dict[str, object] | None, line: str
) -> None:
    with pytest.raises(typer.Exit) as caught, exits.explained():
        raise errors.ProviderNotConfigured("Not configured", details=details, system_message="it lacks a node")
    assert stopped(capsys, caught) == (5, f"uncrop: {line}\n")


def test_settings_mistakes_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, exits.explained():
        raise errors.SettingsError(["UNCROP_A: wrong", "UNCROP_B: wrong"])
    assert stopped(capsys, caught) == (2, "uncrop: UNCROP_A: wrong\nuncrop: UNCROP_B: wrong\n")
