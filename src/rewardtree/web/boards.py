"""Pictures and clips of outputs, plots of clips, and what instruments showed, each at an address of its own.

A picture is shown by `<img>`, where no script in an SVG can run; opened by itself it is in a sandbox without
anything to load.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rewardtree.errors import LeaseError
from rewardtree.tasks.board import PICTURES, picture_at
from rewardtree.web.access import Visit, Visitor
from rewardtree.web.display import Letter, own_side
from rewardtree.web.exhibits import opened, unpacked

HEADERS = {
    "Cache-Control": "private, max-age=900",  # the page is drawn anew after every reading, its boards are not
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'none'; sandbox",
    "Content-Disposition": 'inline; filename="board"',
}
SVG = "image/svg+xml"
NOTHING = "There is nothing that was shown by this number."
MEDIA_TYPES = {SVG, "image/png", "image/webp", "image/jpeg", "video/webm", "video/mp4"}

router = APIRouter()


@router.get("/board/{token}/{side}")
def board(request: Request, visit: Visitor, token: str, side: Letter) -> Response:
    """The picture or clip of one output of a comparison that is this labeller's now."""
    return serve_board(request, visit, token, side)


@router.get("/board/{token}/{side}/plot")
def plot(visit: Visitor, token: str, side: Letter) -> Response:
    """What is drawn on the time line of a clip."""
    return serve_plot(visit, token, side)


@router.get("/shown/{token}/{number}")
def shown(request: Request, visit: Visitor, token: str, number: int) -> Response:
    """The picture or clip that an instrument showed, by the number of the reading that was paid for it."""
    return serve_shown(request, visit, token, number)


def serve_board(request: Request, visit: Visit, token: str, side: Letter) -> Response:
    """Answers with a board's own bytes, or the range of them that is asked for.

    Raises:
        HTTPException: 404, the lease is not this labeller's, or its board is a text.
    """
    board = _board(visit, token, side)
    media_type = board["media_type"]
    if board["kind"] == "text" or media_type not in MEDIA_TYPES:
        raise HTTPException(404, "This output is a text.")
    body = board["data"].encode() if media_type == SVG else base64.b64decode(board["data"])
    return _served(request, body, media_type)


def serve_plot(visit: Visit, token: str, side: Letter) -> Response:
    """Answers with the plot of a clip.

    Raises:
        HTTPException: 404, the lease is not this labeller's, or there is no plot.
    """
    drawn = _board(visit, token, side).get("plot")
    if not drawn:
        raise HTTPException(404, "There is no such plot.")
    return Response(drawn.encode(), media_type=SVG, headers=dict(HEADERS))


def serve_shown(request: Request, visit: Visit, token: str, number: int) -> Response:
    """Answers with what an instrument showed.

    Raises:
        HTTPException: 404, the lease is not this labeller's, or no such reading of it showed anything.
    """
    try:
        work = visit.site.labelling.work(visit.name, token)
    except LeaseError:
        raise HTTPException(404, NOTHING) from None
    for reading in work.readings:
        for tool in unpacked(work)[reading.side]["instruments"] if reading.number == number else ():
            picture = picture_at(tool, reading.place) if tool["name"] == reading.instrument else None
            if picture is not None and tool["media_type"] in PICTURES:
                return _served(request, base64.b64decode(picture), tool["media_type"])
    raise HTTPException(404, NOTHING)


def _board(visit: Visit, token: str, side: Letter) -> Mapping[str, Any]:
    try:
        packed, swapped = visit.site.labelling.exhibit(visit.name, token)
    except LeaseError:
        raise HTTPException(404, "There is no such board.") from None
    board: Mapping[str, Any] = opened(packed)[own_side(side, swapped)]["board"]
    return board


def _served(request: Request, body: bytes, media_type: str) -> Response:
    headers = dict(HEADERS)
    if not media_type.startswith("video/"):
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
