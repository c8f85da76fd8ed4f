"""The page's own files: read once, named after their content, so that a browser may keep them for good.

A request is answered from a dictionary of names; no part of an address ever becomes a path.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asset:
    media_type: str
    body: bytes
    packed: bytes
    mark: str


@cache
def _assets() -> dict[str, _Asset]:
    found = {}
    for name, media_type in _TYPES.items():
        body = (_FOLDER / name).read_bytes()
        mark = hashlib.sha256(body).hexdigest()[:12]
        found[name] = _Asset(media_type=media_type, body=body, packed=gzip.compress(body, 9, mtime=0), mark=mark)
    return found


def address(name: str) -> str:
    """Where a page finds a file of ours."""
    return f"/static/{name}?{_assets()[name].mark}"


async def static(request: Request) -> Response:
    """Serves one of the page's own files."""
    asset = _assets().get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404, "There is no such file.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, media_type=asset.media_type, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
