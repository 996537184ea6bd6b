"""Reads requests from standard input as JSON, sends each through the generated package, prints the answers.

usage: main.py SERVER KEY; runs in the environment of the generators, with the generated package on its path.
"""

import asyncio
import base64
import json
import sys
from io import BytesIO
from pathlib import Path

from uncrop_client import AuthenticatedClient, Client
from uncrop_client.api.images import list_providers, uncrop_image
from uncrop_client.api.operation import livez
from uncrop_client.models import PictureWithMap, UncropForm, UncropFormProvider, UncropFormQuality, UncropFormSize
from uncrop_client.types import File

CHOICES = {"provider": UncropFormProvider, "quality": UncropFormQuality, "size": UncropFormSize}


def extend(server: str, key: str, fields: dict, files: dict) -> dict:
    """Send one request, and then once more the way that gives the parsed answer alone."""
    client = AuthenticatedClient(
        base_url=server, token=key, auth_header_name="X-API-Key", prefix="", raise_on_unexpected_status=True, timeout=60
    )
    chosen = {name: CHOICES[name](value) if name in CHOICES else value for name, value in fields.items()}

    def form() -> UncropForm:
        opened = {name: File(payload=BytesIO(Path(path).read_bytes()), file_name=name) for name, path in files.items()}
        return UncropForm(**chosen, **opened)

    answer = uncrop_image.sync_detailed(client=client, body=form())
    again = asyncio.run(uncrop_image.asyncio(client=client, body=form()))
    picture = isinstance(answer.parsed, File)
    content = answer.parsed.payload.read() if picture else b""
    kind = answer.headers["content-type"]
    as_map = picture and kind == "application/json"
    return {
        "status": int(answer.status_code),
        "type": kind,
        "provider": answer.headers.get("x-provider"),
        "bytes": base64.b64encode(content).decode() if picture else None,
        "map": PictureWithMap.from_dict(json.loads(content)).to_dict() if as_map else None,
        "code": None if picture else answer.parsed.error.code.value,
        "same": type(again) is type(answer.parsed),
    }


def main() -> None:
    server, key = sys.argv[1:]
    answers = [extend(server, key, **request) for request in json.load(sys.stdin)]
    client = Client(base_url=server)
    listed = {each.name: each.upload.max_bytes for each in list_providers.sync(client=client).providers}
    json.dump({"live": livez.sync(client=client).status, "providers": listed, "answers": answers}, sys.stdout)


main()
