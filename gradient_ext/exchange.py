"""One attempt in the terms of httpx: what is sent, and what comes of it. No I/O."""

from __future__ import annotations

import functools
import os
import ssl
import time
from typing import Any, NoReturn

import httpx
from attrs import evolve, field, frozen

from gradient_ext.attempts import logger
from gradient_ext.calls import Call, Reply, answer_to
from gradient_ext.config import Configuration, Options
from gradient_ext.drafts import Drafts, address, content_of, headers_with
from gradient_ext.errors import ConfigurationError, RequestFailedError, RequestTimeoutError
from gradient_ext.places import LONGEST_WAIT, NoPlaceError
from gradient_ext.redaction import escape_control_characters, redact, redact_body, without_frames_of

# The key would go along to wherever they lead.
FOLLOWS_REDIRECTS = False
# The variables of their frames hold the key, and the body that is sent.
_SENDERS = frozenset({"gradient_ext", "h11", "h2", "httpcore", "httpx"})


@frozen(kw_only=True)
class Exchange:
    """One attempt of a call.

    :param Call call: the call
    :param Configuration configuration: the key and the addresses
    :param Options options: how long to wait
    :param int attempt: the number of the attempt, from 1
    :param float ends: when an answer is of no use any more, by `time.monotonic`; None: it always is
    """

    call: Call[Any]
    configuration: Configuration
    options: Options
    attempt: int
    ends: float | None
    _began: float = field(factory=time.monotonic, init=False)

    @property
    def remaining(self) -> float | None:
        """How many seconds there are left; 0: none."""
        return None if self.ends is None else max(0.0, self.ends - time.monotonic())

    @property
    def url(self) -> str:
        """Where it goes."""
        return f"{self.host}{self.call.sent['url']}"

    @property
    def host(self) -> str:
        """The address of the server that it goes to."""
        is_elsewhere = self.call.operation.has_own_host
        return self.configuration.logs_url if is_elsewhere else self.configuration.experiments_url

    def request(self, client: httpx.Client | httpx.AsyncClient, drafts: Drafts | None) -> httpx.Request:
        """Make the request that an httpx client is to send.

        :param client: the client
        :param Drafts drafts: what has been put together of its requests, where it is one of ours
        """
        sent, key = self.call.sent, self.configuration.api_key
        timeout = timeout_of(self.options, self.call.wait, self.remaining)
        if drafts is not None and not client.cookies:
            return drafts.request(client, sent, self.host, key, timeout)
        return client.build_request(
            sent["method"],
            address(self.url),
            params=sent.get("params"),
            content=content_of(sent),
            headers={**headers_with(key), **sent.get("headers", {})},
            timeout=timeout,
        )

    def check_time(self) -> None:
        """See whether there is time left. The timeout of httpx is for each read: a body that drips would never end.

        :raises TimeoutError: there is none
        """
        if self.remaining == 0:
            raise TimeoutError

    def reply(self, response: httpx.Response, body: list[bytes]) -> Reply:
        """Make the reply of an answer that has been read to its end."""
        return Reply(status_code=response.status_code, headers=response.headers, content=b"".join(body))

    def meaning(self, reply: Reply) -> Any:
        """Say what an answer means.

        :raises ResourceFetchingError: it is an error
        :raises MalformedResponseError: it is a success, but not as the contract says
        """
        self._log(reply.status_code)
        return answer_to(self.call, self._discreet(reply), self.url, self._masked)

    def outcome(self, error: BaseException) -> Reply | BaseException:
        """Say what an error of sending or reading comes to: an answer all the same, or the error to raise.

        It is to be raised where the one that was caught is over, or it would carry the frames of httpx along, with the
        key in them.
        """
        if isinstance(error, httpx.HTTPStatusError):
            # A hook of the user's said `raise_for_status()`; the body may not have been read.
            response = error.response
            return self.reply(response, [response.content] if response.is_stream_consumed else [])
        if isinstance(error, httpx.HTTPError | httpx.InvalidURL | TimeoutError | NoPlaceError):
            return self._failure(error)
        # Ctrl-C, a task that is cancelled, or an error of a hook of the user's.
        return without_frames_of(_SENDERS, error)

    def fail(self, failure: BaseException) -> NoReturn:
        """Raise what an attempt has come to."""
        self._log(type(failure).__name__)
        raise failure

    def _failure(self, error: Exception) -> RequestFailedError:
        """Make the error of this package that says the same, without what the error of httpx carries along."""
        action, place = self.call.action, (self.call.method, self.url)
        if isinstance(error, NoPlaceError):
            return RequestTimeoutError(f"{action}: no connection is free: {error}", *place)
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            text = "no connection in time" if isinstance(error, httpx.ConnectTimeout) else "no answer in time"
            return RequestTimeoutError(f"{action}: {text}", *place)
        reason = escape_control_characters(self._masked(str(error))) or type(error).__name__
        hopeless = isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError)
        retryable = not hopeless and not _is_about_a_certificate(error)
        return RequestFailedError(f"{action}: {reason}", *place, retryable=retryable)

    def _log(self, outcome: object) -> None:
        took = (time.monotonic() - self._began) * 1000
        logger.debug("%s %s: %s after %.0f ms, attempt %d", self.call.method, self.url, outcome, took, self.attempt)

    @property
    def _secrets(self) -> tuple[str, ...]:
        """What was sent that nobody may see, should the server repeat it."""
        return self.configuration.api_key, *self.call.secrets

    def _masked(self, text: str) -> str:
        return redact(text, self._secrets)

    def _discreet(self, reply: Reply) -> Reply:
        """Give an answer as people may see it: some errors repeat what was sent."""
        if reply.status_code < 300:
            return reply
        seen = {name: self._masked(value) for name, value in reply.headers.items()}
        headers = httpx.Headers(seen, encoding="utf-8")
        return evolve(reply, headers=headers, content=redact_body(reply.text, self._secrets).encode())


def timeout_of(options: Options, wait: float, remaining: float | None) -> httpx.Timeout:
    """Say how long to wait for parts of an answer; connecting takes little time or is not going to work."""
    left = None if remaining is None else max(0.001, remaining)
    read = _shorter(None if options.timeout is None else options.timeout + wait, left)
    # Who waits for others to be done with the connections has not failed; there is a deadline for that.
    return httpx.Timeout(read, connect=_shorter(options.connect_timeout, read), pool=_shorter(left, None))


def certificates() -> ssl.SSLContext:
    """Give the certificates that are believed, as httpx finds them; reading them takes longer than a call."""
    return _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.cache
def _certificates(file: str | None, directory: str | None) -> ssl.SSLContext:
    """Give those that follow from the environment, which may change between two clients."""
    return httpx.create_ssl_context()


def refused_environment(error: Exception) -> ConfigurationError:
    """Make the error for what httpx cannot make a client of.

    It is to be raised where the one that was caught is over: the frames of httpx hold the addresses of proxies, with
    their passwords.
    """
    problem = redact(str(error))
    return ConfigurationError(f"SSL_CERT_FILE, SSL_CERT_DIR or a proxy of the environment cannot be used: {problem}")


def _shorter(one: float | None, other: float | None) -> float | None:
    if one is None or (other is not None and other < one):
        one = other
    return one if one is None else min(one, LONGEST_WAIT)


def _is_about_a_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
