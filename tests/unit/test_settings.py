import os
from dataclasses import replace
from pathlib import Path

import pytest

from uncrop import settings
from uncrop.errors import SettingsError
from uncrop.model import SettingFacts
from uncrop.providers.base import ProviderSettings
from uncrop.providers.clipdrop.facts import FACTS as CLIPDROP
from uncrop.providers.registry import NAMES, load_rows
from uncrop.settings import env_file, places


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("UNCROP_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default_that_runs() -> None:
    configured = settings.load()
    assert configured.openai_api_key is None
    assert configured.clipdrop_base_url == "https://clipdrop-api.co"
    assert configured.openai_model == "gpt-image-2"
    assert configured.rate_limit_per_minute == 60
    assert configured.max_output_pixels == 40_000_000
    assert configured.database == f"sqlite+aiosqlite:///{configured.data_dir / 'uncrop.db'}"
    assert configured.kernel_cache == configured.data_dir / "kernels"


def test_memory_for_pixels_grows_with_the_engines_processes() -> None:
    assert settings.load(engine_workers=1).max_pixel_bytes == 800_000_000
    assert settings.load(engine_workers=4).max_pixel_bytes == 2_000_000_000
    assert settings.load(engine_workers=4, max_pixel_megabytes=50).max_pixel_bytes == 50_000_000


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_DATABASE_URL", "postgresql+psycopg://user@localhost/uncrop")
    monkeypatch.setenv("UNCROP_OPENAI_BASE_URL", "http://127.0.0.1:8080/v1/")
    monkeypatch.setenv("UNCROP_CLIPDROP_API_KEY", "")
    configured = settings.load()
    assert configured.database == "postgresql+psycopg://user@localhost/uncrop"
    assert configured.openai_base_url == "http://127.0.0.1:8080/v1"
    assert configured.clipdrop_api_key is None


def test_a_file_in_the_working_folder_is_read() -> None:
    Path(".env").write_text("UNCROP_RATE_LIMIT_PER_MINUTE=7\n")
    assert settings.load().rate_limit_per_minute == 7


def test_all_mistakes_are_told_at_once_with_their_variables_and_without_their_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UNCROP_RATE_LIMIT_PER_MINUTE", "none")
    monkeypatch.setenv("UNCROP_OPENAI_BASE_URL", "ftp://secret@example.test")
    monkeypatch.setenv("UNCROP_CLIPDROP_BASE_URL", "https://example.test/?a=b")
    monkeypatch.setenv("UNCROP_DATABASE_URL", "mysql://root:secret@localhost/x")
    monkeypatch.setenv("UNCROP_MAX_OUTPUT_MEGAPIXELS", "-1")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [
        "UNCROP_DATABASE_URL: must begin with sqlite+aiosqlite:/// or postgresql+psycopg://",
        "UNCROP_RATE_LIMIT_PER_MINUTE: Input should be a valid integer, unable to parse string as an integer",
        "UNCROP_MAX_OUTPUT_MEGAPIXELS: Input should be greater than 0",
        "UNCROP_CLIPDROP_BASE_URL: must be an address without query or fragment",
        "UNCROP_OPENAI_BASE_URL: must be an http:// or https:// address",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "redis://host",
        "redis://:secret@host:6380/3",
        "rediss://user:secret@[::1]:6379/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=2",
    ],
)
def test_addresses_of_redis(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("UNCROP_REDIS_URL", address)
    configured = settings.load()
    assert configured.redis_url is not None
    assert configured.redis_url.get_secret_value() == address
    assert "secret" not in repr(configured)


@pytest.mark.parametrize(
    "address",
    [
        "secret",
        "http://:secret@host:6379",
        "redis://",
        "redis://:secret@/0",
        "redis://:secret@host:port/0",
        "redis://:secret@host:0/0",
        "redis://:secret@host:6379/name",
        "redis://:secret@[::1/0",
        "unix://",
        "unix://secret",
    ],
)
def test_what_is_no_address_of_a_redis(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("UNCROP_REDIS_URL", address)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [
        "UNCROP_REDIS_URL: must be redis://host:port/number, rediss://… for TLS, or unix:///path"
    ]


def test_without_redis_there_is_none() -> None:
    assert settings.load(redis_url=None).redis_url is None


@pytest.mark.parametrize("user", ["secret@", "secret:word@", ":secret@"])
@pytest.mark.parametrize("variable", ["UNCROP_OPENAI_BASE_URL", "UNCROP_CLIPDROP_BASE_URL"])
def test_an_address_holds_no_user(monkeypatch: pytest.MonkeyPatch, variable: str, user: str) -> None:
    monkeypatch.setenv(variable, f"https://{user}example.test/v1")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [f"{variable}: must not hold a user name or password"]


@pytest.mark.parametrize("key", ["se cret", "secret ", " secret", "secret\n", "secret\t", "secr\x00et", "sécret", " "])
@pytest.mark.parametrize("variable", ["UNCROP_OPENAI_API_KEY", "UNCROP_CLIPDROP_API_KEY"])
def test_a_key_that_no_header_can_carry_stops_the_start(variable: str, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(**{variable.removeprefix("UNCROP_").lower(): key})
    assert caught.value.problems == [
        f"{variable}: must consist of visible ASCII characters, without spaces, or no HTTP header can carry it"
    ]


def test_keys_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_OPENAI_API_KEY", 'sk-!"#~')
    key = settings.load().openai_api_key
    assert key is not None
    assert key.get_secret_value() == 'sk-!"#~'


def test_keys_are_not_shown_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_OPENAI_API_KEY", "sk-very-secret")
    assert "sk-very-secret" not in repr(settings.load())


@pytest.mark.parametrize(
    ("listed", "origins"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://app.example.com", ("https://app.example.com",)),
        (" https://a.example , http://localhost:3000,", ("https://a.example", "http://localhost:3000")),
        ("capacitor://localhost,http://[::1]:8080", ("capacitor://localhost", "http://[::1]:8080")),
    ],
)
def test_origins_are_listed_with_commas(listed: str, origins: tuple[str, ...]) -> None:
    assert settings.load(cors_origins=listed).allowed_origins == origins


@pytest.mark.parametrize(
    "origin",
    [
        *("app.example.com", "https://", "https://a.example/", "https://a.example/path", "https://*.example.com"),
        *("https://user:word@a.example", "https://A.example", "null", "https://a.example:port", "https://a b.example"),
        *("https://a.example?x", "https://a..example", "//a.example", "https:a.example"),
    ],
)
def test_what_is_no_origin_stops_the_start_with_one_line(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("UNCROP_CORS_ORIGINS", f"https://good.example,{origin}")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [
        "UNCROP_CORS_ORIGINS: entry 2 is no origin; write scheme://host[:port] in lower case, no / at its end"
    ]


@pytest.mark.parametrize("address", ["collector:4318", "ftp://collector", "http://", "https:///v1/traces"])
def test_what_is_no_address_of_a_collector_stops_the_start(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(otlp_endpoint=address)
    assert caught.value.problems == [
        "UNCROP_OTLP_ENDPOINT: must begin with http:// or https:// and name a host; /v1/traces is added to it"
    ]


def test_every_origin_and_one_more_contradict() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(cors_origins="*,https://a.example")
    assert caught.value.problems == ["UNCROP_CORS_ORIGINS: '*' is every origin, so that it stands alone"]


PLUGIN = replace(
    CLIPDROP,
    name="sketch",
    settings=(
        SettingFacts(name="api_key", kind="secret", help="Key.", required=True),
        SettingFacts(name="base_url", kind="address", help="Address.", default="https://sketch.example.org"),
        SettingFacts(name="steps", kind="integer", help="Steps.", default=20, minimum=1, maximum=50),
        SettingFacts(name="strength", kind="number", help="Strength.", minimum=0, maximum=1),
        SettingFacts(name="style", kind="text", help="Style."),
        SettingFacts(name="mode", kind="text", help="Mode.", choices=("fast", "high")),
    ),
)


def test_a_plugins_settings_are_read_by_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_SKETCH_API_KEY", "key-7")
    monkeypatch.setenv("UNCROP_SKETCH_STRENGTH", "0.25")
    monkeypatch.setenv("UNCROP_SKETCH_MODE", "high")
    configured = settings.load({"sketch": PLUGIN})
    assert configured.providers == {
        "sketch": ProviderSettings(
            values={
                "api_key": "key-7",
                "base_url": "https://sketch.example.org",
                "steps": 20,
                "strength": 0.25,
                "mode": "high",
            }
        )
    }
    assert "key-7" not in repr(configured)


def test_a_plugins_mistakes_are_told_by_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_SKETCH_STEPS", "51")
    monkeypatch.setenv("UNCROP_SKETCH_STRENGTH", "much")
    monkeypatch.setenv("UNCROP_SKETCH_BASE_URL", "sketch")
    monkeypatch.setenv("UNCROP_SKETCH_MODE", "slow")
    with pytest.raises(SettingsError) as caught:
        settings.load({"sketch": PLUGIN})
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "UNCROP_SKETCH_BASE_URL",
        "UNCROP_SKETCH_STEPS",
        "UNCROP_SKETCH_STRENGTH",
        "UNCROP_SKETCH_MODE",
    ]


NOTES = replace(
    CLIPDROP,
    name="notes",
    settings=(
        SettingFacts(
            name="text_file",
            kind="file",
            help="Notes.",
            check=lambda text: None if "fine" in text else "says nothing",
        ),
        SettingFacts(name="other_file", kind="file", help="Notes that are not looked at."),
    ),
)


def test_a_file_is_read_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("notes.txt").write_text("\ufeffall is fine: é", encoding="utf-8")
    monkeypatch.setenv("HOME", str(Path.cwd()))
    monkeypatch.setenv("UNCROP_NOTES_TEXT_FILE", "notes.txt")
    monkeypatch.setenv("UNCROP_NOTES_OTHER_FILE", "~/notes.txt")
    configured = settings.load({"notes": NOTES})
    Path("notes.txt").unlink()
    assert configured.providers["notes"].values == {
        "text_file": "all is fine: é",
        "other_file": "all is fine: é",
    }
    monkeypatch.delenv("UNCROP_NOTES_OTHER_FILE")
    monkeypatch.delenv("UNCROP_NOTES_TEXT_FILE")
    assert settings.load({"notes": NOTES}).providers["notes"].values == {}


@pytest.mark.parametrize(
    ("path", "data", "problem"),
    [
        ("none.txt", None, "names a file that cannot be read: no such file or directory"),
        ("folder", None, "names a file that cannot be read: is a directory"),
        ("~nobody-of-this-name/notes.txt", None, "names a file that cannot be read: no such path"),
        ("notes.txt", b"\xff\xfe\x00", "must name a file of text in UTF-8"),
        ("notes.txt", b"fine" * 250_001, "names a file of more than 1,000,000 characters"),
        ("notes.txt", b"nothing", "says nothing"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, path: str, data: bytes | None, problem: str
) -> None:
    Path("folder").mkdir()
    if data is not None:
        Path(path).write_bytes(data)
    monkeypatch.setenv("UNCROP_NOTES_TEXT_FILE", path)
    with pytest.raises(SettingsError) as refused:
        settings.load({"notes": NOTES})
    assert refused.value.problems == [f"UNCROP_NOTES_TEXT_FILE: {problem}"]


def test_a_plugin_cannot_take_a_core_settings_name() -> None:
    taking = replace(PLUGIN, name="max", settings=(SettingFacts(name="running", kind="integer", help=""),))
    with pytest.raises(SettingsError) as caught:
        settings.load({"max": taking})
    assert caught.value.problems == ["provider max: settings.running: UNCROP_MAX_RUNNING is taken"]


def test_slips_in_the_environment_and_in_the_file_are_told_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_OPENAI_APIKEY", "k")
    monkeypatch.setenv("UNCROP_PYTHON", "python3.12")
    monkeypatch.setenv("UNCROP_KEY", "uncrop_1")
    Path(".env").write_text("uncrop_max_runing=3\nUNCROP_LOG_LEVEL=info\nOTHER=1\nUNCROP_ZZZ=\n")
    assert settings.slip_lines(settings.load()) == [
        "UNCROP_MAX_RUNING is no setting; did you mean UNCROP_MAX_RUNNING?",
        "UNCROP_OPENAI_APIKEY is no setting; did you mean UNCROP_OPENAI_API_KEY?",
        "UNCROP_ZZZ is no setting",
    ]


def test_the_class_of_settings_is_made_on_first_use_and_stays() -> None:
    assert settings.Settings is settings.Settings
    assert isinstance(settings.load(), settings.Settings)
    with pytest.raises(AttributeError, match="has no attribute 'Setting'"):
        _ = settings.Setting


# --- the file .env, however it was written ----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-with-mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_is_read_in_utf_8_and_utf_16(encoding: str, end: str) -> None:
    text = f"UNCROP_OPENAI_MODEL=größe{end}uncrop_max_running=3{end}UNCROP_MAX_WAITING={end}OTHER_MAX_RUNNING=9{end}"
    data = b"\xfe\xff" + text.encode("utf-16-be") if encoding.endswith("mark") else text.encode(encoding)
    Path(".env").write_bytes(data)
    configured = settings.load()
    assert (configured.openai_model, configured.max_running, configured.max_waiting) == ("größe", 3, 64)
    assert settings.slip_lines(configured) == []


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("A=1\nUNCROP_OPENAI_MODEL=größe\n".encode("latin-1"), ".env: line 2 (UNCROP_OPENAI_MODEL) is not UTF-8"),
        ("# größe\nUNCROP_OPENAI_MODEL=a".encode("latin-1"), ".env: line 1 is not UTF-8"),
        ("export UNCROP_OPENAI_API_KEY = \xe9".encode("latin-1"), ".env: line 1 (UNCROP_OPENAI_API_KEY) is not UTF-8"),
        (b"\xff\xfeA\x00=", ".env: the file is not UTF-8"),
    ],
)
def test_a_file_in_another_encoding_stops_the_start(data: bytes, problem: str) -> None:
    Path(".env").write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [f"{problem}; save the file as UTF-8"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32"])
def test_a_file_of_zeros_stops_the_start(encoding: str) -> None:
    Path(".env").write_bytes("UNCROP_OPENAI_MODEL=a\n".encode(encoding))
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [".env: the file holds NUL characters; save it as UTF-8"]


def test_a_file_that_cannot_be_read_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    Path(".env").touch()
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [".env: cannot be read (permission denied)"]
    Path(".env").unlink()
    assert settings.load().max_running == 16  # a folder that may not even be entered


def test_a_folder_in_the_files_place_is_told_and_no_hindrance() -> None:
    Path(".env").mkdir()
    assert settings.slip_lines(settings.load()) == [".env is a folder, so that no settings are read from it"]


def test_a_link_to_nothing_in_the_files_place_is_told_and_no_hindrance() -> None:
    Path(".env").symlink_to("gone")
    assert settings.slip_lines(settings.load()) == [
        ".env is a link to a file that is not there, so that no settings are read from it"
    ]


def test_a_single_field_can_be_asked_for() -> None:
    Path(".env").write_text("uncrop_max_running=3\n")
    kind = settings.CoreSettings
    asked = env_file.EnvFile(kind, Path(".env")).get_field_value(kind.model_fields["max_running"], "max_running")
    assert asked == ("3", "max_running", False)


def test_lines_that_are_none_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("UNCROP_MAX_RUNNING=3\n=4\nUNCROP_MAX_WAITING: 7\n")
    configured = settings.load()
    assert configured.max_running == 3
    assert ".env: line 2 is no NAME=value and is passed over" in settings.slip_lines(configured)
    assert capfd.readouterr() == ("", "")


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("UNCROP_MAX_RUNNING=3\nUNCROP_MAX_WAITING=3\nUNCROP_LOG_LEVEL=error\n")
    monkeypatch.setenv("UNCROP_MAX_RUNNING", "4")
    configured = settings.load(max_waiting=5)
    assert (configured.max_running, configured.max_waiting, configured.log_level) == (4, 5, "error")
    assert settings.Settings(_env_file=None).max_waiting == 64


# --- places -----------------------------------------------------------------------------------------------------------


def test_the_users_folder_and_relative_paths_are_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "own"))
    for written, meant in (("~/x", "own/x"), ("~", "own"), ("x/y", "x/y"), ("file:x", "file:x")):
        monkeypatch.setenv("UNCROP_DATA_DIR", written)
        assert settings.load().data_dir == tmp_path / meant
    monkeypatch.setenv("UNCROP_DATABASE_URL", "sqlite+aiosqlite:///~/a?b.db")
    assert settings.load().database == f"sqlite+aiosqlite:///{tmp_path}/own/a%3Fb.db"


def test_a_relative_path_needs_a_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Path) -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "absolute", gone)
    with pytest.raises(ValueError, match="is relative, and the working folder is gone"):
        places.folder(Path("data"))


def test_another_users_folder_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load(data_dir=Path("~nobody-of-this-name/x"))
    assert caught.value.problems == ["UNCROP_DATA_DIR: begins with ~, and there is no such user's folder"]


def test_a_path_that_is_none_stops_the_start() -> None:
    for path, problem in (("a\0b", "must not hold a NUL character"), ("a\udce9", "must be written in UTF-8")):
        with pytest.raises(SettingsError) as caught:
            settings.load(data_dir=Path(path))
        assert caught.value.problems == [f"UNCROP_DATA_DIR: {problem}"]


@pytest.mark.parametrize("name", ["OPENAI_MODEL", "OPENAI_API_KEY", "DATA_DIR", "DATABASE_URL", "CORS_ORIGINS"])
def test_a_value_that_is_no_utf_8_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(os.environb, f"UNCROP_{name}".encode(), b"caf\xe9")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [f"UNCROP_{name}: must be written in UTF-8"]


def test_who_has_no_home_has_a_folder_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: str) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr("platformdirs.user_data_path", nowhere)
    assert settings.load().data_dir == Path("/.local/share/uncrop")


def test_the_data_folder_is_needed_for_database_and_pepper_alone() -> None:
    elsewhere = {"database_url": "sqlite+aiosqlite:////tmp/u.db", "key_pepper": "p" * 32}
    assert settings.load().needs_data_folder
    assert [settings.load(**{name: elsewhere[name]}).needs_data_folder for name in elsewhere] == [True, True]
    assert not settings.load(**elsewhere).needs_data_folder


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("local,clipdop", f"clipdop is no provider; allowed are {', '.join(NAMES)}"),
        ("auto", f"auto is no provider; allowed are {', '.join(NAMES)}"),
        ("local, clipdrop ,local", "names a provider twice"),
    ],
)
def test_auto_names_known_providers_once(monkeypatch: pytest.MonkeyPatch, value: str, problem: str) -> None:
    monkeypatch.setenv("UNCROP_AUTO_PROVIDERS", value)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert caught.value.problems == [f"UNCROP_AUTO_PROVIDERS: {problem}"]


def test_auto_asks_whom_the_operator_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_AUTO_PROVIDERS", "openai, local,")
    assert settings.load().auto_names == ("openai", "local")


def test_auto_asks_nobody_who_bills_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_CLIPDROP_API_KEY", "key")
    assert settings.load().auto_names == ("local",)


def test_auto_asks_the_free_ones_that_are_set_up_before_the_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = load_rows(())
    address = SettingFacts(name="base_url", kind="address", help="Where.", default="http://127.0.0.1:1")
    mine = replace(rows["clipdrop"], name="mine", bills=False, price=None, settings=(address,))
    rows["mine"] = mine
    assert settings.load(rows).auto_names == ("local",)
    monkeypatch.setenv("UNCROP_MINE_BASE_URL", "http://127.0.0.1:2")
    assert settings.load(rows).auto_names == ("mine", "local")
