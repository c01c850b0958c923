"""What is told of the address of a workspace: enough to know it again, and nothing that is secret."""

import os
import stat
import subprocess

import pytest

from gradient_server.runners.process.set_up import CannotSetUp
from gradient_server.runners.process.workspace import prepare_workspace

SECRET = "very-secret-word"


@pytest.fixture
def error_of(tmp_path):
    """Give the error of a workspace that cannot be made."""

    def error_of(url, **given):
        with pytest.raises(CannotSetUp) as caught:
            prepare_workspace({"workspaceUrl": url, **given}, tmp_path / "workspace", tmp_path / "runs")
        return str(caught.value)

    return error_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"s3://AKIA:{SECRET}@bucket/x.zip", "s3://bucket/x.zip"),
        (f"s3://bucket/x.zip?X-Amz-Signature={SECRET}", "s3://bucket/x.zip"),
        (f"ftp://bob:{SECRET}@host/x.zip", "ftp://host/x.zip"),
        (f"ftp://{SECRET}@host/x.zip", "ftp://host/x.zip"),
        (f"git+https://bob:{SECRET}@host/x.git#{SECRET}", "git+https://host/x.git"),
        (f"git+ssh://bob:{SECRET}@host/x.git", "git+ssh://host/x.git"),
        (f"bob:{SECRET}@host:x.git", "host:x.git"),
        (f"file://bob:{SECRET}@host/no/such/folder", "file://host/no/such/folder"),
        (f"ssh://bob:{SECRET}@host/x.git", "ssh://bob@host/x.git"),
        (f"SSH://bob:{SECRET}@host/x.git", "ssh://bob@host/x.git"),
        (f"git://bob:{SECRET}@127.0.0.1:1/x.git", "git://127.0.0.1:1/x.git"),
        (f"http://127.0.0.1:1/x.git?token={SECRET}", "http://127.0.0.1:1/x.git"),
        (f"http://bob:{SECRET}@127.0.0.1:1/x.zip?token={SECRET}#{SECRET}", "http://127.0.0.1:1/x.zip"),
        (f"x:[{SECRET}@//[::", "//[::"),
    ],
)
def test_no_error_has_what_is_secret_in_an_address(error_of, url, shown):
    """Neither names and passwords of any kind of address, nor what is behind `?` or `#`."""
    error = error_of(url)
    assert f"The workspace {shown} " in error or f"the workspace {shown}: " in error
    assert SECRET not in error


@pytest.mark.parametrize("url", ["http:/bob:{}@host/x.zip", "https:bob:{}@host/x.git", "ssh:bob:{}@host/x.git"])
def test_an_address_without_a_host(error_of, url):
    """Nobody knows what is secret in it, so that nothing of it is told."""
    error = error_of(url.format(SECRET))
    assert "The workspace is no URL" in error
    assert SECRET not in error


@pytest.mark.parametrize("url", ["ssh://bob:{}@127.0.0.1:1/x.git", "ssh://bob:{}@127.0.0.1:1/x.git?"])
def test_an_address_for_ssh_with_a_password(error_of, url, tmp_path, monkeypatch):
    """It is refused with the reason: ssh takes none, and in the arguments of git everybody could read it."""
    called = tmp_path / "called"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec touch {called}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert subprocess.run(["git"], check=True).returncode == 0
    called.unlink()
    assert "leave the password out" in error_of(url.format(SECRET))
    assert not called.exists()


@pytest.mark.parametrize("url", ["ssh://git@127.0.0.1:1/x.git", "git@127.0.0.1:x.git"])
def test_an_address_for_ssh_keeps_the_name(error_of, url):
    """It says who one is there, and is no secret."""
    assert f"git cannot clone the workspace {url}: " in error_of(url)


@pytest.mark.parametrize("url", ["/no/such/#1?/a@b", "/no/such/a:b@c", "file:///no/such/a@b"])
def test_a_path_is_shown_as_it_is(error_of, url):
    """Whatever is in it: in a path it is nothing else than a part of names."""
    assert f"The workspace {url} does not exist" in error_of(url)


@pytest.mark.parametrize("url", ["/dev/null", "file:///dev/zero"])
def test_what_is_neither_a_file_nor_a_folder(error_of, url):
    """It is there, which is not denied."""
    assert f"The workspace {url} is neither a file nor a folder" in error_of(url)
