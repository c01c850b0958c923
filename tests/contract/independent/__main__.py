"""Let judges that nobody here wrote look at contract, client and server: `make contract-independent`.

Runs the client suite with Prism between client and server, then what is in this directory. Arguments go to pytest.
"""

from __future__ import annotations

import shutil
import signal
import sys

import node
import pytest


def main() -> int:
    """Run the command line."""
    missing = node.missing()
    if missing:
        print(
            f"contract-independent: SKIPPED, nothing was judged: no {' and no '.join(missing)} here (Node 20 or newer)"
        )
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that pytest ends what it has started
    code = node.install()
    if code:
        print("contract-independent: the judges could not be installed", file=sys.stderr)
        return code
    shutil.rmtree(node.REPORTS, ignore_errors=True)
    node.REPORTS.mkdir(parents=True)
    tests = node.HERE.parents[1]
    client_suite = sorted(path for path in tests.iterdir() if path.is_dir() or path.name.startswith("test_"))
    paths = [str(path) for path in client_suite if path not in node.HERE.parents]
    return pytest.main(["-p", "judges", *paths, str(node.HERE), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
