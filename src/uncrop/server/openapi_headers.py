"""The headers of answers, for the OpenAPI document and for whoever else must know their names."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def header_components() -> Json:
    """Return the headers of answers, by name."""

    def header(description: str, schema: Json, *, always: bool = False) -> Json:
        return {"description": description, "schema": schema, **({"required": True} if always else {})}

    text: Json = {"type": "string"}
    number: Json = {"type": "integer", "minimum": 0}
    return {
        "X-Provider": header("Who made the picture.", text, always=True),
        "X-Provider-Request-Id": header(
            "The provider's ids of its calls, with commas, or ours (`req_…`).", text, always=True
        ),
        "X-Provider-Calls": header("How many calls that may be billed the picture took.", number),
        "X-Provider-Credits-Consumed": header(
            "Credits that the calls cost, where the provider counts in credits.", text
        ),
        "X-Seed": header("The seed that was used.", number),
        "X-Confidence": header(
            "How far the result can be trusted, where the provider tells.",
            {"type": "number", "minimum": 0, "maximum": 1},
        ),
        "X-Advice": header(
            "How many pixels of each side can be trusted, where the provider tells: at most as many as were added, "
            "as a dictionary of RFC 9651.",
            {"type": "string", "examples": ["left=256, right=120, up=0, down=0"]},
        ),
        "X-Canvas": header(
            "The canvas, and where the photo lies on it: `WxH+X+Y`.", {"type": "string", "examples": ["1536x768+256+0"]}
        ),
        "X-Original": header(
            "How the photo's own pixels stand in the answer: bit by bit; the same before one compression with loss, "
            "which a JPEG that keeps the photo's own coefficients shows at its outermost pixels alone; or brought to "
            "another size, depth or kind of pixels.",
            {"type": "string", "enum": ["exact", "recompressed", "resampled"]},
        ),
        "X-Repaint-Difference": header(
            "By how many levels of 256, in the mean, the provider had repainted the photo before it was put back.",
            {"type": "number", "minimum": 0},
        ),
        "X-Detail": header(
            "What was done about a provider's picture that was enlarged 1.5 times or more, and by how much it was: "
            "`redrawn` from the photo; `skipped`, with a reason; or `off`.",
            {"type": "string", "examples": ["redrawn; factor=3.1"]},
        ),
        "X-Warnings": header("What was odd, as a list of strings of RFC 9651.", text),
        "Server-Timing": header("Milliseconds of the stages.", text, always=True),
        "Idempotent-Replayed": header(
            "`true` where the answer was kept from an earlier request with the same `Idempotency-Key`.",
            {"type": "string", "const": "true"},
        ),
        "X-Request-Id": header("Your own id of the request, or ours.", text, always=True),
        "X-RateLimit-Limit": header("Requests a minute and organization.", number),
        "X-RateLimit-Remaining": header("Requests that are left of them.", number),
        "X-RateLimit-Reset": header("Unix time at which more are left.", number),
        "Location": header("The job's address.", text, always=True),
        "Retry-After": header("Seconds to wait.", {"type": "integer", "minimum": 1}),
        "WWW-Authenticate": header("How to authenticate.", text, always=True),
        "Allow": header("The methods of this address.", text, always=True),
    }
