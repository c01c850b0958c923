"""The workspace of a run: a copy of what `workspaceUrl` names, in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import string
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from gradient_server.runners.process.archives import extract
from gradient_server.runners.process.limits import MAX_BYTES, Quota, SetupError, real_path

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_SCP_LIKE = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")
_WITH_HOST = ("http", "https", "ssh", "git")
_EXPECTED = (
    "it must be a local folder, a zip or tar file (local, or by http), or a git repository "
    "(https://..., ssh://..., git@host:path)"
)
_TIMEOUT = 60.0
"""Seconds without a byte after which a download fails."""
_CHUNK = 2**16
# A shell function as credential helper: the password is in the environment of git alone, in no argument and no file.
_PRINT = r'printf "username=%s\npassword=%s\n" "$WORKSPACE_USERNAME" "$WORKSPACE_PASSWORD"'
_CREDENTIAL_HELPER = f'!f() {{ [ "$1" != get ] || {_PRINT}; }}; f'
_GIT_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_ADVICE": "0",
    "LC_ALL": "C",
}


class Credentials(NamedTuple):
    """User name and password for the host of a workspace."""

    username: str
    password: str


def prepare_workspace(body: Mapping[str, Any], folder: Path, leave_out: Path) -> Path:
    """Create the workspace and return the directory in it that commands run in.

    :param body: the request that created the experiment
    :param Path folder: where to create it; must not exist
    :param Path leave_out: where the server keeps its runs; it is never a part of a workspace

    :raises SetupError: it cannot be created
    """
    try:
        folder.mkdir(mode=0o700)
        _fill(folder, body, leave_out)
        directory = _working_directory(folder, body.get("workingDirectory"))
        _make_artifact_directory(folder, body.get("artifactDirectory"))
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise SetupError(f"The workspace cannot be set up: {error.strerror or error}{place}") from error
    return directory


def _fill(folder: Path, body: Mapping[str, Any], leave_out: Path) -> None:
    url: str = body.get("workspaceUrl") or ""
    ref: str | None = body.get("workspaceRef") or None
    if url in ("", "none"):
        return
    scheme = _checked_scheme(url)
    if _SCP_LIKE.match(url) or scheme in ("ssh", "git"):
        _clone(url, ref, None, folder)
    elif scheme in ("http", "https"):
        if not urlsplit(url).path.lower().endswith(_ARCHIVE_SUFFIXES):
            _clone(url, ref, _credentials(url, body), folder)
            return
        with tempfile.NamedTemporaryFile(dir=folder.parent, prefix="archive-") as file:
            _download(url, _credentials(url, body), file)
            extract(Path(file.name), folder, redacted(url), Quota())
    else:
        path = _local_path(url, scheme)
        is_bare = all((path / name).exists() for name in ("HEAD", "objects", "refs"))
        if path.is_file():
            extract(path, folder, str(path), Quota())
        elif is_bare or ref is not None:
            _clone(path.as_uri(), ref, None, folder)
        else:
            _copy(path, folder, leave_out)


def _checked_scheme(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in _WITH_HOST and not parts.netloc:
            raise ValueError("no host")
    except ValueError:
        # Neither the URL nor the error is shown: both may contain a password.
        raise SetupError(f"The workspace is no URL: {_EXPECTED}") from None
    if parts.scheme == "ssh" and parts.password:
        raise SetupError(
            f"The workspace {redacted(url)} has a password, which ssh does not take from there: "
            "leave the password out, and let ssh find a key"
        )
    return parts.scheme


def _local_path(url: str, scheme: str) -> Path:
    if scheme == "file":
        path, shown = Path(unquote(urlsplit(url).path)), _without_credentials(url)
    elif scheme:
        raise SetupError(f"The workspace {redacted(url)} cannot be fetched from here: {_EXPECTED}")
    else:
        try:
            path, shown = Path(url).expanduser(), url
        except RuntimeError:
            raise SetupError(f"The workspace {url} is in the home of somebody whom the server does not know") from None
    if not path.is_absolute():
        raise SetupError(f"The workspace {shown} is a relative path, which the server cannot resolve: make it absolute")
    if not path.exists():
        raise SetupError(f"The workspace {shown} does not exist on the machine of the server: {_EXPECTED}")
    if not path.is_file() and not path.is_dir():
        raise SetupError(f"The workspace {shown} is neither a file nor a folder: {_EXPECTED}")
    return path


def _copy(source: Path, folder: Path, leave_out: Path) -> None:
    """Copy a folder. Symbolic links are copied as links."""
    quota, leave_out = Quota(), real_path(leave_out)
    if real_path(source).is_relative_to(leave_out) and real_path(folder).is_relative_to(real_path(source)):
        raise SetupError(f"The workspace {source} is where the server keeps its runs; give the folder of a project")

    def ignored(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if real_path(Path(directory, name)) == leave_out]

    def copy(source: str, target: str) -> str:
        if not os.path.isfile(source):
            raise SetupError(f"{source} in the workspace is neither a file nor a folder; remove it")
        quota.take(os.path.getsize(source))
        return shutil.copy2(source, target)

    try:
        shutil.copytree(source, folder, symlinks=True, ignore=ignored, copy_function=copy, dirs_exist_ok=True)
    except shutil.Error as error:
        _, _, first = error.args[0][0]
        raise SetupError(f"The workspace {source} cannot be copied: {first}") from error


def _download(url: str, credentials: Credentials | None, file: IO[bytes]) -> None:
    """Download an archive. Redirects to another host are followed without the credentials."""
    # Not at the top of the module: each supervisor would take 130 ms instead of 110 to start.
    from http.client import HTTPException, IncompleteRead
    from urllib import error, request

    shown, quota = redacted(url), Quota(bytes=MAX_BYTES)
    passwords = request.HTTPPasswordMgrWithPriorAuth()
    opener = request.build_opener(request.HTTPBasicAuthHandler(passwords))
    try:
        url = _ascii_url(_without_credentials(url))
        if credentials:
            host = urlunsplit(urlsplit(url)._replace(path="/", query="", fragment=""))
            passwords.add_password(None, host, *credentials, is_authenticated=True)
        with opener.open(url, timeout=_TIMEOUT) as response:
            while chunk := response.read(_CHUNK):
                quota.take(len(chunk), files=0)
                file.write(chunk)
            if response.length:
                raise IncompleteRead(b"", response.length)
    except error.HTTPError as failure:
        failure.close()
        raise SetupError(f"The workspace {shown} cannot be fetched: the answer was {failure.code}") from failure
    except error.URLError as failure:
        raise SetupError(f"The workspace {shown} cannot be fetched: {failure.reason}") from failure
    except (HTTPException, TimeoutError, ConnectionError, ValueError) as failure:
        raise SetupError(f"The workspace {shown} cannot be fetched: {failure or type(failure).__name__}") from failure
    file.flush()


def _ascii_url(url: str) -> str:
    """Return a URL with everything encoded that is not ASCII.

    :raises ValueError: there cannot be a host of that name
    """
    parts = urlsplit(url)
    return quote(urlunsplit(parts._replace(netloc=parts.netloc.encode("idna").decode())), safe=string.punctuation)


def _clone(url: str, ref: str | None, credentials: Credentials | None, folder: Path) -> None:
    """Clone a repository at a branch, a tag or a commit, or else at its default branch."""
    if not shutil.which("git"):
        raise SetupError(f"The workspace {redacted(url)} needs git, which is not installed on this machine")
    if ref is not None and ref.startswith("-"):
        raise SetupError(f"workspaceRef {ref!r} must be a branch, a tag or a commit")
    git = _Git(url, credentials)
    branch = [f"--branch={ref}"] if ref else []
    problem = git.run("clone", "--quiet", "--depth=1", *branch, "--", git.url, str(folder))
    # Some servers cannot send a part of the history, and none sends a single commit by its id.
    if problem and ("does not support shallow" in problem or f"branch {ref} not found" in problem):
        problem = git.run("clone", "--quiet", "--", git.url, str(folder))
        if not problem and ref and not any(git.checks_out(folder, name) for name in (ref, f"origin/{ref}")):
            raise SetupError(f"{git.shown} has no branch, tag or commit {ref!r}, which workspaceRef names")
    if problem:
        raise SetupError(f"git cannot clone the workspace {git.shown}: {problem}")


class _Git:
    """The git program with the credentials for one repository. It never prompts."""

    def __init__(self, url: str, credentials: Credentials | None) -> None:
        self.url, self.shown = _without_credentials(url), redacted(url)
        self._credentials = credentials
        self._environment = {**os.environ, **_GIT_ENVIRONMENT, **_helper_variables(self.url, credentials)}

    def checks_out(self, folder: Path, name: str) -> bool:
        """Check out a branch, tag or commit, and return whether there is one."""
        return not self.run("-C", str(folder), "checkout", "--quiet", "--detach", name, "--")

    def run(self, *arguments: str) -> str:
        """Run git and return its error output without secrets; nothing if it succeeded."""
        process = subprocess.Popen(
            ["git", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        try:
            _, output = process.communicate()
        except BaseException:
            # The run was stopped. git has child processes that would go on.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return self._redacted(output.decode(errors="replace")) if process.returncode else ""

    def _redacted(self, output: str) -> str:
        # A user name without a password is a token.
        secret = self._credentials and (self._credentials.password or self._credentials.username)
        output = output.replace(secret, "***") if secret else output
        lines = output.replace(self.url, self.shown).splitlines()
        lines = [line.removeprefix("fatal: ").removeprefix("remote: ").strip() for line in lines]
        text = "; ".join(line for line in lines if line and not line.startswith("warning:"))
        return text[:1000] or "it does not say why"


def _helper_variables(url: str, credentials: Credentials | None) -> Mapping[str, str]:
    if credentials is None:
        return {}
    parts = urlsplit(url)
    # For this host alone, also after a redirect. The first, empty helper removes those that the user has configured.
    key = f"credential.{parts.scheme}://{parts.netloc}.helper"
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": key,
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": key,
        "GIT_CONFIG_VALUE_1": _CREDENTIAL_HELPER,
        "WORKSPACE_USERNAME": credentials.username,
        "WORKSPACE_PASSWORD": credentials.password,
    }


def _credentials(url: str, body: Mapping[str, Any]) -> Credentials | None:
    """Return the credentials in the parameters of the experiment, or else those in an http URL."""
    username, password = body.get("workspaceUsername"), body.get("workspacePassword")
    if username is None and password is None:
        parts = urlsplit(url)
        if parts.username is None and parts.password is None:
            return None
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Credentials(username or "", password or "")


def redacted(url: str) -> str:
    """Return a URL without credentials, query and fragment, each of which may be a secret."""
    return url if _is_path(url) else re.split("[?#]", _without_credentials(url), maxsplit=1)[0]


def _without_credentials(url: str) -> str:
    """Return a URL without password and user name; ssh keeps its user name, which is no secret."""
    if _is_path(url):
        return url
    parts = urlsplit(url)
    if not parts.netloc:  # of an unknown form, so credentials may be anywhere before an @
        return url.rpartition("@")[2] if parts.scheme != "file" else url
    userinfo, _, host = parts.netloc.rpartition("@")
    name = userinfo.partition(":")[0] if parts.scheme == "ssh" else ""
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if name else host))


def _is_path(url: str) -> bool:
    return bool(_SCP_LIKE.match(url)) or not urlsplit(url).scheme


def _working_directory(folder: Path, given: str | None) -> Path:
    if not given:
        return folder
    directory = _inside(folder, given, "workingDirectory")
    if not directory.is_dir():
        names = sorted(entry.name for entry in folder.iterdir())
        found = f"it has {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else "which is empty"
        raise SetupError(f"workingDirectory {given} is no folder of the workspace: {found}")
    return directory


def _make_artifact_directory(folder: Path, given: str | None) -> None:
    # An absolute path was a mount point of a container; the first log row says that it is not used.
    if given and not os.path.isabs(given):
        _inside(folder, given, "artifactDirectory").mkdir(parents=True, exist_ok=True)


def _inside(folder: Path, given: str, parameter: str) -> Path:
    directory = folder / given
    if not real_path(directory).is_relative_to(real_path(folder)):
        raise SetupError(f"{parameter} {given} is not in the workspace; give a path that is relative to its top")
    return directory
