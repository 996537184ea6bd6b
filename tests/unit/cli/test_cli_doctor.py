"""`uncrop doctor`: each check by itself, and engines that are broken in every way that it looks for."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer

from uncrop import engine, settings
from uncrop.cli import doctor, doctor_services, trial
from uncrop.errors import ProviderError, SettingsError
from uncrop.model import Sides
from uncrop.workers.decoding import landlock, seccomp, starting
from uncrop.workers.decoding.confinement import Protection
from uncrop.workers.decoding.sandboxed import SandboxedDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures_redis import RedisServer

Pixels = Any


@pytest.fixture
def configured(tmp_path: Path) -> settings.Settings:
    return settings.load(data_dir=tmp_path / "data", _env_file=None)


# --- a trial of the engine -------------------------------------------------------------------------------------------


def grown(photo: Pixels, sides: Sides) -> Pixels:
    """Continue the photo as an engine could that works: with its own rows, mirrored."""
    return np.concatenate([photo, photo[:, ::-1][:, : sides.right]], axis=1)


def changed(change: Callable[[Pixels, int], None]) -> Callable[[Pixels, Sides], Pixels]:
    def make(photo: Pixels, sides: Sides) -> Pixels:
        made = grown(photo, sides)
        change(made, photo.shape[1])
        return made

    return make


def flat(made: Pixels, width: int) -> None:
    made[:, width:] = made[:, :width].mean(axis=1, keepdims=True)


def black(made: Pixels, width: int) -> None:
    made[:, width:] = 0


def shifted(made: Pixels, width: int) -> None:
    made[:, :width] = np.roll(made[:, :width], 1, axis=1)


def one_pixel(made: Pixels, width: int) -> None:
    made[5, 5] ^= 1


def wild(made: Pixels, width: int) -> None:
    made[:, width:] = np.random.default_rng(1).integers(0, 256, made[:, width:].shape)


def dark(made: Pixels, width: int) -> None:
    made[:, width:] = np.clip(made[:, width:].astype(int) - 60, 0, 255)


BROKEN: dict[str, tuple[Callable[[Pixels, Sides], Pixels], str]] = {
    "the photo itself": (lambda photo, sides: photo, "made a picture of the wrong size"),
    "too wide": (lambda photo, sides: grown(grown(photo, sides), sides), "made a picture of the wrong size"),
    "grey": (lambda photo, sides: grown(photo, sides)[:, :, :1], "made a picture of the wrong size"),
    "shifted": (changed(shifted), "changed the photo's own pixels"),
    "one pixel": (changed(one_pixel), "changed the photo's own pixels"),
    "flat": (changed(flat), "made a picture without the photo's grain (0.0"),
    "black": (changed(black), "made a picture without the photo's grain (0.00 of it)"),
    "noise": (changed(wild), "made a picture without the photo's grain ("),
    "dark": (changed(dark), "made a picture of another brightness (up to "),
}


def install(monkeypatch: pytest.MonkeyPatch, make: Callable[[Pixels, Sides], Pixels]) -> None:
    def extend(photo: Pixels, sides: Sides, *, seed: int) -> Any:
        return SimpleNamespace(pixels=make(photo, sides))

    monkeypatch.setattr(engine, "extend", extend)
    monkeypatch.setattr(engine, "use_cache", lambda _folder: None)
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: True)


def test_an_engine_that_works_is_found_well(configured: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, grown)
    assert trial.make_trial_picture() == ""
    (finding,) = doctor.check_engine(configured)
    assert finding.state == "ok"
    assert finding.says.startswith("made a picture in ")
    assert finding.todo == ""


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_engine_is_found(kind: str, configured: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make, says = BROKEN[kind]
    install(monkeypatch, make)
    (finding,) = doctor.check_engine(configured)
    assert finding.state == "bad"
    assert finding.says.startswith(says)
    assert finding.todo == "Reinstall uncrop, and report this."


def test_the_real_engine_passes_its_trial(kernels: Path) -> None:
    engine.use_cache(kernels)
    assert trial.make_trial_picture() == ""


def test_an_engine_that_is_not_compiled_is_told(configured: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, grown)
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: False)
    (finding,) = doctor.check_engine(configured)
    assert (finding.state, finding.todo) == ("ok", "uncrop warm-up compiles it ahead of the first picture.")


# --- the other checks ------------------------------------------------------------------------------------------------


def test_a_slip_in_a_name_is_told(configured: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_MAX_RUNING", "3")
    slip, folder = doctor.check_settings(configured)
    assert (slip.state, slip.todo) == ("off", "Look for a slip in the name.")
    assert slip.says == "UNCROP_MAX_RUNING is no setting; did you mean UNCROP_MAX_RUNNING?"
    assert (folder.state, folder.says) == ("ok", f"data folder {configured.data_dir}")


def test_a_folder_that_cannot_be_written_to_is_told(
    configured: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    (folder,) = doctor.check_settings(configured)
    assert (folder.state, folder.says) == ("bad", f"data folder {configured.data_dir} cannot be written to")
    assert "UNCROP_DATA_DIR" in folder.todo


def test_a_new_database_has_no_key_yet(configured: settings.Settings) -> None:
    finding, ledger = doctor.check_database(configured)
    assert (finding.state, finding.says) == ("ok", "answers; 0 keys")
    assert finding.todo == "uncrop serve makes the first key."
    assert (ledger.what, ledger.state, ledger.says) == ("ledger", "ok", "agrees with itself")


def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    configured = settings.load(
        data_dir=tmp_path, database_url="postgresql+psycopg://nobody@127.0.0.1:1/none", _env_file=None
    )
    (finding,) = doctor.check_database(configured)
    assert finding.state == "bad"
    assert "127.0.0.1" not in finding.says


def test_without_the_servers_packages_the_database_is_off(
    configured: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_settings: settings.Settings) -> Any:
        raise ImportError("no", name="sqlalchemy")

    monkeypatch.setattr("uncrop.bootstrap.open_store_from", missing)
    (finding,) = doctor.check_database(configured)
    assert (finding.state, finding.says) == ("off", "sqlalchemy is missing")
    assert finding.todo == "Install the server's packages: pip install 'uncrop[server]'"


def test_every_remote_provider_has_its_line(tmp_path: Path) -> None:
    configured = settings.load(data_dir=tmp_path, clipdrop_api_key="secret-key", _env_file=None)
    findings = {finding.what: finding for finding in doctor.check_providers(configured)}
    assert set(findings) == {name for name, row in configured.rows.items() if not row.computes_here}
    assert findings["clipdrop"].says == "is configured, at https://clipdrop-api.co (not called)"
    assert (findings["openai"].state, findings["openai"].says) == ("off", "no key")
    assert findings["openai"].todo == "Set UNCROP_OPENAI_API_KEY to use it."
    assert "secret-key" not in str(findings)


@pytest.mark.parametrize(
    ("found", "state", "says", "todo"),
    [
        ((), "ok", "; has all that is needed", ""),
        (
            ("the node A", "b.safetensors for c of D"),
            "bad",
            "; does not have the node A; b.safetensors for c of D",
            "Install it there, or change the settings.",
        ),
        (
            ProviderError(system_message="No connection came about"),
            "bad",
            ": No connection came about",
            "Start it, or look at UNCROP_OPENAI_BASE_URL.",
        ),
    ],
)
def test_what_a_provider_lacks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: Any, state: str, says: str, todo: str
) -> None:
    monkeypatch.setattr("uncrop.bootstrap.examine_providers", lambda _settings: {"openai": found})
    configured = settings.load(data_dir=tmp_path, openai_api_key="secret-key", _env_file=None)
    findings = {finding.what: finding for finding in doctor.check_providers(configured)}
    finding = findings["openai"]
    assert (finding.state, finding.todo) == (state, todo)
    assert finding.says == f"is configured, at https://api.openai.com/v1{says}"


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_report_has_a_line_for_each_and_its_exit_tells_the_worst(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        doctor.Finding(what="one", state="ok", says="is well"),
        doctor.Finding(what="two", state="off", says="is off", todo="Turn it on."),
    ]
    monkeypatch.setattr(doctor, "CHECKS", (lambda _settings: found,))
    doctor.doctor()
    assert capsys.readouterr().out == "ok  one        is well\noff two        is off\n               Turn it on.\n"
    found.append(doctor.Finding(what="three", state="bad", says="is broken"))
    with pytest.raises(typer.Exit) as left:
        doctor.doctor()
    assert left.value.exit_code == 2
    assert capsys.readouterr().out.endswith("bad three      is broken\n")


def test_wrong_settings_are_the_whole_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong() -> settings.Settings:
        raise SettingsError(["UNCROP_A: is wrong", "UNCROP_B: is wrong too"])

    monkeypatch.setattr(settings, "load", wrong)
    with pytest.raises(typer.Exit):
        doctor.doctor()
    assert capsys.readouterr().out == "bad settings   UNCROP_A: is wrong\nbad settings   UNCROP_B: is wrong too\n"


def test_the_versions_are_told(configured: settings.Settings) -> None:
    (finding,) = doctor.check_python(configured)
    assert finding.state == "ok"
    assert " on Python 3." in finding.says


def test_decoders_are_started(configured: settings.Settings) -> None:
    (finding,) = doctor.check_decoders(configured)
    kernel = landlock.version() and seccomp.prepared()
    assert finding.state == ("ok" if kernel else "off")


@pytest.mark.parametrize(
    ("protection", "says"),
    [
        (
            Protection(landlock=0, seccomp=True),
            "kernel has no Landlock; limits on memory, time and open files hold",
        ),
        (Protection(landlock=0, seccomp=False), "no Landlock and no filters of system calls"),
        (Protection(landlock=7, seccomp=True), "can do nothing else"),
    ],
)
def test_what_the_kernel_lacks_is_one_line(
    protection: Protection, says: str, configured: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SandboxedDecoder, "protection", lambda _self: protection)
    (finding,) = doctor.check_decoders(configured)
    assert says in finding.says
    assert finding.state == ("off" if protection.missing() else "ok")


def test_decoders_that_cannot_be_started_are_told(
    configured: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "BOOT", "raise SystemExit(1)")
    (finding,) = doctor.check_decoders(configured)
    assert (finding.state, finding.says) == ("bad", "No process can be started to decode in")


def test_a_database_that_may_forget_is_told(postgres_url: str, tmp_path: Path) -> None:
    configured = settings.load(data_dir=tmp_path, database_url=postgres_url, _env_file=None)
    (finding,) = doctor_services.check_durability(configured)
    assert (finding.state, finding.says) == ("bad", "PostgreSQL has fsync=off")
    assert "postgresql.conf" in finding.todo


def test_a_database_that_keeps_or_does_not_answer_is_not_told_of_twice(
    configured: settings.Settings, tmp_path: Path
) -> None:
    assert doctor_services.check_durability(configured) == []
    away = settings.load(data_dir=tmp_path, database_url="postgresql+psycopg://nobody@127.0.0.1:1/none", _env_file=None)
    assert doctor_services.check_durability(away) == []


def test_without_a_redis_nothing_is_told_of_one(configured: settings.Settings) -> None:
    assert doctor_services.check_redis(configured) == []


def test_a_redis_that_counts_is_told(redis_server: RedisServer, tmp_path: Path) -> None:
    configured = settings.load(data_dir=tmp_path, redis_url=redis_server.url, _env_file=None)
    (finding,) = doctor_services.check_redis(configured)
    assert (finding.state, finding.says) == ("ok", "counts rate limits for all servers that name it")


def test_a_redis_that_is_not_there_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.admission.redis_hits.PAUSE_S", 0.001)
    configured = settings.load(data_dir=tmp_path, redis_url="redis://:hunter2@127.0.0.1:1/0", _env_file=None)
    (finding,) = doctor_services.check_redis(configured)
    assert (finding.state, finding.says) == ("bad", "UNCROP_REDIS_URL: Redis cannot be used (ConnectionError)")
    assert "UNCROP_REDIS_URL" in finding.todo
