"""The program that `mpirun` starts in place of ssh: `python mpi_agent.py FOLDER HOST COMMAND...`.

The agent of its node listens at a socket in the folder, and has the agent on that machine start the command. This is
run as a script, without the package around it.
"""

from __future__ import annotations

import json
import os
import socket
import sys

SOCKET = "mpirun"


def main(folder: str, host: str, *command: str) -> int:
    """Print what a command on another machine prints, and return its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        os.chdir(folder)  # the path of a socket has 107 bytes at most
        connection.connect(SOCKET)
        connection.sendall(json.dumps({"host": host, "command": " ".join(command)}).encode() + b"\n")
        for line in connection.makefile(encoding="utf-8"):
            answer = json.loads(line)
            if "code" in answer:
                return int(answer["code"])
            print(answer["output"], flush=True)
    print(f"The agents of this run have ended before the command on {host}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
