"""Pictures and clips of outputs, each at an address of its own.

A picture is shown by `<img>`, where no script in an SVG can run; opened by itself it is in a sandbox without
anything to load.
"""

import base64
import re

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rewardtree.errors import LeaseError
from rewardtree.web.access import Visit, Visitor
from rewardtree.web.display import Letter, own_side
from rewardtree.web.exhibits import opened

HEADERS = {
    "Cache-Control": "private, max-age=900",  # the page is drawn anew after every reading, its boards are not
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'none'; sandbox",
    "Content-Disposition": 'inline; filename="board"',
}
MEDIA_TYPES = {"image/svg+xml", "image/png", "image/webp", "image/jpeg", "video/webm", "video/mp4"}

router = APIRouter()


@router.get("/board/{token}/{side}")
def board(request: Request, visit: Visitor, token: str, side: Letter) -> Response:
    """The picture or clip of one output of a comparison that is this labeller's now."""
    return serve_board(request, visit, token, side)


def serve_board(request: Request, visit: Visit, token: str, side: Letter) -> Response:
    """Answers with a board's own bytes, or the range of them that is asked for.

    Raises:
        HTTPException: 404, the lease is not this labeller's, or its board is a text.
    """
    try:
        packed, swapped = visit.site.labelling.exhibit(visit.name, token)
    except LeaseError:
        raise HTTPException(404, "There is no such board.") from None
    board = opened(packed)[own_side(side, swapped)]["board"]
    media_type = board["media_type"]
    if board["kind"] == "text" or media_type not in MEDIA_TYPES:
        raise HTTPException(404, "This output is a text.")
    body = board["data"].encode() if media_type == "image/svg+xml" else base64.b64decode(board["data"])
    headers = dict(HEADERS)
    if board["kind"] != "clip":
        return Response(body, media_type=media_type, headers=headers)
    headers["Accept-Ranges"] = "bytes"
    asked = re.fullmatch(r"bytes=(\d{0,12})-(\d{0,12})", request.headers.get("range", ""))
    if asked is None or not any(asked.groups()):
        return Response(body, media_type=media_type, headers=headers)
    start, end = _range(asked[1], asked[2], len(body))
    if start >= end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
    return Response(body[start:end], status_code=206, media_type=media_type, headers=headers)


def _range(first: str, last: str, length: int) -> tuple[int, int]:
    """Start and end, in the way of slices, of one range of RFC 9110."""
    if not first:
        return max(0, length - int(last)), length
    return int(first), min(length, int(last) + 1) if last else length
