"""The settings that do not belong to a provider. The only reader of the environment is this package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from uncrop.errors import SettingsError
from uncrop.model import ProviderFacts
from uncrop.providers.base import ProviderSettings
from uncrop.providers.transport.network import Network
from uncrop.settings import env_file, places
from uncrop.settings.network import read_network

PREFIX = "UNCROP_"
SQLITE = "sqlite+aiosqlite:///"
PIXEL_MEGABYTES = 400  # a photo of 10 megapixels extended by 15 % a side takes 370 in the local engine
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_COLLECTOR = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def _default_engine_workers() -> int:
    # Each worker computes on all cores, so half as many workers as cores keep the machine busy without thrashing it.
    return max(1, len(os.sched_getaffinity(0)) // 2) if hasattr(os, "sched_getaffinity") else 1


class CoreSettings(BaseSettings):
    """What can be set, with defaults that run as they are. Each provider's own settings come on top."""

    rows: ClassVar[Mapping[str, ProviderFacts]] = {}

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=(),  # read by our own reader, unless ``_env_file=None`` forbids it
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    data_dir: Path = Field(
        default_factory=places.default_data_folder,
        description="Folder for the database, the key pepper and the compiled kernels.",
    )
    database_url: str = Field(
        default="", description="Database; default: SQLite in the data folder. PostgreSQL: postgresql+psycopg://…"
    )
    key_pepper: SecretStr | None = Field(
        default=None, min_length=32, description="Secret that hashes API keys; default: a file in the data folder."
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
        "the wait for a process of its own. Before that, a request may wait for its turn for as long, counted from its "
        "first byte.",
    )
    body_timeout_s: float = Field(
        default=60, gt=0, le=3600, description="Seconds in which a request's body must arrive."
    )
    cors_origins: str = Field(
        default="",
        description="Origins of web pages that may read the answers, `https://app.example.com,http://localhost:3000`, "
        "or `*` for all; default: none.",
    )
    auto_providers: str = Field(
        default="",
        description="Names with commas: who is asked in turn for the provider `auto`; the first that can makes the "
        "picture. Default: those that bill nothing and have a setting of their own set, then `local`.",
    )
    max_output_megapixels: float = Field(default=40, gt=0, le=400, description="Largest picture of the local engine.")
    max_running: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Requests worked on at once. An organization that has "
        "some of these slots may not take the last eighth of them.",
    )
    max_waiting: int = Field(
        default=64,
        ge=0,
        le=65536,
        description="Requests that may wait for a slot, which organizations "
        "get in turn. When all places are taken, one that has fewer of them than another displaces that one's last.",
    )
    max_pixel_megabytes: int | None = Field(
        default=None,
        ge=1,
        description="Memory for the pixels of all requests worked on, the local engine's included; more of them wait, "
        "and organizations get it in turn. One that needs more is refused where this is set, else made alone.",
    )
    engine_workers: int = Field(
        default_factory=_default_engine_workers, ge=1, le=256, description="Processes of the local engine."
    )

    otlp_endpoint: str = Field(
        default="",
        description="Base address of an OpenTelemetry collector, `http://127.0.0.1:4318`, that traces are sent to over "
        "OTLP/HTTP; needs the extra `otel`. Default: none are made.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: readable in a terminal, JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there are none
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, the environment and ``.env``, in this order, the last with our own reader."""
        forbidden = getattr(dotenv_settings, "env_file", None) is None
        return init_settings, env_settings, env_file.EnvFile(settings_cls, None if forbidden else Path(env_file.NAME))

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        # Bytes of the environment that are no UTF-8 reach Python as halves of characters, which nothing can send.
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("must be written in UTF-8")
        return value

    @field_validator("data_dir")
    @classmethod
    def _is_a_place(cls, value: Path) -> Path:
        return places.folder(value)

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, value: str) -> str:
        if value and not value.startswith((SQLITE, "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+psycopg://")
        if value.startswith(f"{SQLITE}~"):
            return SQLITE + places.in_address(places.folder(Path(value.removeprefix(SQLITE))))
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

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not _COLLECTOR.fullmatch(value):
            raise ValueError("must begin with http:// or https:// and name a host; /v1/traces is added to it")
        return value

    @field_validator("auto_providers")
    @classmethod
    def _lists_providers(cls, value: str) -> str:
        names = _split(value)
        if unknown := [name for name in names if name not in cls.rows]:
            raise ValueError(f"{unknown[0][:64]} is no provider; allowed are {', '.join(cls.rows)}")
        if len(set(names)) < len(names):
            raise ValueError("names a provider twice")
        return value

    @property
    def auto_names(self) -> tuple[str, ...]:
        """Who is asked in turn for the provider ``auto``; one that bills, only where it is named."""
        if names := _split(self.auto_providers):
            return names
        free = [row for row in self.rows.values() if not row.bills]
        remote = [row.name for row in free if not row.computes_here and self._is_set_up(row)]
        return (*remote, *(row.name for row in free if row.computes_here))

    def _is_set_up(self, row: ProviderFacts) -> bool:
        """Tell whether the operator has set anything for a provider; defaults alone do not say that it is there."""
        return any(f"{row.name}_{setting.name}" in self.model_fields_set for setting in row.settings)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of web pages that may read the answers, one by one; ``("*",)`` for all."""
        return _split(self.cors_origins)

    @property
    def database(self) -> str:
        """The database's address, with the default filled in."""
        return self.database_url or SQLITE + places.in_address(self.data_dir / "uncrop.db")

    @cached_property
    def network(self) -> Network:
        """The proxies and certificates of the environment, with what is wrong with them."""
        return read_network()

    def check_network(self) -> None:
        """Look at the proxies and certificates now, rather than at the first call that needs them.

        Raises
        ------
        SettingsError
            With a line for each mistake.
        """
        if self.network.problems:
            raise SettingsError([*self.network.problems])

    @property
    def needs_data_folder(self) -> bool:
        """Whether the database or the pepper lies in the data folder; compiled kernels alone are not needed there."""
        return not self.database_url or self.key_pepper is None

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

    @property
    def providers(self) -> dict[str, ProviderSettings]:
        """The values of each provider's settings, by its name."""
        return {name: ProviderSettings(values=dict(self._values(row))) for name, row in self.rows.items()}

    def _values(self, row: ProviderFacts) -> Iterator[tuple[str, str | float]]:
        for setting in row.settings:
            value = getattr(self, f"{row.name}_{setting.name}")
            if value is not None:
                yield setting.name, value.get_secret_value() if isinstance(value, SecretStr) else value


def _split(listed: str) -> tuple[str, ...]:
    return tuple(entry for part in listed.split(",") if (entry := part.strip()))
