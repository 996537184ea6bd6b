"""The documents say what the program does: links lead somewhere, names exist, tables are complete."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from uncrop import errors, settings
from uncrop.server import http_errors  # noqa: F401 - its errors are on the page too

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
OF_THE_PROJECT = (
    "https://github.com/uncrop/uncrop/blob/main/",
    "https://raw.githubusercontent.com/uncrop/uncrop/main/",
)
DECISIONS = ROOT / "docs" / "decisions"
CONTRACT = ROOT.parent / "shared" / "reference" / "endpoint.md"


def leaves(of: type[errors.UncropError]) -> list[type[errors.UncropError]]:
    children = of.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] if children else [of]


CODES = {of.code: of.status for of in leaves(errors.UncropError) if of is not errors.SettingsError}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    broken = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert broken == []


def test_the_readme_s_links_are_absolute_and_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / "README.md").read_text())
    # On PyPI the page stands alone.
    assert [target for target in targets if "://" not in target] == []
    ours = [target.removeprefix(start) for target in targets for start in OF_THE_PROJECT if target.startswith(start)]
    assert len(ours) > 20
    assert [path for path in ours if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_settings_and_scripts_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    known = {settings.PREFIX + name.upper() for name in settings.Settings.model_fields}
    known |= {"UNCROP_PYTHON", "UNCROP_URL", "UNCROP_KEY", "UNCROP_ORGANIZATION", "UNCROP_MASK"}
    assert set(re.findall(r"\bUNCROP_[A-Z0-9_]+[A-Z0-9]\b", text)) <= known
    scripts = set(re.findall(r"\bscripts/[a-z-]+(?:\.py)?\b", text))
    assert {name for name in scripts if not (ROOT / name).exists()} == set()


def test_the_readme_begins_with_the_two_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks[0] == "./uncrop extend examples/cat.jpg --left 80 --right 80 --seed 2 --output wide.jpg\n"
    assert blocks[1] == "scripts/test\n"
    assert all(photo.stat().st_size < 300_000 for photo in (ROOT / "examples").glob("*.jpg"))


def test_ci_calls_the_readmes_test_command_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "exec scripts/test"]


def test_every_error_is_on_its_page() -> None:
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", (ROOT / "docs/reference/errors.md").read_text(), re.MULTILINE)
    assert {code: int(status) for status, code in rows} == CODES


def test_every_decision_is_listed_with_its_title() -> None:
    listed = dict(re.findall(r"^\| \d{4} \| \[(.+)\]\((.+)\) \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE))
    titles = {page.read_text().partition("\n")[0].removeprefix("# "): page.name for page in DECISIONS.glob("0*.md")}
    assert listed == titles


def test_every_command_is_on_its_page() -> None:
    typer_main = pytest.importorskip("typer.main")
    from uncrop.cli import app

    commands = typer_main.get_command(app).commands
    page = (ROOT / "docs/reference/cli.md").read_text()
    assert [name for name in commands if f"`uncrop {name}" not in page] == []


@pytest.mark.parametrize("module", ["uncrop", "uncrop.client"])
def test_every_public_name_is_on_its_page(module: str) -> None:
    page = (ROOT / "docs/reference/python.md").read_text()
    public = [name for name in import_module(module).__all__ if not name.startswith("_")]
    assert [name for name in public if f"### `{name}`" not in page] == []
    assert "0x7" not in page


def test_every_error_of_the_contract_exists_with_its_status() -> None:
    if not CONTRACT.exists():
        pytest.skip("the contract is not beside this checkout (../shared/reference/endpoint.md)")
    rows = re.findall(r"^\| (\d{3})(?:, (\d{3}))? \| (`[A-Z_`, ]+`) \|", CONTRACT.read_text(), re.MULTILINE)
    promised = {}
    for first, second, names in rows:
        codes = re.findall(r"[A-Z_]+", names)
        statuses = [int(first), int(second)] if second else [int(first)] * len(codes)
        promised.update(zip(codes, statuses, strict=True))
    assert len(promised) > 25
    assert {code: CODES.get(code) for code in promised} == promised
