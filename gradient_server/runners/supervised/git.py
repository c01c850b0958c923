"""Workspaces from git: a repository at a branch, a tag or a commit, with its history, tags and submodules."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from gradient_server.runners.supervised.limits import SetupError, listed
from gradient_server.runners.supervised.workspace_url import Credentials, redact_urls, redacted, without_credentials

_TIMEOUT = 60
"""Seconds without a byte after which fetching by http or ssh fails."""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
# All commits and tags, but of the files only those that are checked out. Servers that cannot do that send everything.
_WITHOUT_OLD_FILES = "--filter=blob:none"
# A shell function as credential helper: the password is in the environment of git alone, in no argument and no file.
_PRINT = r'printf "username=%s\npassword=%s\n" "$WORKSPACE_USERNAME" "$WORKSPACE_PASSWORD"'
_CREDENTIAL_HELPER = f'!f() {{ [ "$1" != get ] || {_PRINT}; }}; f'
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_SSH_COMMAND": f"ssh -oBatchMode=yes -oConnectTimeout={_TIMEOUT}",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1",
    "GIT_HTTP_LOW_SPEED_TIME": str(_TIMEOUT),
    "GIT_ADVICE": "0",
    "LC_ALL": "C",
}
_REMOTE_PROTOCOLS = "git:http:https:ssh"


def clone(
    url: str, ref: str | None, credentials: Credentials | None, folder: Path, remark: Callable[[str], object]
) -> None:
    """Clone a repository at a branch, a tag or a commit, or else at its default branch.

    :param str ref: also one that only `git fetch` knows: `refs/pull/1/head`, or a commit that no branch reaches
    :param Path folder: an empty folder
    :param remark: receives a sentence on files in Git LFS that the repository keeps from being fetched

    :raises SetupError: there is no git or git-lfs, no such repository, no such ref, nothing in it, or a submodule
        cannot be fetched
    """
    if not shutil.which("git"):
        raise SetupError(f"The workspace {redacted(url)} needs git, which is not installed on this machine")
    if ref is not None and ref.startswith("-"):
        raise SetupError(f"workspaceRef {ref!r} must be a branch, a tag or a commit")
    git = _Git(url, credentials, folder)
    branch = [f"--branch={ref}"] if ref else []
    problem = git.clone(*branch)
    if ref and f"branch {ref} not found" in problem:
        problem = git.clone("--no-checkout")
        if not problem and not git.checks_out(ref):
            text = f"{git.shown} has no branch, tag or commit {ref!r}, which workspaceRef names"
            raise SetupError(f"{text}; it has {_branches(git) or 'no branch at all'}")
    if problem:
        raise SetupError(f"git cannot clone the workspace {git.shown}: {problem}")
    if not git.succeeds("rev-parse", "--quiet", "--verify", "HEAD^{commit}"):
        branches = _branches(git)
        if not branches:
            raise SetupError(f"The workspace {git.shown} is a git repository without a branch; push one to it")
        raise SetupError(
            f"The default branch of the workspace {git.shown} does not exist. It has {branches}: "
            "name one in workspaceRef, or correct the default branch of the repository"
        )
    if (folder / ".gitmodules").is_file():
        _fetch_submodules(git)
    _check_large_files(git, remark)


def is_bare_repository(path: Path) -> bool:
    """Whether a folder is a git repository itself, and not the work tree of one."""
    return all((path / name).exists() for name in ("HEAD", "objects", "refs"))


def _branches(git: _Git) -> str:
    names = git.output("for-each-ref", "--format=%(refname:strip=3)", "refs/remotes/origin").split()
    return listed([name for name in names if name != "HEAD"])


def _fetch_submodules(git: _Git) -> None:
    update = ("submodule", "--quiet", "update", "--init", "--recursive")
    problem = git.run(*update, _WITHOUT_OLD_FILES)
    if "usage:" in problem:  # git 2.35 and older fetch submodules only as a whole
        problem = git.run(*update)
    if problem:
        raise SetupError(
            f"The submodules of the workspace {git.shown} cannot be fetched: {problem}. "
            "A submodule that runs do not need can have `update = none` in .gitmodules"
        )


def _check_large_files(git: _Git, remark: Callable[[str], object]) -> None:
    """Raise an error if files are only pointers because git-lfs is missing.

    :raises SetupError: it is missing
    """
    places = git.output("submodule", "--quiet", "foreach", "--recursive", r'printf "%s/\0" "$displaypath"')
    pointers = [
        f"{place}{name}"
        for place in ["", *places.split("\0")[:-1]]
        for name in git.output("-C", f"./{place}", "ls-files", "-z", "--", ":(attr:filter=lfs)").split("\0")[:-1]
        if _is_pointer(git.folder / place / name)
    ]
    if not pointers:
        return
    if not shutil.which("git-lfs"):
        raise SetupError(
            f"The workspace {git.shown} has files in Git LFS, and git-lfs is not installed on this machine; install "
            f"it for {listed(pointers)}"
        )
    remark(f"The settings of the repository keep files in Git LFS from being fetched: {listed(pointers)}")


def _is_pointer(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_LFS_POINTER)) == _LFS_POINTER


class _Git:
    """The git program with the credentials for one repository. It never prompts."""

    def __init__(self, url: str, credentials: Credentials | None, folder: Path) -> None:
        self.url, self.shown, self.folder = without_credentials(url), redacted(url), folder
        self._credentials = credentials
        # A repository from elsewhere must not name folders of this machine as its submodules.
        protocols = f"file:{_REMOTE_PROTOCOLS}" if url.startswith("file:") else _REMOTE_PROTOCOLS
        self._environment = {
            **os.environ,
            **_ENVIRONMENT,
            "GIT_ALLOW_PROTOCOL": protocols,
            **_configuration(self.url, credentials),
        }

    def clone(self, *options: str) -> str:
        """Clone it into the folder. Return the error output as `run` does."""
        arguments = ("clone", "--quiet", _WITHOUT_OLD_FILES, *options, "--", self.url, str(self.folder))
        return self._run(arguments)[1]

    def checks_out(self, name: str) -> bool:
        """Check out a branch, tag or commit, fetch it if need be, and return whether there is one."""
        names = (name, f"origin/{name}", "FETCH_HEAD")
        return any(
            (found != "FETCH_HEAD" or self.succeeds("fetch", "--quiet", "--", "origin", name))
            and self.succeeds("checkout", "--quiet", "--detach", found, "--")
            for found in names
        )

    def succeeds(self, *arguments: str) -> bool:
        """Run git in the folder, and return whether it succeeded."""
        return not self.run(*arguments)

    def run(self, *arguments: str) -> str:
        """Run git in the folder, and return its error output without secrets; nothing if it succeeded."""
        return self._run(("-C", str(self.folder), *arguments))[1]

    def output(self, *arguments: str) -> str:
        """Run git in the folder, and return what it prints."""
        return self._run(("-C", str(self.folder), *arguments))[0]

    def _run(self, arguments: tuple[str, ...]) -> tuple[str, str]:
        process = subprocess.Popen(
            ["git", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        try:
            output, errors = process.communicate()
        except BaseException:
            # The run was stopped. git has child processes that would go on.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return os.fsdecode(output), self._redacted(errors.decode(errors="replace")) if process.returncode else ""

    def _redacted(self, errors: str) -> str:
        if self._credentials:
            # A user name without a password is a token.
            secret = self._credentials.password or self._credentials.username
            for form in filter(None, {secret, quote(secret), quote(secret, safe="")}):
                errors = errors.replace(form, "***")
        lines = redact_urls(errors.replace(self.url, self.shown)).splitlines()
        lines = [line.removeprefix("fatal: ").removeprefix("remote: ").strip() for line in lines]
        # git tries a submodule twice, and says the same again.
        text = "; ".join(line for line in dict.fromkeys(lines) if line and not line.startswith("warning:"))
        return text[:1000] or "it does not say why"


def _configuration(url: str, credentials: Credentials | None) -> Mapping[str, str]:
    """Return the variables that configure git for a repository. They hold for its submodules, too."""
    settings, secrets = list[tuple[str, str]](), dict[str, str]()
    if shutil.which("git-lfs"):  # also if `git lfs install` was never run
        settings += [("filter.lfs.process", "git-lfs filter-process"), ("filter.lfs.required", "true")]
    if credentials:
        parts = urlsplit(url)
        # For this host alone, also after a redirect. The first, empty helper removes those of the user.
        helper = f"credential.{parts.scheme}://{parts.netloc}.helper"
        settings += [(helper, ""), (helper, _CREDENTIAL_HELPER)]
        secrets = {"WORKSPACE_USERNAME": credentials.username, "WORKSPACE_PASSWORD": credentials.password}
    variables = {"GIT_CONFIG_COUNT": str(len(settings)), **secrets}
    for index, (name, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
    return variables
