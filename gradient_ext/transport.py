"""HTTP: connections, the key, timeouts, retries, and what failures become. Only this file knows httpx."""

from __future__ import annotations

import logging
import os
import random
import ssl
import time
from typing import Any, TypeVar

import httpx
import stamina
from attrs import define, evolve, field, frozen
from gradient_api.constants import API_KEY_HEADER

from gradient_ext.calls import Call, Reply, answer_to
from gradient_ext.config import Configuration
from gradient_ext.errors import ConfigurationError, GradientSdkError, RequestFailedError, RequestTimeoutError
from gradient_ext.masking import masked, without_frames_of
from gradient_ext.options import Options
from gradient_ext.retrying import RetryPolicy

# Errors of this API come as plain text too, from the host of the logs.
ACCEPT = "application/json, */*;q=0.5"
logger = logging.getLogger("gradient")
_NAME = "gradient"
# The variables of their frames hold the key, and the body that is sent.
_SENDERS = frozenset({"gradient_ext", "h11", "h2", "httpcore", "httpx"})
# Retries of this package are said by its own logger, and not a second time as warnings; others' are not touched.
logging.getLogger("stamina").addFilter(lambda record: getattr(record, "stamina.callable", None) != _NAME)

Answer = TypeVar("Answer")


class Connections:
    """The connections of one client in one process; a process that is forked off gets new ones.

    :param httpx.Client http_client: the user's own client to send through; it is never closed here
    """

    def __init__(self, http_client: httpx.Client | None = None) -> None:
        self._given = http_client
        self._client = http_client or _new_client()
        self._process = os.getpid()
        self._is_closed = False

    def client(self) -> httpx.Client:
        """Give the httpx client to send through.

        :raises GradientSdkError: there is none any more
        """
        if self._is_closed:
            raise GradientSdkError("This client is closed; make another one")
        if self._given and self._given.is_closed:
            raise GradientSdkError("The http_client of this client is closed; make another one of each")
        if os.getpid() != self._process:
            if self._given:
                raise GradientSdkError(
                    "The http_client of this client was made before the process forked, and would share its "
                    "connections with the parent; make both after forking"
                )
            # The old one is left alone, not closed: its connections are the parent's.
            self._client, self._process = _new_client(), os.getpid()
        return self._client

    def close(self) -> None:
        """Close them, unless they are the user's; nothing is sent any more in either case."""
        self._is_closed = True
        if not self._given and os.getpid() == self._process:
            self._client.close()


def _new_client() -> httpx.Client:
    try:
        return httpx.Client()
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        problem = masked(str(error))
    # Out here: the frames of httpx hold the addresses of proxies, with their passwords.
    raise ConfigurationError(f"SSL_CERT_FILE, SSL_CERT_DIR or a proxy of the environment cannot be used: {problem}")


@define
class Attempts:
    """The attempts of one logical call: how many there were, and whether there is another one."""

    policy: RetryPolicy
    number: int = field(default=0, init=False)
    _began: float = field(factory=time.monotonic, init=False)

    @property
    def remaining(self) -> float | None:
        """How many seconds there are left for this call; None: no end."""
        return None if self.policy.deadline is None else self.policy.deadline - (time.monotonic() - self._began)

    def pause_after(self, error: Exception) -> bool | float:
        """Say after how many seconds to try again; False: no more."""
        elapsed = time.monotonic() - self._began
        pause = self.policy.pause(error, self.number, elapsed, random.random)
        if pause is None:
            if self.number > 1:
                error.add_note(f"Gave up after {self.number} attempts in {elapsed:.1f} seconds.")
            return False
        said = " ".join(str(error).split())  # One line, whatever a server says.
        logger.info("%s; attempt %d failed, the next one is in %.2f seconds", said, self.number, pause)
        return pause


@frozen
class Transport:
    """What sends the calls of one client.

    :param Configuration configuration: the key and the addresses
    :param Options options: timeouts and retries
    :param Connections connections: what to send through
    """

    configuration: Configuration
    options: Options
    connections: Connections = field(repr=False)

    def send(self, call: Call[Answer]) -> Answer:
        """Send a call, again where that may help, and return its answer.

        :raises ResourceFetchingError: the server answered with an error
        :raises MalformedResponseError: it answered with success, but not with what the contract says
        :raises RequestFailedError: there was no answer
        :raises RequestTimeoutError: there was no answer in time
        """
        attempts = Attempts(self.options.retries)
        retrying = stamina.retry_context(on=attempts.pause_after, attempts=None, timeout=None)
        for attempt in retrying.with_name(_NAME, (), {}):
            with attempt:
                attempts.number += 1
                return self._attempt(call, attempts)
        raise AssertionError("the last attempt has neither answered nor failed")

    def _attempt(self, call: Call[Answer], attempts: Attempts) -> Answer:
        host = self.configuration.logs_url if call.operation.has_own_host else self.configuration.experiments_url
        url = host + call.sent["url"]
        client = self.connections.client()
        began = time.monotonic()
        reply: Reply | None = None
        try:
            reply = self._exchange(client, call, url, attempts.remaining)
        except httpx.HTTPStatusError as error:
            reply = _reply_in(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure: BaseException = _failure(call, url, error)
        except BaseException as error:  # Ctrl-C, or an error of a hook of the user's
            failure = without_frames_of(_SENDERS, error)
        outcome = reply.status_code if reply else type(failure).__name__
        took = (time.monotonic() - began) * 1000
        logger.debug("%s %s: %s after %.0f ms, attempt %d", call.method, url, outcome, took, attempts.number)
        if reply is None:
            # Out here, so that the error does not carry the frames of httpx along, with the key in them.
            raise failure
        return answer_to(call, self._discreet(call, reply), url)

    def _discreet(self, call: Call[Any], reply: Reply) -> Reply:
        """Give an answer as people may see it: some errors repeat what was sent."""
        if reply.status_code < 300:
            return reply
        secrets = (self.configuration.api_key, *call.secrets)
        seen = {name: masked(value, secrets) for name, value in reply.headers.items()}
        headers = httpx.Headers(seen, encoding="utf-8")
        return evolve(reply, headers=headers, content=masked(reply.text, secrets).encode())

    def _exchange(self, client: httpx.Client, call: Call[Answer], url: str, remaining: float | None) -> Reply:
        headers = {"Accept": ACCEPT, API_KEY_HEADER: self.configuration.api_key, **call.sent.get("headers", {})}
        deadline = None if remaining is None else time.monotonic() + remaining
        # Redirects are not followed: the key would go along to wherever they lead.
        with client.stream(
            call.method,
            url,
            params=call.sent.get("params"),
            json=call.sent.get("json"),
            headers=headers,
            timeout=_timeout(self.options, call.wait, remaining),
            follow_redirects=False,
        ) as response:
            body = []
            for chunk in response.iter_bytes():
                body.append(chunk)
                # The timeout of httpx is for each read: a body that drips would never end.
                if deadline is not None and time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer took longer than the deadline", request=response.request)
            return Reply(status_code=response.status_code, headers=response.headers, content=b"".join(body))


def _timeout(options: Options, wait: float, remaining: float | None) -> httpx.Timeout:
    """Say how long to wait for parts of an answer; connecting takes little time or is not going to work."""
    left = None if remaining is None else max(0.001, remaining)
    read = _shortest(None if options.timeout is None else options.timeout + wait, left)
    return httpx.Timeout(read, connect=_shortest(options.connect_timeout, read))


def _shortest(*seconds: float | None) -> float | None:
    return min((each for each in seconds if each is not None), default=None)


def _reply_in(error: httpx.HTTPStatusError) -> Reply:
    """Give the answer to which a hook of the user's said `raise_for_status()`; its body may not have been read."""
    response = error.response
    content = response.content if response.is_stream_consumed else b""
    return Reply(status_code=response.status_code, headers=response.headers, content=content)


def _failure(call: Call[Any], url: str, error: Exception) -> RequestFailedError:
    """Make the error of this package that says the same, without what the error of httpx carries along."""
    if isinstance(error, httpx.TimeoutException):
        text = "no connection in time" if isinstance(error, httpx.ConnectTimeout) else "no answer in time"
        return RequestTimeoutError(f"{call.action}: {text}", call.method, url)
    reason = masked(str(error)) or type(error).__name__
    hopeless = isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    return RequestFailedError(
        f"{call.action}: {reason}", call.method, url, retryable=not hopeless and not _is_about_a_certificate(error)
    )


def _is_about_a_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
