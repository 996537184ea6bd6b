"""The settings: the only reader of the environment.

Every setting is an environment variable ``UNCROP_…`` or a line in ``.env``. All mistakes are reported together, one
line each, with the variable's name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import platformdirs
import pydantic
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from uncrop.errors import SettingsError

PREFIX = "UNCROP_"
PIXEL_MEGABYTES = 400  # a photo of 10 megapixels extended by 15 % a side takes 370 in the local engine
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_CARRIED_BY_HEADERS = re.compile(r"[!-~]*")


def _default_engine_workers() -> int:
    # Each worker computes on all cores, so half as many workers as cores keep the machine busy without thrashing it.
    return max(1, len(os.sched_getaffinity(0)) // 2) if hasattr(os, "sched_getaffinity") else 1


class Settings(BaseSettings):
    """What can be set, with defaults that run as they are."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("uncrop"),
        description="Folder for the database, the key pepper and the compiled kernels.",
    )
    database_url: str = Field(
        default="", description="Database; default: SQLite in the data folder. PostgreSQL: postgresql+psycopg://…"
    )
    key_pepper: SecretStr | None = Field(
        default=None, min_length=32, description="Secret that hashes API keys; default: a file in the data folder."
    )

    openai_api_key: SecretStr | None = Field(default=None, description="Key for OpenAI or a compatible server.")
    openai_base_url: str = Field(
        default="https://api.openai.com/v1", description="OpenAI's address, or that of any compatible server."
    )
    openai_model: str = Field(default="gpt-image-2", min_length=1, description="Model for OpenAI's image edits.")
    openai_rate_limit_per_minute: int | None = Field(
        default=None, ge=1, description="Lower limit for OpenAI, per organization."
    )
    clipdrop_api_key: SecretStr | None = Field(default=None, description="Key for Clipdrop.")
    clipdrop_base_url: str = Field(default="https://clipdrop-api.co", description="Clipdrop's address.")
    clipdrop_rate_limit_per_minute: int | None = Field(
        default=None, ge=1, description="Lower limit for Clipdrop, per organization."
    )

    rate_limit_per_minute: int = Field(default=60, ge=1, description="Requests a minute and organization.")
    usage_limit_per_day: int = Field(
        default=0,
        ge=0,
        description="Pictures a UTC day and organization; 0: no limit. An organization may have its own.",
    )
    provider_timeout_s: float = Field(
        default=180,
        gt=0,
        le=3600,
        description="Seconds for one picture: from the first byte sent to the last received; of the local engine, with "
        "the wait for a process of its own.",
    )
    body_timeout_s: float = Field(
        default=60, gt=0, le=3600, description="Seconds in which a request's body must arrive."
    )
    cors_origins: str = Field(
        default="",
        description="Origins of web pages that may read the answers, `https://app.example.com,http://localhost:3000`, "
        "or `*` for all; default: none.",
    )
    max_output_megapixels: float = Field(default=40, gt=0, le=400, description="Largest picture of the local engine.")
    max_running: int = Field(default=16, ge=1, le=1024, description="Requests worked on at once.")
    max_waiting: int = Field(default=64, ge=0, le=65536, description="Requests that may wait for a slot.")
    max_pixel_megabytes: int | None = Field(
        default=None,
        ge=1,
        description="Memory for the pixels of all requests worked on, the local engine's included; more of them wait.",
    )
    engine_workers: int = Field(
        default_factory=_default_engine_workers, ge=1, le=256, description="Processes of the local engine."
    )

    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: readable in a terminal, JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is logged.")

    @field_validator("openai_base_url", "clipdrop_base_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        try:
            url = pydantic.HttpUrl(value)
        except pydantic.ValidationError as error:
            raise ValueError("must be an http:// or https:// address") from error
        if url.username is not None or url.password is not None:
            raise ValueError("must not hold a user name or password")
        if url.query or url.fragment:
            raise ValueError("must be an address without query or fragment")
        return value.rstrip("/")

    @field_validator("openai_api_key", "clipdrop_api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        # A space or a line's end that came along when the key was copied is told, not cut off: what is meant to be the
        # key is for the operator to say.
        if value is not None and not _CARRIED_BY_HEADERS.fullmatch(value.get_secret_value()):
            raise ValueError("must consist of visible ASCII characters, without spaces, or no HTTP header can carry it")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite+aiosqlite:///", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+psycopg://")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _lists_origins(cls, value: str) -> str:
        origins = _split(value)
        if "*" in origins and len(origins) > 1:
            raise ValueError("'*' is every origin, so that it stands alone")
        wrong = [n for n, origin in enumerate(origins, 1) if origin != "*" and not _ORIGIN.fullmatch(origin)]
        if wrong:
            raise ValueError(
                f"entry {wrong[0]} is no origin; write scheme://host[:port] in lower case, no / at its end"
            )
        return value

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of web pages that may read the answers, one by one; ``("*",)`` for all."""
        return _split(self.cors_origins)

    @property
    def database(self) -> str:
        """The database's address, with the default filled in."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'uncrop.db'}"

    @property
    def kernel_cache(self) -> Path:
        """Folder of the engine's compiled kernels."""
        return self.data_dir / "kernels"

    @property
    def max_pixel_bytes(self) -> int:
        """Memory for pixels, with the default filled in: as much for every process of the engine as for all photos."""
        return 1_000_000 * (self.max_pixel_megabytes or PIXEL_MEGABYTES * (1 + self.engine_workers))

    @property
    def max_output_pixels(self) -> int:
        """Largest picture of the local engine, in pixels."""
        return int(self.max_output_megapixels * 1_000_000)


def _split(listed: str) -> tuple[str, ...]:
    return tuple(entry for part in listed.split(",") if (entry := part.strip()))


def load(**overrides: object) -> Settings:
    """Read the environment and ``.env``.

    Raises
    ------
    SettingsError
        With one problem per mistake, each naming its variable.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except pydantic.ValidationError as error:
        raise SettingsError([_describe(problem["loc"], problem["msg"]) for problem in error.errors()]) from error


def _describe(location: tuple[int | str, ...], message: str) -> str:
    # The value itself is left out: it may be a secret.
    name = PREFIX + str(location[0]).upper() if location else "settings"
    return f"{name}: {message.removeprefix('Value error, ')}"


def unknown_variables() -> set[str]:
    """Return the names of the environment that look like settings and are none, most likely slips."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {"UNCROP_PYTHON"}
    return {name for name in os.environ if name.startswith(PREFIX)} - known
