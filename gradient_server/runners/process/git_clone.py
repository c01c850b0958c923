"""Workspaces that are git repositories. Credentials are in the environment of git alone, and git asks nobody."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gradient_server.runners.process.addresses import Credentials, shown_address, without_credentials
from gradient_server.runners.process.set_up import CannotSetUp

# The helper is a shell function, so that neither arguments nor files hold what it gives; it gives nothing else.
_GIVE = r'printf "username=%s\npassword=%s\n" "$WORKSPACE_USERNAME" "$WORKSPACE_PASSWORD"'
_HELPER = f'!f() {{ [ "$1" != get ] || {_GIVE}; }}; f'
_NO_SHALLOW = "does not support shallow"
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_ADVICE": "0",
    "LC_ALL": "C",
}


def clone(url: str, ref: str | None, credentials: Credentials | None, folder: Path) -> None:
    """Put a repository into an empty folder, as it is at a branch, a tag or a commit; without one, at its default.

    :raises CannotSetUp: git is not installed, or says no; what it says is in the text
    """
    if not shutil.which("git"):
        raise CannotSetUp(f"The workspace {shown_address(url)} needs git, which is not installed on this machine")
    if ref is not None and (ref.startswith("-") or not ref):
        raise CannotSetUp(f"workspaceRef {ref!r} must be a branch, a tag or a commit")
    git = _Git(url, credentials)
    # What is not needed is not fetched, where the other side can do that: some cannot at all, some of no single commit.
    problem = git.run("clone", "--quiet", "--depth=1", *_branch(ref), "--", git.url, str(folder))
    if problem and (_NO_SHALLOW in problem or f"branch {ref} not found" in problem):
        problem = git.run("clone", "--quiet", "--", git.url, str(folder))
        if not problem and ref and not any(git.checks_out(folder, name) for name in (ref, f"origin/{ref}")):
            raise CannotSetUp(f"{git.shown} has no branch, tag or commit {ref!r}, which workspaceRef names")
    if problem:
        raise CannotSetUp(f"git cannot clone the workspace {git.shown}: {problem}")


def _branch(ref: str | None) -> list[str]:
    return [f"--branch={ref}"] if ref else []


class _Git:
    """The program, with what it needs for one repository.

    :param str url: where that is
    """

    def __init__(self, url: str, credentials: Credentials | None) -> None:
        self.url, self.shown = without_credentials(url), shown_address(url)
        self._credentials = credentials
        self._environment = {**os.environ, **_ENVIRONMENT, **_helper(self.url, credentials)}

    def checks_out(self, folder: Path, name: str) -> bool:
        """Put what a name means into a folder, if it means anything."""
        return not self.run("-C", str(folder), "checkout", "--quiet", "--detach", name, "--")

    def run(self, *arguments: str) -> str:
        """Run it; give what it complains about, or nothing where all is well."""
        process = subprocess.Popen(
            ["git", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        try:
            _, said = process.communicate()
        except BaseException:
            # Told to stop: it has children that would go on.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return self._clean(said.decode(errors="replace")) if process.returncode else ""

    def _clean(self, said: str) -> str:
        # A name without a password is a token.
        secret = self._credentials and (self._credentials.password or self._credentials.username)
        said = said.replace(secret, "***") if secret else said
        said = said.replace(self.url, self.shown)
        lines = [line.removeprefix("fatal: ").removeprefix("remote: ").strip() for line in said.splitlines()]
        return (
            "; ".join(line for line in lines if line and not line.startswith("warning:"))[:1000]
            or "it does not say why"
        )


def _helper(url: str, credentials: Credentials | None) -> Mapping[str, str]:
    parts = urlsplit(url)
    if credentials is None or parts.scheme not in ("http", "https"):
        return {}
    # For this host alone: where it sends git elsewhere, that gets none. The first, empty one drops what is configured.
    key = f"credential.{parts.scheme}://{parts.netloc}.helper"
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": key,
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": key,
        "GIT_CONFIG_VALUE_1": _HELPER,
        "WORKSPACE_USERNAME": credentials.username,
        "WORKSPACE_PASSWORD": credentials.password,
    }
