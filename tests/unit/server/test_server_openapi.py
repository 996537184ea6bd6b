from __future__ import annotations

import dataclasses
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import uncrop.server
from uncrop import errors
from uncrop.imaging.mask import MAX_MASK_BYTES
from uncrop.model import FieldFacts, GeometryFacts, Price, ProviderFacts, UploadFacts
from uncrop.providers.registry import NAMES, load_rows
from uncrop.server.fields import FIELDS, FILES, NUMBERS, REQUIRED, SWITCHES
from uncrop.server.form import BodyLimits
from uncrop.server.openapi import CANCEL_PATH, QUOTE_PATH, RUNNING_PATH, UNCROP_PATHS, document
from uncrop.server.openapi_errors import raised
from uncrop.service.provider_list import ProviderEntry

ROWS = list(load_rows(()).values())
SERVER = Path(uncrop.server.__file__).parent


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return document(limits=BodyLimits(), providers=ROWS)


def test_the_form_has_every_field_that_is_read_each_with_its_meaning(spec: dict[str, Any]) -> None:
    form = spec["components"]["schemas"]["UncropForm"]
    assert set(form["properties"]) == set(FIELDS)
    assert form["required"] == list(REQUIRED)
    assert all(field["description"] for field in form["properties"].values())
    assert {name for name, field in form["properties"].items() if field["type"] == "integer"} == set(NUMBERS)
    assert {name for name, field in form["properties"].items() if field.get("format") == "binary"} == set(FILES)
    assert {name for name, field in form["properties"].items() if field["type"] == "boolean"} == set(SWITCHES)


def follow(spec: dict[str, Any], node: Any) -> Any:
    """Return the node itself, or what it refers to."""
    if "$ref" not in node:
        return node
    found: Any = spec
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_code_is_documented_under_its_status_with_an_example(spec: dict[str, Any]) -> None:
    for path in UNCROP_PATHS:
        responses = spec["paths"][path]["post"]["responses"]
        for kind in raised():
            if kind.code in {"NOT_FOUND", "NOT_READY", "JOB_NOT_DONE", "JOB_CANCELLED", "RESULT_EXPIRED"}:
                continue
            content = follow(spec, responses[str(kind.status)])["content"]["application/json"]
            schema = follow(spec, content["schema"])
            assert kind.code in schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]
            example = content["examples"][kind.code]["value"]["error"]
            assert (example["code"], example["status"], example["type"]) == (kind.code, kind.status, kind.type)


def test_the_tree_is_told_whole_and_without_bases() -> None:
    kinds = raised()
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert errors.ValidationError in kinds
    assert errors.CallerError not in kinds
    assert errors.SettingsError not in kinds
    assert errors.InternalError in kinds


def test_the_published_example_is_the_example(spec: dict[str, Any]) -> None:
    response = follow(spec, spec["paths"][UNCROP_PATHS[0]]["post"]["responses"]["422"])
    content = response["content"]["application/json"]
    error = content["examples"]["INVALID_EXTEND_PARAMETERS"]["value"]["error"]
    assert error["message"] == "Extend parameters exceed 2000px"
    assert error["details"] == {"extend_left": 2500, "max_allowed": 2000}


def test_operations_have_names_of_their_own_and_references_lead_somewhere(spec: dict[str, Any]) -> None:
    names = [operation["operationId"] for item in spec["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)
    for reference in _references(spec):
        assert follow(spec, {"$ref": reference})


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [reference for value in node.values() for reference in _references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in _references(value)]
    return []


def test_the_three_kinds_of_credentials_are_alternatives(spec: dict[str, Any]) -> None:
    assert spec["paths"][UNCROP_PATHS[0]]["post"]["security"] == [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}]
    assert set(spec["components"]["securitySchemes"]) == {"XApiKey", "ApiKey", "Bearer"}
    assert all(not spec["paths"][path]["get"]["security"] for path in ("/livez", "/readyz", "/metrics"))


def test_the_document_states_the_providers_own_facts(spec: dict[str, Any]) -> None:
    fields = spec["components"]["schemas"]["UncropForm"]["properties"]
    assert fields["provider"]["enum"] == [*NAMES, "auto"]
    rows = load_rows(())
    size, seed, prompt = (
        rows["openai"].field("size"),
        rows["clipdrop"].field("seed"),
        rows["openai"].field("prompt"),
    )
    assert size is not None
    assert seed is not None
    assert prompt is not None
    assert fields["size"]["enum"] == list(size.choices)
    assert f"0 to {seed.maximum}" in fields["seed"]["description"]
    # One of them knows no limit, so that there is none for all.
    assert "maxLength" not in fields["prompt"]
    assert f"at most {prompt.max_characters} characters" in fields["prompt"]["description"]


def test_the_largest_request_that_a_provider_takes_fits_into_a_body() -> None:
    limits = BodyLimits()
    rows = load_rows(()).values()
    largest = max(row.upload.max_bytes for row in rows) + MAX_MASK_BYTES + limits.max_field_bytes
    assert largest < limits.max_bytes < 1.1 * largest
    characters = max(field.max_characters or 0 for row in rows for field in row.fields)
    assert limits.max_field_bytes > 4 * characters


def test_no_field_has_a_default_that_a_program_would_send_to_a_provider_that_refuses_it(spec: dict[str, Any]) -> None:
    form = spec["components"]["schemas"]["UncropForm"]["properties"]
    assert [name for name, field in form.items() if "default" in field] == []
    for name, value in {"extend_left": "0", "quality": "`standard`", "confidence_map": "`false`"}.items():
        assert f"{value} when absent" in form[name]["description"]


def test_a_picture_is_bytes_for_programs_that_know_one_type_a_status(spec: dict[str, Any]) -> None:
    responses = spec["paths"][UNCROP_PATHS[0]]["post"]["responses"]
    assert list(responses["200"]["content"]) == ["image/jpeg", "image/png", "image/webp", "application/*"]
    assert list(responses["2XX"]["content"]) == ["application/octet-stream"]
    assert [status for status in responses if status.startswith("2")] == ["200", "2XX"]


def test_readyz_tells_of_its_own_error_and_no_other_route_does(spec: dict[str, Any]) -> None:
    operations = {path: operation for path, item in spec["paths"].items() for operation in item.values()}
    ordinary, own = ({"$ref": f"#/components/responses/{name}"} for name in ("Error503", "ErrorNotReady"))
    busy = {path: operation["responses"].get("503") for path, operation in operations.items()}
    assert {path for path, response in busy.items() if response == own} == {"/readyz"}
    assert {path for path, response in busy.items() if response == ordinary} == {
        *UNCROP_PATHS,
        QUOTE_PATH,
        RUNNING_PATH,
        CANCEL_PATH,
        *(
            path
            for path, operation in operations.items()
            if operation["tags"][0] in {"administration", "jobs", "webhooks"}
        ),
    }
    examples = spec["components"]["responses"]["ErrorNotReady"]["content"]["application/json"]["examples"]
    assert list(examples) == ["NOT_READY"]


# --- made from the rows ----------------------------------------------------------------------------------------------

SKETCH = ProviderFacts(
    name="sketch",
    title="Sketch",
    sentence="Draws what lies beyond.",
    implementation="nowhere:Sketch",
    geometry=GeometryFacts(speaks="canvas", max_side=512, min_photo_edge=64, max_photo_pixels=4_000_000, max_ratio=2.5),
    fields=(
        FieldFacts(name="seed", help="A seed.", minimum=1, maximum=9_999_999_999),
        FieldFacts(name="prompt", help="What to draw."),
        FieldFacts(name="quality", help="How carefully.", choices=("rough", "fast"), default="rough"),
    ),
    upload=UploadFacts(formats=frozenset({"PNG", "WEBP"}), max_bytes=12_500_000),
    bills=True,
    price=Price(amount=Decimal("0.04"), unit="USD", per="picture", date="2026-11", source="https://sketch.example"),
    requests_per_minute=5,
    evidence="a test",
)


def test_no_providers_name_stands_in_the_server() -> None:
    words = {row.name for row in ROWS} | {row.title for row in ROWS}
    named = re.compile("|".join(rf"[\"'`]{re.escape(word)}[\"'`]" for word in words))
    # `local` is a word of the language, the others are not.
    alone = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in words - {"local"}), re.IGNORECASE)
    found = [
        f"{path.name}:{number}"
        for path in sorted(SERVER.glob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if named.search(line) or alone.search(line)
    ]
    assert found == []


def test_a_plugins_row_is_described_like_all_others() -> None:
    three = [row for row in ROWS if row.name in {"clipdrop", "local", "openai"}]
    spec = document(limits=BodyLimits(), providers=[*three, SKETCH])
    form = spec["components"]["schemas"]["UncropForm"]["properties"]
    assert form["provider"]["enum"] == ["clipdrop", "local", "openai", "sketch", "auto"]
    assert form["provider"]["description"].endswith(
        "`sketch`: Draws what lies beyond. 0.04 USD for each picture (2026-11)."
    )
    assert form["image_file"]["description"].endswith(
        "`sketch`: PNG or WebP, at most 12.5 MB, at most 4 megapixels, at least 64 pixels a side."
    )
    assert "`sketch` adds at most 512 in one call." in form["extend_up"]["description"]
    assert "With `openai` and `sketch` one side must be positive." in form["extend_up"]["description"]
    # The widest range, and in words who takes which.
    assert (form["seed"]["minimum"], form["seed"]["maximum"]) == (0, 9_999_999_999)
    assert form["seed"]["description"].endswith(
        "Taken by `clipdrop` (0 to 100000), `local` (0 to 4294967295) and `sketch` (1 to 9999999999)."
    )
    assert "`local`: How much time the engine takes. `sketch`: How carefully." in form["quality"]["description"]
    assert form["quality"]["enum"] == ["fast", "standard", "best", "rough"]
    # One of the two knows no limit, so that there is none for all.
    assert "maxLength" not in form["prompt"]
    operation = spec["paths"][UNCROP_PATHS[0]]["post"]
    assert "the photo's own format from `sketch`" in operation["responses"]["200"]["description"]
    example = operation["requestBody"]["content"]["multipart/form-data"]["examples"]["sketch"]["value"]
    assert {name: example[name] for name in ("provider", "extend_left", "seed")} == {
        "provider": "sketch",
        "extend_left": 200,
        "seed": 42,
    }


def test_every_example_is_legal_by_its_schema(spec: dict[str, Any]) -> None:
    content = spec["paths"][UNCROP_PATHS[0]]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(content["examples"]) == {row.name for row in ROWS}
    validator = jsonschema_rs.Draft202012Validator({**spec, **content["schema"]})
    for example in content["examples"].values():
        validator.validate(example["value"])


@pytest.mark.parametrize("row", [*ROWS, SKETCH], ids=lambda row: row.name)
def test_what_the_list_tells_of_a_provider_is_described(spec: dict[str, Any], row: ProviderFacts) -> None:
    told = {"providers": [ProviderEntry(facts=row, configured=True).to_json()]}
    jsonschema_rs.validate({**spec, "$ref": "#/components/schemas/ProviderList"}, json.loads(json.dumps(told)))


def test_the_described_parts_of_a_provider_are_those_that_its_row_has(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    for name, kind in {
        "ProviderField": FieldFacts,
        "ProviderGeometry": GeometryFacts,
        "ProviderPrice": Price,
        "ProviderUpload": UploadFacts,
    }.items():
        assert set(schemas[name]["properties"]) == {field.name for field in dataclasses.fields(kind)}, name
    entry = ProviderEntry(facts=SKETCH, configured=True).to_json()
    assert set(schemas["Provider"]["properties"]) == set(entry)
