"""Posts a photo in just the bytes of .NET's HttpClient and MultipartFormDataContent, which are not at hand themselves.

Names stand without quotes, the boundary with them, the type of a part before its disposition, and a file has both its
names. After a head that expects 100-continue, .NET waits a second for it.

usage: python post_dotnet.py URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
"""

import socket
import sys
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

url, key, organization, photo, output = sys.argv[1:]
address = urlsplit(url)
BOUNDARY = "5a3c1f3e-8d1b-4a55-9a3c-0c5a4f6f2f10"
FIELDS = {"provider": "clipdrop", "organization_id": organization, "extend_left": "16"}

parts = [
    f"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}".encode()
    for name, value in FIELDS.items()
]
head = "Content-Disposition: form-data; name=image_file; filename=photo.jpg; filename*=utf-8''photo.jpg\r\n\r\n"
parts.append(b"Content-Type: image/jpeg\r\n" + head.encode() + Path(photo).read_bytes())
body = f"--{BOUNDARY}\r\n".encode() + f"\r\n--{BOUNDARY}\r\n".encode().join(parts) + f"\r\n--{BOUNDARY}--\r\n".encode()

with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
    connection.sendall(
        f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nX-API-Key: {key}\r\nExpect: 100-continue\r\n"
        f'Content-Type: multipart/form-data; boundary="{BOUNDARY}"\r\nContent-Length: {len(body)}\r\n\r\n'.encode()
    )
    # The interim answer, byte by byte, so that nothing of the final one is taken away.
    interim = b""
    while not interim.endswith(b"\r\n\r\n"):
        interim += connection.recv(1)
    assert interim.startswith(b"HTTP/1.1 100 "), interim
    connection.sendall(body)
    response = HTTPResponse(connection, method="POST")
    response.begin()
    Path(output).write_bytes(response.read())
    print(response.status)
