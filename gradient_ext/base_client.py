# Derived from async_base_client.py by `make generate`. Do not edit.
"""The base of the clients: configuration, options, and the connections that they close.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

from gradient_ext import LazyModule, config, importing

if TYPE_CHECKING:
    import httpx

    from gradient_ext.transport import Transport
else:
    # Annotations name what is imported later, so that it can be found when they are evaluated.
    httpx = LazyModule("httpx")


class BaseClient:
    """A client of one API: its configuration, its options, and the connections that it closes."""

    _addresses: ClassVar[Mapping[str, str]] = {}
    """The addresses that it calls: the names of the arguments, and those in the configuration."""

    def __init__(
        self,
        configuration: config.Configuration,
        options: config.Options,
        http_client: httpx.Client | None = None,
    ) -> None:
        importing.delay_forks()
        self._configuration = configuration
        self._options = options
        self._http_client = http_client
        if not configuration.is_on_this_machine:
            # Tags are at the address of the API for all of them.
            config.warn_about_cleartext(getattr(configuration, name) for name in (*self._addresses.values(), "api_url"))
        if http_client is not None:
            _ = self._transport  # Checks it, and remembers the process and the event loop that it belongs to.

    def __repr__(self) -> str:
        hosts: config.Configuration | None = self.__dict__.get("_configuration")
        if hosts is None:
            return object.__repr__(self)  # A traceback that prints variables may print this one of `__init__`.
        shown = ", ".join(f"{argument}={getattr(hosts, name)!r}" for argument, name in self._addresses.items())
        return f"{type(self).__name__}({shown})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> Self:
        return self.with_options()

    def __deepcopy__(self, memo: object) -> Self:
        return self.with_options()

    def __reduce__(self) -> str:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it holds an API key and open connections; "
            "make one where it is needed"
        )

    def close(self) -> None:
        """Close the connections of this client; it cannot be used afterwards.

        >>> client.close()
        """
        self._transport.connections.close()

    def with_options(self, **changes: Unpack[config.ClientOptions]) -> Self:
        """Return a client with these options changed; it shares the connection pool.

        :param float timeout: seconds to wait for each part of an answer; None waits for ever
        :param float connect_timeout: seconds to wait for a connection, if that is shorter
        :param int max_attempts: the most attempts of a call that fails transiently, the first one included
        :param float deadline: seconds for all attempts of one call together; None: no limit
        :param float patience: seconds for which `yield_logs` and `wait` tolerate failures; None: no limit

        :returns: another client; closing either of them closes both

        >>> patient = client.with_options(timeout=300, deadline=None)
        """
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)  # A subclass may have attributes of its own.
        changed._options = config.changed_options(self._options, changes, "with_options()")
        changed.__dict__["_shared_transport"] = self._transport.with_options(changed._options)
        return changed

    @property
    def _transport(self) -> Transport:
        """The transport, which is imported when it is first used: httpx takes longer to import than all else."""
        if "_shared_transport" not in self.__dict__:
            with importing:
                from gradient_ext.transport import Connections, Transport

                connections = Connections(self._configuration.api_key, self._http_client)
            made = Transport(self._configuration, self._options, connections)
            self.__dict__.setdefault("_shared_transport", made)  # Another thread may have been faster.
        transport: Transport = self.__dict__["_shared_transport"]
        return transport
