"""Workspaces: folders, archives, git repositories, or nothing; and the errors of what cannot be one."""

import base64
import gzip
import http.server
import os
import shutil
import socket
import stat
import subprocess
import threading
from urllib.parse import quote

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised import workspace
from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.workspace import prepare_workspace
from tests.server.runners.conftest import PATIENCE, stop

SECRET = "very-secret@word/1"
QUOTED = quote(SECRET, safe="")
"""The password as it is written in URLs."""
IN_PARAMETERS = ("", {"workspaceUsername": "somebody", "workspacePassword": SECRET})
IN_URL = (f"somebody:{QUOTED}@", {})


@pytest.fixture
def project(tmp_path):
    """A small project."""
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "train.sh").write_text("echo training\n")
    (folder / "train.sh").chmod(0o755)
    (folder / "src" / "data.txt").write_text("data\n")
    (folder / "link.txt").symlink_to("src/data.txt")
    return folder


@pytest.fixture
def repository(project):
    """The same project as a git repository, with a branch, a tag, and a commit that neither names."""

    def git(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=project, check=True)

    git("init", "--quiet", "--initial-branch=main")
    for text in ("first", "second", "third"):
        (project / "version").write_text(f"{text}\n")
        git("add", "--all")
        git("commit", "--quiet", "--message", text)
        if text == "first":
            git("tag", "v1")
            git("branch", "old")
    return project


@pytest.fixture
def serve(tmp_path):
    """Serve a folder by http, to those who know the password, if there is one."""
    servers = []

    def start(
        folder,
        password=None,
        *,
        moved_to=None,
        moved_here=(),
        refused=None,
        may_pack=False,
        breaks_off=False,
        told=None,
    ):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def do_GET(self):
                given = base64.b64decode((self.headers.get("Authorization") or "").removeprefix("Basic ")).decode()
                if told is not None:
                    told.append(given)
                if moved_to:
                    self.reply(302, Location=f"http://{moved_to}{self.path}")
                elif moved_here and self.path == moved_here[0]:
                    self.reply(302, Location=moved_here[1])
                elif refused:
                    self.reply(403, refused.encode(), Content_Type="text/plain")
                elif password and given != f"somebody:{password}":
                    self.reply(401, WWW_Authenticate='Basic realm="here"')
                elif may_pack and "gzip" in self.headers.get("Accept-Encoding", ""):
                    self.reply(200, gzip.compress(self.content), Content_Encoding="gzip")
                elif breaks_off:
                    self.reply(200, self.content[:-10], Content_Length=len(self.content))
                else:
                    super().do_GET()

            @property
            def content(self):
                return (folder / self.path.strip("/")).read_bytes()

            def reply(self, status, content=b"", **headers):
                self.send_response(status)
                for name, value in {"Content_Length": len(content), **headers}.items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None  # a client that has enough closes its connection
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def prepared(tmp_path):
    """Prepare a workspace in a new folder, and return the directory in which commands run."""
    count = 0

    def prepared(url="none", **given):
        nonlocal count
        count += 1
        body = {"workspaceUrl": str(url), **given}
        return prepare_workspace(body, tmp_path / f"workspace {count}", leave_out=tmp_path / "runs")

    return prepared


@pytest.fixture
def error_of(prepared):
    """Return the error of a workspace that cannot be prepared; it never has the password."""

    def error_of(url, **given):
        with pytest.raises(SetupError) as caught:
            prepared(url, **given)
        assert SECRET not in str(caught.value)
        assert QUOTED not in str(caught.value)
        return str(caught.value)

    return error_of


@pytest.fixture
def archive(project, tmp_path):
    """The project as a zip file in a folder that can be served."""
    (tmp_path / "served").mkdir()
    return shutil.make_archive(str(tmp_path / "served" / "a"), "zip", project)


@pytest.fixture
def bare(repository, tmp_path):
    """The repository as a bare one in a folder that can be served."""
    path = tmp_path / "served" / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(repository), str(path)], check=True)
    subprocess.run(["git", "-C", str(path), "update-server-info"], check=True)
    return path


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a shell script as a program, instead of another one of that name."""

    def install(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)

    return install


@pytest.fixture
def configure_git(tmp_path, monkeypatch):
    """Write what the user has configured for git."""

    def configure_git(text):
        (tmp_path / "gitconfig").write_text(text)
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))

    return configure_git


def names_in(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("given", [{"workspaceUrl": "none"}, {"workspaceUrl": ""}, {"workspaceUrl": None}, {}])
def test_without_a_url_the_workspace_is_an_empty_folder_of_the_user(tmp_path, given):
    folder = prepare_workspace(given, tmp_path / "workspace", tmp_path / "runs")
    assert (folder, names_in(folder)) == (tmp_path / "workspace", [])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder_is_copied_with_modes_and_links(prepared, project, form):
    (project / "round").symlink_to("round")
    folder = prepared(form.format(project))
    assert names_in(folder) == ["link.txt", "round", "src", "train.sh"]
    assert os.access(folder / "train.sh", os.X_OK)
    assert [os.readlink(folder / name) for name in ("link.txt", "round")] == ["src/data.txt", "round"]
    (folder / "src" / "data.txt").write_text("changed")
    assert (project / "src" / "data.txt").read_text() == "data\n"


def test_a_folder_that_contains_the_runs_is_copied_without_them(prepared, tmp_path):
    (tmp_path / "project" / "runs" / "es1").mkdir(parents=True)
    (tmp_path / "project" / "file").touch()
    body = {"workspaceUrl": str(tmp_path / "project")}
    runs = tmp_path / "project" / "runs"
    assert names_in(prepare_workspace(body, runs / "es1" / "workspace", leave_out=runs)) == ["file"]


def test_the_folder_of_the_runs_is_no_workspace(tmp_path):
    (tmp_path / "runs" / "es1").mkdir(parents=True)
    with pytest.raises(SetupError, match="is where the server keeps its runs"):
        prepare_workspace({"workspaceUrl": str(tmp_path / "runs")}, tmp_path / "runs" / "es1" / "w", tmp_path / "runs")


def test_a_workspace_that_cannot_be_set_up_takes_no_room(error_of, project, tmp_path):
    assert "is no folder of the workspace" in error_of(project, workingDirectory="no")
    assert not (tmp_path / "workspace 1").exists()


def test_a_local_archive_is_extracted(prepared, archive):
    assert names_in(prepared(archive)) == ["link.txt", "src", "train.sh"]


@pytest.mark.parametrize("credentials", [None, IN_PARAMETERS, IN_URL], ids=["none", "in parameters", "in the url"])
def test_an_archive_is_downloaded_with_credentials(prepared, archive, tmp_path, serve, credentials):
    host = serve(tmp_path / "served", SECRET if credentials else None)
    userinfo, given = credentials or ("", {})
    assert "train.sh" in names_in(prepared(f"http://{userinfo}{host}/a.zip?x=ä 1", **given))


def test_an_archive_is_downloaded_without_content_encoding(prepared, archive, tmp_path, serve):
    assert "train.sh" in names_in(prepared(f"http://{serve(tmp_path / 'served', may_pack=True)}/a.zip"))


def test_a_redirect_to_another_host_is_followed_without_the_password(prepared, error_of, archive, serve, tmp_path):
    def moved(password):
        return f"http://somebody:{QUOTED}@{serve(tmp_path, moved_to=serve(tmp_path / 'served', password))}/a.zip"

    assert "train.sh" in names_in(prepared(moved(None)))
    assert "the answer was 401" in error_of(moved(SECRET))


def test_a_redirect_on_the_same_host_is_followed_with_the_password(prepared, archive, serve, tmp_path):
    (tmp_path / "served" / "a.zip").rename(tmp_path / "served" / "b.zip")
    host = serve(tmp_path / "served", SECRET, moved_here=("/folder/a.zip", "/b.zip"))
    assert "train.sh" in names_in(prepared(f"http://somebody:{QUOTED}@{host}/folder/a.zip"))


def test_the_error_of_a_download_has_the_status_and_no_secret(error_of, serve, tmp_path):
    host = serve(tmp_path, SECRET)
    error = error_of(f"http://somebody:{QUOTED}x@{host}/a.zip?token={QUOTED}")
    assert error == f"The workspace http://{host}/a.zip cannot be fetched: the answer was 401"
    assert "http://127.0.0.1:1/a.zip cannot be fetched: " in error_of("http://127.0.0.1:1/a.zip")
    (tmp_path / "a.zip").write_bytes(b"no archive")
    error = error_of(f"http://somebody:{QUOTED}@{host}/a.zip?signature={QUOTED}")
    assert error == f"The workspace http://{host}/a.zip is neither a zip nor a tar file"


def test_a_download_that_breaks_off_is_an_error(error_of, archive, tmp_path, serve):
    host = serve(tmp_path / "served", breaks_off=True)
    assert f"http://{host}/a.zip cannot be fetched: IncompleteRead" in error_of(f"http://{host}/a.zip")


def test_a_download_without_a_byte_in_a_minute_is_an_error(error_of, monkeypatch):
    timeouts, connect = [], socket.create_connection

    def connect_impatiently(address, timeout, *rest):
        timeouts.append(timeout)
        return connect(address, 0.1, *rest)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(socket, "create_connection", connect_impatiently)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.zip"
        assert error_of(url) == f"The workspace {url} cannot be fetched: timed out"
    assert timeouts == [60.0]


@pytest.mark.parametrize(("size", "is_too_large"), [(100_000, False), (100_001, True), (10_000_000, True)])
def test_a_download_that_is_too_large_is_stopped(error_of, serve, tmp_path, monkeypatch, size, is_too_large):
    monkeypatch.setattr(workspace, "MAX_BYTES", 100_000)
    (tmp_path / "a.zip").write_bytes(b"x" * size)
    error = error_of(f"http://{serve(tmp_path)}/a.zip")
    assert ("The workspace is larger than" if is_too_large else "is neither a zip nor a tar file") in error


@pytest.mark.parametrize(
    ("ref", "version"), [(None, "third"), ("old", "first"), ("v1", "first"), ("commit", "second"), ("main", "third")]
)
def test_a_repository_is_cloned_at_a_branch_a_tag_or_a_commit(prepared, bare, ref, version):
    if ref == "commit":
        found = subprocess.run(["git", "rev-parse", "main~"], cwd=bare, capture_output=True, text=True, check=True)
        ref = found.stdout.strip()
    folder = prepared(bare.as_uri(), **({"workspaceRef": ref} if ref else {}))
    assert (folder / "version").read_text().strip() == version


def test_a_local_folder_is_copied_as_it_is_and_with_a_ref_cloned(prepared, repository):
    (repository / "version").write_text("changed\n")
    assert (prepared(repository) / "version").read_text() == "changed\n"
    assert (prepared(repository, workspaceRef="v1") / "version").read_text() == "first\n"


@pytest.mark.parametrize("credentials", [IN_PARAMETERS, IN_URL], ids=["in parameters", "in the url"])
def test_a_repository_is_cloned_with_credentials_that_are_in_no_file(prepared, bare, serve, credentials):
    userinfo, given = credentials
    folder = prepared(f"http://{userinfo}{serve(bare.parent, SECRET)}/bare.git", **given)
    assert (folder / "version").read_text() == "third\n"
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(secret.encode() in content for content in files for secret in (SECRET, QUOTED))


def test_git_follows_a_redirect_to_another_host_without_the_password(prepared, error_of, bare, serve):
    def moved(password):
        return f"http://somebody:{QUOTED}@{serve(bare.parent, moved_to=serve(bare.parent, password))}/bare.git"

    assert "version" in names_in(prepared(moved(None)))
    assert "Authentication failed" in error_of(moved(SECRET))


def test_the_output_of_git_is_in_the_error_without_the_password(error_of, tmp_path, serve):
    host = serve(tmp_path, refused=f"{SECRET} may not be used after May")
    assert "*** may not be used after May" in error_of(f"http://somebody:{QUOTED}@{host}/bare.git")
    host = serve(tmp_path, SECRET)
    error = error_of(f"http://somebody:{QUOTED}x@{host}/bare.git")
    assert error.startswith(f"git cannot clone the workspace http://{host}/bare.git: ")
    assert "Authentication failed" in error
    # A user name beside a password is no secret, and its letters are in other words.
    error = error_of(f"http://u:{QUOTED}@127.0.0.1:1/project.git")
    assert "unable to access 'http://127.0.0.1:1/project.git/'" in error
    assert "***" not in error


def test_git_never_prompts_and_speaks_english(error_of, install):
    """Its errors decide what is tried next; and nobody could answer."""
    install(
        "git", 'echo "$LC_ALL $GIT_TERMINAL_PROMPT" >&2; "$GIT_ASKPASS" && "$SSH_ASKPASS" && echo no answer >&2; exit 1'
    )
    assert error_of("https://example.org/x.git").endswith(": C 0; no answer")


def test_ssh_never_prompts(error_of, install):
    install("ssh", 'echo "ssh $*" >&2; exit 1')
    for url in ("git@example.org:x.git", "ssh://git@example.org/x.git"):
        assert "ssh -oBatchMode=yes " in error_of(url)


def test_git_executes_nothing_that_an_address_stands_for(error_of, configure_git, tmp_path):
    """Whatever is configured."""
    url = f"ext::sh -c 'touch% {tmp_path}/executed'"
    configure_git(f'[protocol "ext"]\n allow = always\n[url "{url}"]\n insteadOf = git://example.org/\n')
    assert "transport 'ext' not allowed" in error_of("git://example.org/")
    assert not (tmp_path / "executed").exists()


def test_the_credential_helpers_of_the_user_are_not_told_the_password(prepared, bare, serve, configure_git, tmp_path):
    configure_git(f'[credential]\n helper = "!cat >> {tmp_path}/told; :"\n')
    assert "version" in names_in(prepared(f"http://somebody:{QUOTED}@{serve(bare.parent, SECRET)}/bare.git"))
    assert not (tmp_path / "told").exists()


@pytest.mark.parametrize("place", ["same host", "other host"])
def test_the_password_of_a_repository_is_for_submodules_on_its_host_alone(
    prepared, error_of, bare, serve, tmp_path, place
):
    """With a relative URL, they are on the host of the repository."""
    told = []
    host = serve(bare.parent, SECRET)
    other = serve(bare.parent, SECRET, told=told)
    url = "../bare.git" if place == "same host" else f"http://{other}/bare.git"
    tree = tmp_path / "tree"
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    main = bare.parent / "main.git"
    for arguments in (
        ["clone", "--quiet", str(bare), str(tree)],
        ["-C", str(tree), "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(bare), "part"],
        ["-C", str(tree), "config", "--file", ".gitmodules", "submodule.part.url", url],
        ["-C", str(tree), *who, "commit", "--quiet", "--all", "--message", "with submodule"],
        ["clone", "--quiet", "--bare", str(tree), str(main)],
        ["-C", str(main), "update-server-info"],
    ):
        subprocess.run(["git", *arguments], check=True)
    url = f"http://somebody:{QUOTED}@{host}/main.git"
    if place == "same host":
        assert (prepared(url) / "part" / "version").read_text() == "third\n"
    else:
        assert "The submodules" in error_of(url)
        assert set(told) == {""}


def test_an_error_has_only_the_beginning_of_a_long_output_of_git(error_of, install):
    install("git", "head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 1")
    assert error_of("https://example.org/x.git").endswith(": " + "x" * 1000)


def test_a_ref_that_does_not_exist_or_is_an_option_is_refused(error_of, repository):
    error = error_of(repository, workspaceRef="nowhere")
    assert error.endswith("has no branch, tag or commit 'nowhere', which workspaceRef names; it has main, old")
    assert "must be a branch" in error_of(repository, workspaceRef="--upload-pack=touch x")


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("/no/such/#1?/a@b", "/no/such/#1?/a@b does not exist on the machine of the server: it must be"),
        ("file:///no/such/a@b", "file:///no/such/a@b does not exist"),
        ("project", "project is a relative path"),
        ("s3://bucket/key", "s3://bucket/key cannot be fetched from here: it must be"),
        ("ext::sh -c 'touch x'", "cannot be fetched from here"),
        ("/dev/null", "/dev/null is neither a file nor a folder: it must be"),
        ("file:///dev/zero", "file:///dev/zero is neither a file nor a folder"),
        ("/etc/passwd", "is neither a zip nor a tar file"),
        ("http://[::1/project.zip", "is no URL: it must be"),
        (f"https://somebody:{QUOTED}@\u2100.example/project.git", "is no URL: it must be"),
        (f"http:/bob:{QUOTED}@host/x.zip", "The workspace is no URL"),
        (f"ssh:bob:{QUOTED}@host/x.git", "The workspace is no URL"),
        ("~nobody-has-this-name/project", "is in the home of somebody whom"),
        # Only the host, the path and the user name for ssh are shown.
        (f"s3://AKIA:{QUOTED}@bucket/x.zip", "workspace s3://bucket/x.zip "),
        (f"s3://bucket/x.zip?X-Amz-Signature={QUOTED}", "workspace s3://bucket/x.zip "),
        (f"ftp://{QUOTED}@host/x.zip", "workspace ftp://host/x.zip "),
        (f"git+https://bob:{QUOTED}@host/x.git#{QUOTED}", "workspace git+https://host/x.git "),
        (f"bob:{QUOTED}@host:x.git", "workspace host:x.git "),
        (f"file://bob:{QUOTED}@host/no/such/folder", "workspace file://host/no/such/folder "),
        (f"SSH://bob:{QUOTED}@host/x.git", "workspace ssh://bob@host/x.git has a password, which ssh does not take"),
        (f"git://bob:{QUOTED}@127.0.0.1:1/x.git", "workspace git://127.0.0.1:1/x.git: "),
        (f"http://127.0.0.1:1/x.git?token={QUOTED}", "workspace http://127.0.0.1:1/x.git: "),
        (f"x:[{QUOTED}@//[::", "workspace //[:: "),
        (f"//bob:{QUOTED}@host/x.git", "workspace host/x.git does not exist"),
        (f"//host/x.git?token={QUOTED}", "workspace *** does not exist"),
        (f"/tmp/https://bob:{QUOTED}@host/x", "workspace host/x does not exist"),
        (f"/tmp/https:/bob:{QUOTED}@host/x", "workspace /tmp/***@host/x does not exist"),
        (f"/tmp/https:/{QUOTED}@host/x", "workspace /tmp/***@host/x does not exist"),
        (f"file:/no/bob:{QUOTED}@host/x", "workspace file:/no/***@host/x does not exist"),
        (f"bob:{SECRET}@host/x.git", "workspace host/x.git "),
        (f"the_user:{QUOTED}@host/x.git", "workspace host/x.git is a relative path"),
        (f"https%3A%2F%2Fbob%3A{QUOTED}%40host%2Fx.git", "workspace host%2Fx.git is a relative path"),
        (f"host/x.git?token={QUOTED}", "workspace host/x.git is a relative path"),
        (f"git@127.0.0.1:x.git?token={QUOTED}", "cannot clone the workspace git@127.0.0.1:x.git: "),
        (f"https://bob:{SECRET}@host/x.git", "The workspace is no URL"),
        (f"//bob:{QUOTED}?x@host/x.git", "The workspace is no URL"),
        (f"https://bob:{QUOTED}/@host/x.git", "The workspace is no URL"),
        (f"https://bob:{QUOTED}#@host/x.git", "The workspace is no URL"),
        (f"https://bob:{QUOTED}@/x.git", "The workspace is no URL"),
        (f" https://bob:{QUOTED}@host:99999/x.git", "The workspace is no URL"),
        (f"/tmp/{'x' * 5000}/bob:{QUOTED}@host", "File name too long (/tmp/"),
        ("ssh://git@127.0.0.1:1/x.git", "git cannot clone the workspace ssh://git@127.0.0.1:1/x.git: "),
        ("git@127.0.0.1:x.git", "git cannot clone the workspace git@127.0.0.1:x.git: "),
    ],
)
def test_a_url_that_is_no_workspace_is_refused_with_what_is_wrong(error_of, url, wrong):
    assert wrong in error_of(url)


@pytest.mark.parametrize("path", ["a.zip", "x.git"])
@pytest.mark.parametrize("character", ["%00", "%0A", "%0d", "%1B", "%7f"])
def test_credentials_with_control_characters_are_refused(error_of, path, character):
    """Neither git nor http can send them."""
    text = "The user name or password in the URL of the workspace http://127.0.0.1:1/{} has a control character"
    for userinfo in (f"bob:{QUOTED}{character}", f"bob{character}:{QUOTED}"):
        assert text.format(path) in error_of(f"http://{userinfo}@127.0.0.1:1/{path}")
    error = error_of(f"http://127.0.0.1:1/{path}", workspaceUsername="bob", workspacePassword=f"{SECRET}\n")
    assert error.startswith("workspaceUsername or workspacePassword has a control character")


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [("ftp", "unknown url type: ftp"), ("file", "the answer was 302"), ("data", "the answer was 302")],
)
def test_a_redirect_to_another_protocol_is_not_followed(error_of, serve, tmp_path, protocol, reason):
    host = serve(tmp_path, moved_here=("/a.zip", f"{protocol}://bob:{QUOTED}@127.0.0.1:1/a.zip"))
    assert f"http://{host}/a.zip cannot be fetched: {reason}" in error_of(f"http://{host}/a.zip")


def test_the_output_of_git_shows_no_secret_of_other_addresses(error_of, install):
    """Of those that a server redirects to, or of proxies."""
    install("git", f"echo 'fatal: a http://bob:{QUOTED}@h/x?t={QUOTED} b socks9://{QUOTED}@proxy:1' >&2; exit 1")
    assert error_of("https://example.org/x.git").endswith(": a http://h/x b socks9://proxy:1")


def test_the_working_directory_is_a_folder_of_the_workspace(prepared, error_of, project):
    (project / "round").symlink_to("round")
    assert names_in(prepared(project, workingDirectory="src")) == ["data.txt"]
    error = error_of(project, workingDirectory="source")
    assert error == "workingDirectory source is no folder of the workspace: it has link.txt, round, src, train.sh"
    assert "workingDirectory round is no folder of the workspace" in error_of(project, workingDirectory="round")
    for number in range(10):
        (project / f"a{number}").touch()
    shown = ", ".join(f"a{number}" for number in range(10))
    assert error_of(project, workingDirectory="source").endswith(f": it has {shown}, ...")
    for outside in ("..", "/etc", "src/../.."):
        assert "is not in the workspace" in error_of(project, workingDirectory=outside)


def test_a_relative_artifact_directory_is_made_in_the_workspace(prepared, error_of, project):
    (project / "round").symlink_to("round")
    assert (prepared(artifactDirectory="out/artifacts") / "out" / "artifacts").is_dir()
    assert names_in(prepared(artifactDirectory="/artifacts")) == []
    assert "is not in the workspace" in error_of("none", artifactDirectory="../x")
    assert "symbolic links" in error_of(project, artifactDirectory="round/out")


def test_a_run_works_in_its_workspace_and_keeps_no_password(bench, archive, tmp_path, serve):
    url = f"http://somebody:{QUOTED}@{serve(tmp_path / 'served', SECRET)}/a.zip"
    run = bench.done("./train.sh; cat link.txt", workspaceUrl=url, artifactDirectory="/artifacts")
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), ["training", "data"])
    assert "artifactDirectory /artifacts is not used" in run.remark
    files = [path.read_bytes() for path in bench.directory.rglob("*") if path.is_file()]
    assert not any(secret.encode() in content for content in files for secret in (SECRET, QUOTED))


def test_fetching_uses_the_proxy_and_the_ssh_agent_of_the_user_and_commands_do_not(
    bench, archive, serve, tmp_path, install, monkeypatch
):
    """Both work in the terminal that the server was started in."""
    (tmp_path / "served" / "http:" / "example.invalid").mkdir(parents=True)
    shutil.move(archive, tmp_path / "served" / "http:" / "example.invalid" / "a.zip")
    monkeypatch.setenv("http_proxy", f"http://{serve(tmp_path / 'served')}")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    run = bench.done("cat link.txt; env", workspaceUrl="http://example.invalid/a.zip")
    assert (bench.outcome(run), bench.rows(run)[0]) == (("stopped", None), "data")
    assert not [row for row in bench.rows(run) if row.startswith(("http_proxy=", "SSH_AUTH_SOCK="))]
    install("ssh", 'echo "the agent is $SSH_AUTH_SOCK" >&2; exit 1')
    run = bench.done("true", workspaceUrl="git@example.invalid:x.git")
    assert "the agent is /run/agent" in bench.outcome(run)[1]


@pytest.mark.parametrize("form", ["git://{}/x.git", "http://{}/x.zip"])
def test_a_run_that_is_stopped_while_its_workspace_is_fetched_leaves_no_process(bench, form):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        run = bench.run("true", workspaceUrl=form.format(f"127.0.0.1:{silent.getsockname()[1]}"))
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(PATIENCE)
            stop(bench, run)
            while connection.recv(9000):  # until whoever is at the other end has ended
                pass
    assert bench.outcome(run) == ("canceled", None)


def test_a_run_whose_workspace_cannot_be_prepared_ends_with_the_error(bench):
    run = bench.done("echo wrong", workspaceUrl="/no/such/folder")
    state, error = bench.outcome(run)
    assert (state, bench.rows(run)) == ("error", [])
    assert "/no/such/folder does not exist" in error
    assert State.RUNNING not in [state for _, state in run.transitions]
