"""Posts a photo by requests of 2018, which writes a file name that is not ASCII as ``filename*`` alone.

usage: python post_old_requests.py URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
"""

import sys
from pathlib import Path

import requests

url, key, organization, photo, output = sys.argv[1:]
response = requests.post(
    url,
    headers={"X-API-Key": key},
    data={"provider": "clipdrop", "organization_id": organization, "extend_left": "16"},
    files={"image_file": ("Äpfel-照片.jpg", Path(photo).read_bytes())},
    timeout=60,
)
assert b"filename*=utf-8''" in response.request.body
assert b'filename="' not in response.request.body
Path(output).write_bytes(response.content)
print(response.status_code)
