"""The command line `gradient`, built on click. It needs the extra `cli`.

Data goes to stdout, everything else to stderr. The exit codes are those of :class:`gradient_cli.outcomes.ExitCode`.
"""

import sys

from gradient_ext import OTHER_PACKAGE, install_command


def main() -> None:
    """Run the command line, and exit with its code."""
    try:
        from gradient_cli.app import run_command_line  # click and rich are in an extra
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("click", "rich", "yaml"):
            raise
        sys.exit(f"gradient: The command line needs {package}: {install_command('cli')}")
    except ImportError as error:
        if error.name != "gradient":
            raise
        sys.exit(f"gradient: {OTHER_PACKAGE}")
    sys.exit(run_command_line())
