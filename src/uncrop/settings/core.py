"""The settings that do not belong to a provider. The only reader of the environment is this package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from uncrop.errors import SettingsError
from uncrop.model import ProviderFacts
from uncrop.objects.place import BucketPlace, FolderPlace
from uncrop.providers.base import ProviderSettings
from uncrop.providers.transport.network import Network
from uncrop.settings import env_file, places
from uncrop.settings.network import read_network
from uncrop.settings.objects import check_objects_url, read_place
from uncrop.settings.ray_address import split_ray_address
from uncrop.settings.redis_address import check_redis_address
from uncrop.webhooks.numbers import Network as WebhookNetwork
from uncrop.webhooks.numbers import networks_of

PREFIX = "UNCROP_"
SHORTEST_SECRET = 32  # characters
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
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis in which several servers on one PostgreSQL count rate limits together, "
        "`redis://host:6379/0`; needs the extra `redis`. Default: one server alone counts, in memory.",
    )
    objects_url: str = Field(
        default="",
        description="Where answers are kept for requests that come again: `s3://bucket` or `s3://bucket/prefix`; "
        "default: the folder `objects` in the data folder.",
    )
    key_pepper: SecretStr | None = Field(
        default=None,
        min_length=SHORTEST_SECRET,
        description="Secret that hashes API keys; default: a file in the data folder.",
    )
    key_pepper_previous: SecretStr | None = Field(
        default=None,
        description="Secrets that API keys were hashed with before, with commas in between, until `uncrop doctor` says "
        "that no key needs them any more.",
    )

    encryption_key: SecretStr | None = Field(
        default=None,
        description="Secret of at least 32 characters that encrypts organizations' own keys of providers and what "
        "messages to webhooks are signed with; with commas in between several, of which the first encrypts and all "
        "decrypt. Default: neither is kept.",
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
    stop_delay_s: float = Field(
        default=0,
        ge=0,
        le=600,
        description="Seconds for which a server that gets SIGTERM goes on taking requests and says in `/readyz` that "
        "it will stop, so that whoever divides requests between several servers notices.",
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
        default_factory=_default_engine_workers,
        ge=1,
        le=256,
        description="Processes of the local engine; with Ray, pictures that are sent to the cluster at once, then by "
        "default as many as `UNCROP_MAX_RUNNING`.",
    )
    engine: Literal["local", "ray"] = Field(
        default="local",
        description="Where the local engine computes: on this machine, or on the nodes of a Ray cluster, which needs "
        "the extra `ray` and `UNCROP_RAY_ADDRESS`.",
    )
    ray_address: str = Field(
        default="",
        validate_default=True,
        description="Head of the Ray cluster, `host:6379`; this machine must be one of its nodes.",
    )
    ray_cpus_per_picture: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Processors of a node that a picture takes, and threads that it is made by; a node with fewer "
        "makes none.",
    )

    jobs_at_once: int = Field(
        default=4, ge=1, le=256, description="Jobs that one process works on at once, each of which takes a slot too."
    )
    max_open_jobs: int = Field(
        default=1000, ge=1, le=1_000_000, description="Jobs of an organization that may be queued or worked on."
    )
    job_result_hours: float = Field(
        default=24, gt=0, le=8760, description="Hours for which a job's result can be had, and its photo is kept."
    )

    webhook_allowed_networks: str = Field(
        default="",
        description="Networks of your own that webhooks may be sent into, `10.20.0.0/16,127.0.0.1`, there on any port "
        "and without encryption too. Default: none; webhooks go to public addresses alone, over https.",
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

    @field_validator("encryption_key")
    @classmethod
    def _are_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and any(len(key) < SHORTEST_SECRET for key in _split(value.get_secret_value()) or [""]):
            raise ValueError(f"must hold secrets of at least {SHORTEST_SECRET} characters, with commas in between")
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

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_redis_address(value.get_secret_value())
        return value

    @field_validator("ray_address")
    @classmethod
    def _is_a_head(cls, value: str, info: ValidationInfo) -> str:
        if value:
            split_ray_address(value)
        elif info.data.get("engine") == "ray":
            raise ValueError("must be set where UNCROP_ENGINE is ray")
        return value

    @field_validator("objects_url")
    @classmethod
    def _names_a_bucket(cls, value: str) -> str:
        check_objects_url(value)
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

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _lists_networks(cls, value: str) -> str:
        for number, entry in enumerate(_split(value), 1):
            try:
                networks_of(entry)
            except ValueError as error:
                raise ValueError(f"entry {number} is no network; write 10.20.0.0/16, or a number alone") from error
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
    def webhook_networks(self) -> tuple[WebhookNetwork, ...]:
        """The operator's own networks that webhooks may be sent into."""
        return networks_of(self.webhook_allowed_networks)

    @property
    def encryption_keys(self) -> tuple[str, ...]:
        """The secrets that organizations' keys of providers are encrypted with; the first encrypts."""
        return () if self.encryption_key is None else _split(self.encryption_key.get_secret_value())

    @property
    def database(self) -> str:
        """The database's address, with the default filled in."""
        return self.database_url or SQLITE + places.in_address(self.data_dir / "uncrop.db")

    def objects_place(self, kind: str) -> FolderPlace | BucketPlace:
        """Return where results of one kind are kept.

        Raises
        ------
        SettingsError
            The environment names half of a pair of keys, or an address that is none.
        """
        try:
            place = read_place(self.objects_url, self.data_dir / "objects")
        except ValueError as error:
            raise SettingsError([str(error)]) from error
        if isinstance(place, FolderPlace):
            return replace(place, folder=place.folder / kind)
        return replace(place, prefix=f"{place.prefix}/{kind}".lstrip("/"))

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
        return 1_000_000 * (self.max_pixel_megabytes or PIXEL_MEGABYTES * (1 + self.engine_at_once))

    @property
    def ray_head(self) -> tuple[str, int]:
        """Host and port of the Ray cluster's head."""
        return split_ray_address(self.ray_address)

    @property
    def engine_at_once(self) -> int:
        """How many pictures the local engine makes at once, wherever it computes."""
        everywhere = self.engine == "ray" and "engine_workers" not in self.model_fields_set
        return self.max_running if everywhere else self.engine_workers

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
