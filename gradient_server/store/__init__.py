"""The experiments of a server, in memory and in a file."""
