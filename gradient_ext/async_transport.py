"""httpx under the generated client: authentication, timeouts, retries, connections, and failures as errors.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

import codecs
import functools
import json
import os
import re
import ssl
import time
import urllib.request
import zlib
from base64 import b64encode
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from http.cookiejar import Cookie, CookieJar
from typing import Any, TypeVar, cast
from urllib.parse import urljoin

import anyio  # sync: from queue import Empty, SimpleQueue
import anyio.lowlevel  # sync: import contextlib
import httpx
import stamina
import stamina.instrumentation
from gradient_api.client import Client
from gradient_api.constants import API_KEY_HEADER
from gradient_api.types import Response

from gradient_ext import importing
from gradient_ext.config import LONGEST_SECONDS, NO_SERVER, Configuration, Options, is_loopback
from gradient_ext.errors import (
    ConfigurationError,
    GradientSdkError,
    MalformedResponseError,
    RequestFailedError,
    RequestTimeoutError,
    ResourceFetchingError,
    details_of,
    error_class,
    words_of,
)
from gradient_ext.redaction import Secret, escape_control_characters, redact, redact_body
from gradient_ext.retries import NAME, Retries, http_date, logger, retry_after_seconds

MAX_CONNECTIONS = 100
MAX_LONG_POLLS = 50
"""How many long polls of one client may be open at once: other calls need connections, too."""
MAX_BODY = 256 * 1024 * 1024
"""The most bytes of a response, decompressed: about a million log rows."""
MAX_ERROR_BODY = 1024 * 1024
"""The most bytes of an error response that are read."""
MAX_COOKIES = 8192
"""The most characters of all cookies together: servers refuse longer headers."""
_KEEPALIVE = 5.0
"""The seconds after which an idle connection is evicted; that of httpx."""
# The first look-up of a host would import it, and a fork would not wait for that.
codecs.lookup("idna")
_NO_TLS = "WRONG_VERSION_NUMBER"
"""The error of OpenSSL when it reads something else than TLS, such as a response in plain http."""
# The logs host reports errors in plain text.
_ACCEPT = "application/json, */*;q=0.5"
_DIGEST = re.compile("sha-256=:([^:]*):")
ByteStream = httpx.AsyncByteStream  # sync: ByteStream = httpx.SyncByteStream
Result = TypeVar("Result")


class AsyncTransport:
    """Call generated endpoint functions for one client.

    :param Configuration configuration: the API key and the hosts
    :param Options options: timeouts and retries
    :param AsyncConnections connections: the httpx client to send through
    """

    def __init__(self, configuration: Configuration, options: Options, connections: AsyncConnections) -> None:
        self._configuration = configuration
        self._options = options
        self.connections = connections

    def with_options(self, options: Options) -> AsyncTransport:
        """Return a transport with other options, which shares the connections."""
        return AsyncTransport(self._configuration, options, self.connections)

    async def call(
        self,
        endpoint: Callable[[Client], Awaitable[Response[Any]]],
        read: Callable[[Any], Result],
        *,
        action: str = "Failed to fetch data",
        base_url: str | None = None,
        malformed: type[MalformedResponseError] = MalformedResponseError,
        wait: float = 0.0,
        within: float | None = None,
    ) -> Result:
        """Call an endpoint function, and retry transient failures with exponential back-off and full jitter.

        :param endpoint: calls a generated endpoint function with the client that it is given
        :param read: makes the result of the parsed response; what it raises is a malformed response
        :param str action: what failed if it fails, for the error
        :param str base_url: the host; default: that of the experiments
        :param malformed: the error for a success that is not as the contract says
        :param float wait: for how many seconds the server may hold the request open
        :param float within: the deadline in seconds, if it is earlier than that of the client

        :raises ResourceFetchingError: the server responded with an error
        :raises MalformedResponseError: it responded with a success that is not as the contract says
        :raises RequestFailedError: there was no response
        :raises RequestTimeoutError: there was no response in time
        """
        if not self._configuration.has_server and not self.connections.are_given:
            raise ConfigurationError(NO_SERVER)
        is_ordinary = not wait and within is None
        retries = Retries(self._options if is_ordinary else self._options.for_request(wait, within))
        attempt = AsyncAttempt(base_url or self._configuration.experiments_url, retries, wait, self.connections)
        failure: BaseException
        if wait:
            self.connections.long_polls.add(attempt)
        try:
            try:
                return await attempt.make(endpoint, read, action, malformed)
            except GradientSdkError as error:
                failure = error
            # Most calls need one attempt, so that stamina, whose context takes a tenth of a small call, comes after it.
            with importing:  # The first retry imports what reports it.
                stamina.instrumentation.get_on_retry_hooks()
            attempts = stamina.retry_context(on=retries.back_off, attempts=None, timeout=None)
            async for each in attempts.with_name(NAME, (), {}):
                with each:
                    if retries.attempt == 1:
                        raise failure
                    return await attempt.make(endpoint, read, action, malformed)
            raise AssertionError("the last attempt neither returned nor raised")
        except GradientSdkError as error:
            failure = retries.final_error(error)
        except BaseException as error:
            if isinstance(error, Exception):
                raise
            failure = error
        finally:
            self.connections.long_polls.discard(attempt)
        # The frames below this one hold the API key and the body, and some tools print the variables of frames.
        raise failure.with_traceback(None)

    @property
    def may_hold(self) -> bool:
        """Whether another long poll may be opened."""
        return len(self.connections.long_polls) < MAX_LONG_POLLS


class AsyncAttempt:
    """The attempts of one call, one after the other. The generated endpoint function has it as its httpx client.

    :param str base_url: the host
    :param Retries retries: the attempts of the call, for its number and deadline
    :param float wait: for how many seconds the server may hold the request open
    :param AsyncConnections connections: the httpx client to send through
    """

    def __init__(self, base_url: str, retries: Retries, wait: float, connections: AsyncConnections) -> None:
        self._base_url = base_url
        self._retries = retries
        self._wait = wait
        self._connections = connections
        self._secrets: tuple[str, ...] = ()
        self._method = self._url = ""
        self._response: httpx.Response | None = None

    async def make(
        self,
        endpoint: Callable[[Client], Awaitable[Response[Any]]],
        read: Callable[[Any], Result],
        action: str,
        malformed: type[MalformedResponseError],
    ) -> Result:
        """Call the endpoint function once.

        :raises GradientSdkError: it failed
        """
        self._response = None
        started_at = time.monotonic()
        client = Client(base_url="").set_async_httpx_client(cast(httpx.AsyncClient, self))
        try:
            response = await endpoint(client)
            if response.parsed is None and response.content and self._method == "GET":
                raise TypeError(f"status {response.status_code} with a body of {len(response.content)} bytes")
            result = read(response.parsed)
        except Exception as error:
            failure = self._failure(error, action, malformed)
        else:
            self._log(response.status_code.value, started_at)
            return result
        self._log(self._response.status_code if self._response else type(failure).__name__, started_at)
        # Raised here, it does not carry the frames of httpx as its context.
        raise failure

    async def request(
        self, method: str, url: str, *, headers: dict[str, str] | None = None, **content: Any
    ) -> httpx.Response:
        """Send the request of an endpoint function.

        :param str method: the HTTP method
        :param str url: the path below the host
        :param headers: the headers beside those of every call
        :param content: `params` and `json`, where the request has them

        :raises httpx.HTTPStatusError: the status is no success
        """
        self._method, self._url = method.upper(), f"{self._base_url}{url}"
        # The password of a URL is redacted as such, and the rest of it helps in errors.
        values = content.get("json", {}).values()
        self._secrets = tuple(each for each in values if isinstance(each, Secret) and "://" not in each)
        is_given = self._connections.are_given
        extensions = {"timeout": self._timeout().as_dict(), "deadline": self._retries.deadline}
        http, request = self._connections.request(self._method, self._url, headers or {}, extensions, content)
        # The API key would be sent to wherever a redirect leads.
        response = await http.send(request, follow_redirects=False, stream=is_given)
        if is_given and not response.is_closed:
            try:
                await _read(response, self._retries.deadline)
                await response.aread()  # sync: response.read()
            finally:
                await response.aclose()
        self._response = response
        # A response and its stream refer to each other, which would keep the body until the next garbage collection.
        response.stream = httpx.ByteStream(b"")
        if not 200 <= response.status_code < 300:
            raise httpx.HTTPStatusError("no success", request=request, response=response)
        _check_digest(response)
        return response

    def _timeout(self) -> httpx.Timeout:
        options, deadline = self._retries.options, self._retries.deadline
        remaining = None if deadline is None else max(0.001, deadline - time.monotonic())
        read = _shortest(None if options.timeout is None else options.timeout + self._wait, remaining)
        # Waiting for a free connection is no failure; only the deadline ends it.
        return httpx.Timeout(read, connect=_shortest(options.connect_timeout, read), pool=_shortest(remaining))

    def _failure(self, error: Exception, action: str, malformed: type[MalformedResponseError]) -> Exception:
        """Return the error of this package for an error of an attempt; others, those of hooks, stay as they are."""
        request = self._method, self._url
        match error:
            case GradientSdkError():
                return error
            case httpx.HTTPStatusError():
                return self._status_error(error.response, action)
            case httpx.PoolTimeout():
                return RequestTimeoutError(f"{action}: no connection is free: {error}", *request)
            case httpx.ConnectTimeout():
                return RequestTimeoutError(f"{action}: no connection in time", *request)
            case httpx.TimeoutException():
                return RequestTimeoutError(f"{action}: no answer in time", *request)
            case httpx.ProxyError():
                reason = f"the proxy refused the connection: {self._redact(str(error))}"
                return RequestFailedError(f"{action}: {reason}", *request, retryable=_is_transient(error))
            case _BodyTooLargeError() | httpx.DecodingError():
                text = f"{action}: the answer is not as the contract says; {error}"
                return malformed(text, *request, retryable=isinstance(error, httpx.DecodingError))
            case httpx.HTTPError() | httpx.InvalidURL():
                reason = _reason(error) or escape_control_characters(self._redact(str(error))) or type(error).__name__
                return RequestFailedError(f"{action}: {reason}", *request, retryable=_is_transient(error))
            case UnicodeError() if self._response is None:
                return RequestFailedError(f"{action}: the host name is invalid: {error}", *request, retryable=False)
            case RuntimeError() if self._response is None:
                return self._connections.closed_error() or error  # as httpx says it of a client closed meanwhile
            case _ if self._response is None:
                return error
            case UnicodeDecodeError() | json.JSONDecodeError() | RecursionError():
                retryable, reason = True, f"its body is no JSON: {error!s:.100}"
            case AttributeError() | KeyError() | TypeError() | ValueError():
                text = str(error) if type(error) in (TypeError, ValueError) else repr(error)
                retryable, reason = False, f"{escape_control_characters(self._redact(text)):.200}"
            case _:
                return error
        text = f"{action}: the answer is not as the contract says; {reason}"
        return malformed(text, *request, retryable=retryable)

    def _status_error(self, response: httpx.Response, action: str) -> ResourceFetchingError:
        # A hook of the caller may have raised before the body was read. Some errors repeat what was sent.
        text = response.text if response.is_stream_consumed else ""
        body = redact_body(text, self._all_secrets).encode()
        headers = {name: self._redact(value) for name, value in response.headers.items()}
        words = words_of(body)
        if 300 <= response.status_code < 400 and "location" in headers:
            words = (escape_control_characters(self._redirect_text(headers["location"])), *words)
        return error_class(response.status_code)(
            action,
            status=response.status_code,
            method=self._method,
            url=self._url,
            words=words,
            details=details_of(body),
            request_id=headers.get("x-request-id"),
            # A date is compared with the clock of the server, as far as it is known: that of this machine may be wrong.
            retry_after=retry_after_seconds(headers.get("retry-after"), http_date(headers.get("date"))),
        )

    def _redirect_text(self, location: str) -> str:
        try:
            target = urljoin(self._url, location)  # It may be relative (RFC 9110, 10.2.2).
        except ValueError:
            target = location
        path = self._url.removeprefix(self._base_url)
        address = target.partition("?")[0]
        advice = f"; give the client the address {address.removesuffix(path)}" if address.endswith(path) else ""
        return f"the server redirects to {target}{advice}"

    @property
    def _all_secrets(self) -> tuple[str, ...]:
        return self._connections.api_key, *self._secrets

    def _redact(self, text: str) -> str:
        return redact(text, self._all_secrets)

    def _log(self, outcome: object, started_at: float) -> None:
        elapsed = (time.monotonic() - started_at) * 1000
        arguments = self._method, self._url, outcome, elapsed, self._retries.attempt
        logger.debug("%s %s: %s after %.0f ms, attempt %d", *arguments)


class AsyncConnections:
    """The httpx client that API clients share; in another process or event loop it is made anew.

    :param Secret api_key: the API key
    :param httpx.AsyncClient http_client: the client of the caller, which is never closed here; default: one of its own

    :raises ConfigurationError: it is not an httpx.AsyncClient
    """

    def __init__(self, api_key: Secret, http_client: object = None) -> None:
        if http_client is not None and not isinstance(http_client, httpx.AsyncClient):
            raise ConfigurationError(f"http_client must be an httpx.AsyncClient, not {type(http_client).__name__}")
        self.api_key = api_key
        self._headers: dict[str, str] = {"Accept": _ACCEPT, API_KEY_HEADER: api_key}
        self._given = http_client
        self._own: httpx.AsyncClient | None = None
        self._process, self._loop = _async_context()
        self._is_closed = False
        self.long_polls: set[object] = set()
        """One member for each request that a server may be holding open."""

    @property
    def are_given(self) -> bool:
        """Whether they are those of an httpx client of the caller, who decides where they lead."""
        return self._given is not None

    def client(self) -> httpx.AsyncClient:
        """Return the httpx client to send through.

        :raises GradientSdkError: it is closed, or belongs to another process or event loop
        """
        if closed := self.closed_error():
            raise closed
        if self._crossed_fork_or_loop():
            if self._given is not None:
                raise GradientSdkError(
                    "The http_client of this client was made before the process forked, or for another event loop, and "
                    "would share its connections with what it was made for; make both after forking, and in the event "
                    "loop that uses them"
                )
            self._own = None  # Its connections are left alone: they belong to where they were opened.
        self._process, self._loop = _async_context()
        if self._given is not None:
            return self._given
        if self._own is None:
            pool, headers = AsyncConnectionPool(MAX_CONNECTIONS), {"Accept-Encoding": "gzip, deflate", **self._headers}
            self._own = httpx.AsyncClient(headers=headers, transport=pool, cookies=_Cookies())
            of_httpx = {name.decode(): value.decode() for name, value in self._own.headers.raw}
            self._headers = {**of_httpx, **self._headers}
        return self._own

    def request(
        self, method: str, url: str, headers: dict[str, str], extensions: dict[str, Any], content: dict[str, Any]
    ) -> tuple[httpx.AsyncClient, httpx.Request]:
        """Return the httpx client to send through, and the request to send.

        :raises GradientSdkError: the client is closed, or belongs to another process or event loop
        """
        http = self.client()
        headers = {**self._headers, **headers}
        if http is self._own and not http.cookies:
            # Nothing but the headers has to be merged, which takes a third of the time.
            return http, httpx.Request(method, _parsed(url), headers=headers, extensions=extensions, **content)
        return http, http.build_request(method, url, headers=headers, extensions=extensions, **content)

    def closed_error(self) -> GradientSdkError | None:
        """Return the error for a client that is closed; None: it is open."""
        if self._is_closed:
            return GradientSdkError("This client is closed; make another one")
        if self._given is not None and self._given.is_closed:
            return GradientSdkError("The http_client of this client is closed; make another one of each")
        return None

    async def close(self) -> None:
        """Close the connections, unless the httpx client is the caller's. Nothing is sent any more in either case."""
        self._is_closed = True
        if self._own is not None and not self._crossed_fork_or_loop():
            await self._own.aclose()

    def _crossed_fork_or_loop(self) -> bool:
        process, loop = _async_context()
        return process != self._process or self._loop not in (None, loop)


class AsyncConnectionPool(httpx.AsyncBaseTransport):
    """Send each request over a connection of its own, the most recently used idle one first.

    The pool of httpx looks at all of its connections for each request, which takes longer than the request with some
    fifty of them. Here each connection is an httpx transport that holds one, and picking one takes constant time.

    :param int size: the most requests at once; further ones wait
    """

    def __init__(self, size: int) -> None:
        self._size = size
        # The synchronous pool has a queue of tokens: Ctrl-C can leave the lock of a threading.Semaphore locked.
        self._slots = anyio.Semaphore(size)  # sync: self._slots: SimpleQueue[None] = SimpleQueue()
        # sync: for _ in range(size): self._slots.put(None)
        self._is_closed = False
        self._idle: defaultdict[str, deque[tuple[AsyncConnection, float]]] = defaultdict(deque)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read the response to its end."""
        if not await self._acquire(request.extensions["timeout"]["pool"]):
            raise httpx.PoolTimeout(f"all {self._size} are in use")
        try:
            if self._is_closed:
                raise RuntimeError("the connection pool is closed")
            idle = self._idle[f"{request.url.scheme}://{request.url.netloc.decode()}"]
            connection = idle.pop()[0] if idle else _async_connection(request.url)
            connection.deadline = request.extensions["deadline"]
            try:
                response = await connection.handle_async_request(request)
                await _read(response, connection.deadline)
                response.headers.pop("content-encoding", None)  # httpx would decompress without a limit.
            except BaseException:
                with anyio.CancelScope(shield=True):  # sync: with contextlib.nullcontext():
                    await connection.aclose()
                raise
            idle.append((connection, time.monotonic()))
        finally:
            self._slots.release()  # sync: self._slots.put(None)
        await (self.aclose() if self._is_closed else self._evict_idle())
        return response

    async def aclose(self) -> None:
        """Close the idle connections; those in use are closed after their request."""
        self._is_closed = True
        for idle in self._idle.values():
            while idle:
                await idle.pop()[0].aclose()

    async def _acquire(self, seconds: float | None) -> bool:
        """Wait for a slot; return False if none is free in time."""
        with anyio.move_on_after(seconds):  # sync: with contextlib.suppress(Empty):
            await self._slots.acquire()  # sync: self._slots.get(timeout=seconds)
            return True
        return False

    async def _evict_idle(self) -> None:
        """Close a connection that has been idle for long: one for each request keeps up."""
        for idle in list(self._idle.values()):
            if idle and idle[0][1] < time.monotonic() - _KEEPALIVE:
                connection, _ = idle.popleft()
                await connection.aclose()
                return


class AsyncConnection(httpx.AsyncHTTPTransport):
    """A connection on which no read goes on beyond the deadline of the request.

    The timeout of httpx is for each read: headers and interim responses could come for ever.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.deadline: float | None = None
        pool: Any = self._pool  # httpx has no other way to give it a network.
        pool._network_backend = _AsyncNetwork(pool._network_backend, self)


class _AsyncNetwork:
    """The network below a connection, or a stream of it."""

    def __init__(self, network: Any, connection: AsyncConnection) -> None:
        self._network = network
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    async def connect_tcp(self, *arguments: Any, **keywords: Any) -> _AsyncNetwork:
        return _AsyncNetwork(await self._network.connect_tcp(*arguments, **keywords), self._connection)

    async def start_tls(self, *arguments: Any, **keywords: Any) -> _AsyncNetwork:
        return _AsyncNetwork(await self._network.start_tls(*arguments, **keywords), self._connection)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = self._connection.deadline
        if deadline is not None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise httpx.ReadTimeout("the deadline is over")
            timeout = _shortest(timeout, remaining)
        data: bytes = await self._network.read(max_bytes, timeout)
        return data


class _Cookies(CookieJar):
    """The cookies of servers. Those that do not fit into a header take the place of all others."""

    def set_cookie(self, cookie: Cookie) -> None:
        size = len(cookie.name) + len(cookie.value or "")
        if size > MAX_COOKIES:
            return
        if size + sum(len(each.name) + len(each.value or "") for each in self) > MAX_COOKIES:
            self.clear()
        super().set_cookie(cookie)


def _async_connection(url: httpx.URL) -> AsyncConnection:
    """Return a transport with room for one connection, through the proxy that the environment names for a URL."""
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    try:
        with importing:  # The first connection imports what makes it.
            certificates = _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
            return AsyncConnection(verify=certificates, limits=limits, proxy=_proxy(url))
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        problem = redact(str(error))
    # Raised here, it does not carry the frames of httpx, which hold the password of a proxy.
    raise ConfigurationError(f"SSL_CERT_FILE, SSL_CERT_DIR or a proxy of the environment cannot be used: {problem}")


@functools.cache
def _certificates(file: str | None, directory: str | None) -> ssl.SSLContext:
    """Return the certificates to trust, as httpx finds them in the environment; loading them takes long."""
    return httpx.create_ssl_context()


def _proxy(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL. A server on this machine is never reached through one."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class _BodyTooLargeError(Exception):
    """The body of a successful response is larger than what is read."""


def _check_digest(response: httpx.Response) -> None:
    """Check that a body has the SHA-256 that the server gives for it (RFC 9530).

    :raises httpx.DecodingError: it has another one
    """
    found = _DIGEST.search(response.headers.get("content-digest", ""))
    if found and found[1] != b64encode(sha256(response.content).digest()).decode():
        raise httpx.DecodingError("its body does not have the digest that the server gives for it")


async def _read(response: httpx.Response, deadline: float | None) -> None:
    """Read the body, decompress it, and put it in the place of the stream; that of an error is cut off.

    The timeout of httpx is for each read, so that a slow body could go on for ever, and a small one that is compressed
    could fill the memory.
    """
    is_success = 200 <= response.status_code < 300
    limit = MAX_BODY if is_success else MAX_ERROR_BODY
    encoding = response.headers.get("content-encoding", "").strip().lower()
    unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS) if encoding in ("gzip", "x-gzip", "deflate") else None
    if unpacker is not None or "," in encoding:  # What is compressed more than once stays compressed.
        del response.headers["content-encoding"]
    chunks: list[bytes] = []
    size = 0
    stream = cast(ByteStream, response.stream)
    async for chunk in stream:
        if unpacker is not None:
            if encoding == "deflate" and not chunks and chunk[0] & 0xF != zlib.DEFLATED:
                unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # Some servers leave the header out (RFC 9110, 8.4.1.2).
            try:
                chunk = unpacker.decompress(chunk, limit - size + 1)
            except zlib.error as error:
                raise httpx.DecodingError(f"its body cannot be decompressed: {error}") from None
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            break
        if deadline is not None and time.monotonic() > deadline:
            raise httpx.ReadTimeout("the deadline is over")
    await stream.aclose()
    if size > limit and is_success:
        raise _BodyTooLargeError(f"its body has more than {limit >> 20} MiB; request less at once")
    response.stream = httpx.ByteStream(b"".join(chunks)[:limit])


def _async_context() -> tuple[int, object]:
    """Return the process and the event loop that run this; None where no event loop runs."""
    try:  # sync: return os.getpid(), None
        return os.getpid(), anyio.lowlevel.current_token()  # sync:
    except RuntimeError:  # sync:
        return os.getpid(), None  # sync:


@functools.lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    """Return a URL; parsing it takes a tenth of a small call, and what is polled is requested again."""
    return httpx.URL(url)


def _shortest(*seconds: float | None) -> float | None:
    given = [each for each in seconds if each is not None]
    return min(*given, LONGEST_SECONDS) if given else None


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return False
    if isinstance(error, httpx.RemoteProtocolError) and "location header" in str(error):
        return False  # httpx reads the target of a redirect, even if it does not follow it.
    if isinstance(error, httpx.ProxyError) and str(error).startswith("407"):
        return False  # Proxy Authentication Required (RFC 9110, 15.5.8)
    return not any(
        isinstance(each, ssl.SSLCertVerificationError) or _NO_TLS in str(each) for each in _with_causes(error)
    )


def _reason(error: Exception) -> str | None:
    """Return why no connection could be made, where the text of httpx does not help."""
    causes = list(_with_causes(error))
    if any(_NO_TLS in str(each) for each in causes):
        return "the server speaks http, not https; give the client an address that begins with http://"
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return "no server listens at this address; `gradient server start` starts one"
    return None


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
