"""What the methods of a client share: where it sends, with which options, through which connections.

What it takes to send is loaded when something is sent for the first time.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from gradient_ext.config import ClientOptions, Options, changed_options
from gradient_ext.connections import Connections

if TYPE_CHECKING:
    from gradient_ext.config import Configuration
    from gradient_ext.transport import Transport


class Session:
    """Connections that are open until they are closed.

    :param Configuration configuration: the key and the addresses
    :param Options options: timeouts and retries
    :param Connections connections: what to send through
    """

    def __init__(self, configuration: Configuration, options: Options, connections: Connections) -> None:
        self._configuration = configuration
        self._options = options
        self._connections = connections
        self._sender: Transport | None = None

    def __repr__(self) -> str:
        places = self._configuration
        return f"{type(self).__name__}(base_url={places.experiments_url!r}, logs_url={places.logs_url!r})"

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
        self._connections.close()

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """Give a client that differs in these options and shares everything else, the connections too.

        :param float timeout: seconds to wait for each part of an answer; None waits for ever
        :param float connect_timeout: seconds to wait for a connection, if that is shorter
        :param int max_attempts: how often to try a call that fails in a way that may pass, the first time included
        :param float deadline: seconds for all attempts of one call together; None: no end
        :param float patience: seconds for which following and waiting ride out failures; None: no end

        :returns: another client; closing either of them closes both

        >>> patient = client.with_options(timeout=300, deadline=None)
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)  # A subclass may have set more than is known here.
        twin._options = changed_options(self._options, changes, "with_options()")
        twin._sender = None
        return twin

    @property
    def _transport(self) -> Transport:
        if self._sender is None:
            from gradient_ext.transport import Transport

            self._sender = Transport(self._configuration, self._options, self._connections)
        return self._sender
