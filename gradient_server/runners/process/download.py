"""Workspaces that are fetched by http."""

from __future__ import annotations

from typing import IO

import httpx

from gradient_server.runners.process.addresses import Credentials, shown_address, without_credentials
from gradient_server.runners.process.set_up import MOST_BYTES, Allowance, CannotSetUp

_PATIENCE = 60.0
"""Seconds without a byte after which it is given up."""

# What comes is kept as it is, so that nothing is to be packed on the way; archives are, already.
_AS_IT_IS = {"Accept-Encoding": "identity"}


def download(url: str, credentials: Credentials | None, file: IO[bytes]) -> None:
    """Fetch what is there into a file. Credentials are for the host of the URL alone.

    :raises CannotSetUp: nothing can be had there, or it is too large
    """
    url, shown = without_credentials(url), shown_address(url)
    allowance = Allowance(bytes=MOST_BYTES)
    auth = httpx.BasicAuth(*credentials) if credentials else None
    try:
        with httpx.stream("GET", url, headers=_AS_IT_IS, auth=auth, timeout=_PATIENCE, follow_redirects=True) as answer:
            if not answer.is_success:
                raise CannotSetUp(f"The workspace {shown} cannot be fetched: the answer was {answer.status_code}")
            for chunk in answer.iter_raw():
                allowance.take(len(chunk), files=0)
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CannotSetUp(f"The workspace {shown} cannot be fetched: {error or type(error).__name__}") from error
    file.flush()
