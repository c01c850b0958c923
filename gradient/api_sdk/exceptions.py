"""Every exception, under the name of the earliest clients."""

from gradient.errors import *  # noqa: F403 - all of them
