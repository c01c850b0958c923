"""What applies where a caller says nothing: numbers that signatures show, in a module that loads nothing."""

from typing import Final

TIMEOUT: Final = 30.0
"""Seconds to wait for each part of an answer."""
CONNECT_TIMEOUT: Final = 5.0
"""Seconds to wait for a connection."""
MAX_ATTEMPTS: Final = 10
"""How often to try a call."""
DEADLINE: Final = 120.0
"""Seconds for all attempts of one call together."""
PATIENCE: Final = 600.0
"""Seconds for which following and waiting ride out failures."""
FIRST_LINE: Final = 0
"""The line after which logs are read."""
DEFAULT_LIMIT: Final = 10_000
"""The most log rows to ask for at once."""
PAGE_SIZE: Final = 1000
"""The most experiments to ask for at once."""
