"""Responses to the operations on workspaces. Files are read and written in threads, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gradient_server.api.responses import ApiResponse, conflict, insufficient_storage
from gradient_server.store.uploads import NoRoomError, UploadError


async def upload_response(act: Callable[[], dict[str, Any] | None]) -> ApiResponse:
    """Return the response to a request that is about uploads.

    :param act: does what is requested, and returns the data of the response; None: it has none
    """
    try:
        data = await asyncio.to_thread(act)
    except UploadError as error:
        return conflict(str(error))
    except NoRoomError as error:
        return insufficient_storage(str(error))
    return ApiResponse(200, {"message": "success"} if data is None else {"data": data, "message": "success"})
