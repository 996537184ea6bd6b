"""Extends the example photo with Python's requests. usage: client.py local, or clipdrop."""

import os
import sys
from pathlib import Path

import requests

url = os.environ.get("UNCROP_URL", "http://127.0.0.1:8000")
provider = sys.argv[1] if len(sys.argv) > 1 else "local"
photo = Path(__file__).with_name("raccoon.jpg")

with photo.open("rb") as file:
    response = requests.post(
        f"{url}/api/v1/images/uncrop",
        headers={"X-API-Key": os.environ["UNCROP_KEY"]},
        data={
            "provider": provider,
            "organization_id": os.environ["UNCROP_ORGANIZATION"],
            "extend_left": 256,
            "extend_right": 256,
        },
        files={"image_file": file},
        timeout=200,
    )
if response.ok:
    Path(f"raccoon-{provider}.jpg").write_bytes(response.content)
    print({name: value for name, value in response.headers.items() if name.lower().startswith("x-")})
else:
    error = response.json()["error"]
    sys.exit(f"{error['status']} {error['code']}: {error['message']} (trace {error['trace_id']})")
