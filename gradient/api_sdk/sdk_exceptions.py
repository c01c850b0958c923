"""Every exception."""

from gradient.errors import *  # noqa: F403 - all of them
