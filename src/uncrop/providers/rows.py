"""Rows that contradict themselves, or one another: found at the start, not with the first customer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from uncrop.geometry.planner import possible_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from uncrop.model import FieldFacts, GeometryFacts, ProviderFacts, SettingFacts

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = frozenset({"all", "auto"})
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
HOST = re.compile(r"(\*\.)?([a-z0-9-]+\.)+[a-z]{2,}")
# What a form may hold beside the photo and its geometry.
NUMBERS = frozenset({"seed"})
TEXTS = frozenset({"prompt", "negative_prompt", "size", "quality"})
FIELDS = NUMBERS | TEXTS | {"mask_file", "confidence_map"}


def problems(row: ProviderFacts, others: Mapping[str, ProviderFacts]) -> Iterator[str]:
    """Yield a line for each contradiction in a row, and with the rows that are there already."""
    if not NAME.fullmatch(row.name):
        yield "name: must be a lower-case letter and up to 31 letters, digits or _"
    if row.name in RESERVED:
        yield f"name: {row.name} has a meaning of its own in the field provider"
    if row.name in others:
        yield f"name: {row.name} is taken"
    if not TARGET.fullmatch(row.implementation):
        yield "implementation: must be module:Class"
    if row.emulator is not None and not TARGET.fullmatch(row.emulator):
        yield "emulator: must be module:Class"
    if row.upload.max_bytes < 1 or "PNG" not in row.upload.formats:
        yield "upload: must take PNG, and files of at least a byte"
    for hosts, field in ((row.poll_hosts, "poll_hosts"), (row.download_hosts, "download_hosts")):
        for host in hosts:
            if not HOST.fullmatch(host):
                yield f"{field}: {host} must be a host's name, or *. and a domain"
    if row.bills and row.computes_here:
        yield "bills: what is computed on this machine cannot be billed"
    yield from _of_geometry(row.geometry)
    yield from _of_fields(row)
    yield from _of_settings(row, others)


def _of_geometry(facts: GeometryFacts) -> Iterator[str]:
    if facts.grid < 1:
        yield "geometry.grid: must be at least 1"
    for low, high, name in (
        (facts.min_edge, facts.max_edge, "edge"),
        (facts.min_pixels, facts.max_pixels, "pixels"),
        (facts.min_photo_edge**2, facts.max_photo_pixels, "photo_pixels"),
        (1, facts.max_ratio, "ratio"),
        (1, facts.max_photo_ratio, "photo_ratio"),
        (1, facts.max_side, "side"),
    ):
        if high is not None and high < low:
            yield f"geometry.max_{name}: excludes everything"
    if facts.max_edge is not None and facts.max_edge**2 < facts.min_pixels:
        yield "geometry.min_pixels: no canvas within max_edge has so many"
    elif _is_sound(facts) and not any(possible_sizes(1, 1, facts)):
        yield "geometry: no canvas on its grid lies within its limits"
    for size in facts.sizes:
        if min(size) < 1 or any(edge % facts.grid for edge in size):
            yield f"geometry.sizes: {size[0]}x{size[1]} is not on the grid of {facts.grid}"


def _is_sound(facts: GeometryFacts) -> bool:
    """Tell whether each of the canvas's limits makes sense by itself."""
    pairs = ((facts.min_edge, facts.max_edge), (facts.min_pixels, facts.max_pixels), (1, facts.max_ratio))
    return facts.grid >= 1 and not facts.sizes and all(high is None or low <= high for low, high in pairs)


def _of_fields(row: ProviderFacts) -> Iterator[str]:
    names = [field.name for field in row.fields]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            yield f"fields.{name}: stands there twice"
        if name not in FIELDS:
            yield f"fields.{name}: is no field of the form"
    for field in row.fields:
        yield from _of_field(field)
    if row.takes("mask_file") and row.geometry.speaks != "mask":
        yield "fields.mask_file: a provider that takes masks must speak masks"


def _of_field(field: FieldFacts) -> Iterator[str]:
    if field.minimum is not None and field.maximum is not None and field.maximum < field.minimum:
        yield f"fields.{field.name}: its maximum is below its minimum"
    if field.name in NUMBERS and (field.minimum is None or field.maximum is None):
        yield f"fields.{field.name}: needs a minimum and a maximum"
    if field.name in {"size", "quality"} and not field.choices:
        yield f"fields.{field.name}: needs choices"
    if field.choices and field.default is not None and field.default not in field.choices:
        yield f"fields.{field.name}: its default is none of its choices"


def _of_settings(row: ProviderFacts, others: Mapping[str, ProviderFacts]) -> Iterator[str]:
    taken = {other.variable(setting) for other in others.values() for setting in other.settings}
    seen: set[str] = set()
    for setting in row.settings:
        variable = row.variable(setting)
        if not NAME.fullmatch(setting.name):
            yield f"settings.{setting.name}: must be a lower-case letter and up to 31 letters, digits or _"
        if variable in seen:
            yield f"settings.{setting.name}: is declared twice"
        elif variable in taken:
            yield f"settings.{setting.name}: {variable} is another provider's"
        seen.add(variable)
        yield from _of_setting(setting)
    if not row.computes_here and "base_url" not in {setting.name for setting in row.settings}:
        yield "settings.base_url: a provider behind HTTP needs one"


def _of_setting(setting: SettingFacts) -> Iterator[str]:
    low, high = setting.minimum, setting.maximum
    if low is not None and high is not None and high < low:
        yield f"settings.{setting.name}: its maximum is below its minimum"
    if setting.kind == "secret" and setting.default is not None:
        yield f"settings.{setting.name}: a secret has no default"
    if setting.kind in {"integer", "number"} and isinstance(setting.default, str):
        yield f"settings.{setting.name}: its default is no number"
    if setting.kind == "file" and setting.default is not None:
        yield f"settings.{setting.name}: a file has no default"
    if setting.check is not None and setting.kind != "file":
        yield f"settings.{setting.name}: only a file is checked"
    if setting.choices and (setting.kind != "text" or setting.default not in {None, *setting.choices}):
        yield f"settings.{setting.name}: only a text has choices, and its default is one of them"
