"""Workspaces: folders, archives, git repositories, or nothing; and what cannot be one, with the reason."""

import base64
import contextlib
import gzip
import http.server
import io
import os
import shutil
import subprocess
import tarfile
import threading
import warnings
import zipfile
from urllib.parse import quote

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process import download
from gradient_server.runners.process.set_up import CannotSetUp

SECRET = "very-secret@word/1"
QUOTED = quote(SECRET, safe="")
"""As it is written in addresses."""


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

    def start(folder, password=None, moved_to=None, refused=None, may_pack=False):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def do_GET(self):
                given = base64.b64decode((self.headers.get("Authorization") or "").removeprefix("Basic ")).decode()
                if moved_to:
                    self.send_response(302)
                    self.send_header("Location", f"http://{moved_to}{self.path}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif refused:
                    text = refused.encode()
                    self.send_response(403)
                    self.send_header("Content-Type", "text/plain")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                elif password and given != f"somebody:{password}":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="here"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif may_pack and "gzip" in self.headers.get("Accept-Encoding", ""):
                    content = gzip.compress((folder / self.path.strip("/")).read_bytes())
                    self.send_response(200)
                    self.send_header("Content-Encoding", "gzip")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                else:
                    super().do_GET()

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *who: None  # who has had enough goes away in the middle
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def packed(folder, path):
    """Pack a folder as the name of the archive says."""
    kind = {".zip": "zip", ".tar": "tar", ".tgz": "gztar", ".xz": "xztar"}[path.suffix]
    made = shutil.make_archive(str(path.with_suffix("")), kind, folder)
    os.replace(made, path)
    return path


def error_of(bench, command="echo wrong", **given):
    run = bench.done(command, **given)
    state, error = bench.outcome(run)
    assert state == "error", (state, error, bench.rows(run))
    assert State.RUNNING not in [state for _, state in run.transitions]
    assert bench.rows(run) == []
    return error


@pytest.mark.parametrize("url", [{}, {"workspaceUrl": "none"}, {"workspaceUrl": ""}])
def test_without_a_workspace_a_run_has_an_empty_directory(bench, url):
    """Each run has its own."""
    assert bench.rows(bench.done("ls -A; touch mine; ls", **url)) == ["mine"]
    assert bench.rows(bench.done("ls -A; touch mine; ls", **url)) == ["mine"]


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder_is_copied(bench, project, form):
    """The run has a copy, so that nothing it does changes the original; links stay links."""
    command = "./train.sh; cat link.txt; readlink link.txt; rm -r src; ls"
    run = bench.done(command, workspaceUrl=form.format(project))
    assert bench.rows(run) == ["training", "data", "src/data.txt", "link.txt", "train.sh"]
    assert (project / "src" / "data.txt").exists()


def test_a_folder_that_has_the_runs_in_it_is_copied_without_them(make_bench, project):
    """What the server keeps in a project is no part of it."""
    bench = make_bench(project / "runs")
    assert bench.rows(bench.done("ls", workspaceUrl=str(project))) == ["link.txt", "src", "train.sh"]


def test_the_runs_themselves_are_no_workspace(bench):
    """A run is not copied into itself."""
    assert "is where the server keeps its runs" in error_of(bench, workspaceUrl=str(bench.directory))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.xz"])
def test_an_archive_is_unpacked(bench, project, tmp_path, name):
    """Zip and tar files, whatever they are packed with; programs can be executed."""
    path = packed(project, tmp_path / name)
    rows = bench.rows(bench.done("./train.sh; cat src/data.txt", workspaceUrl=str(path)))
    assert rows == ["training", "data"]


@pytest.mark.parametrize("credentials", ["none", "parameters", "url"])
def test_an_archive_is_fetched_by_http(bench, project, tmp_path, serve, credentials):
    """Where it is asked for, with a name and a password."""
    packed(project, tmp_path / "a.zip")
    host = serve(tmp_path, None if credentials == "none" else SECRET)
    given = {"workspaceUsername": "somebody", "workspacePassword": SECRET} if credentials == "parameters" else {}
    at = f"somebody:{QUOTED}@" if credentials == "url" else ""
    run = bench.done("./train.sh", workspaceUrl=f"http://{at}{host}/a.zip?x=1", **given)
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), ["training"])
    assert_secret_is_nowhere(bench)


def test_an_archive_is_fetched_as_it_is(bench, project, tmp_path, serve):
    """A server that would pack what it sends is not asked to: an archive is packed."""
    packed(project, tmp_path / "a.zip")
    run = bench.done("./train.sh", workspaceUrl=f"http://{serve(tmp_path, may_pack=True)}/a.zip")
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), ["training"])


def test_credentials_do_not_follow_to_another_host(bench, project, serve, tmp_path):
    """What is fetched may have moved there; nobody there is told the password, though it would be right."""
    packed(project, tmp_path / "a.zip")
    for password, outcome in ((None, "stopped"), (SECRET, "error")):
        host = serve(tmp_path, moved_to=serve(tmp_path, password))
        run = bench.done("./train.sh", workspaceUrl=f"http://somebody:{QUOTED}@{host}/a.zip")
        state, error = bench.outcome(run)
        assert state == outcome, error
    assert "the answer was 401" in error


def test_an_archive_that_is_not_there(bench, serve, tmp_path):
    """The error says what was answered, and nothing that is secret."""
    host = serve(tmp_path, SECRET)
    error = error_of(bench, workspaceUrl=f"http://somebody:{QUOTED}x@{host}/a.zip?token={QUOTED}")
    assert error == f"The workspace http://{host}/a.zip cannot be fetched: the answer was 401"
    error = error_of(bench, workspaceUrl="http://127.0.0.1:1/a.zip")
    assert "http://127.0.0.1:1/a.zip cannot be fetched" in error


@pytest.mark.parametrize(
    ("ref", "version"), [(None, "third"), ("old", "first"), ("v1", "first"), ("commit", "second"), ("main", "third")]
)
def test_a_git_repository_is_cloned(bench, repository, ref, version):
    """At its default branch, or at the branch, tag or commit that `workspaceRef` names."""
    if ref == "commit":
        said = subprocess.run(["git", "rev-parse", "main~"], cwd=repository, capture_output=True, text=True, check=True)
        ref = said.stdout.strip()
    given = {"workspaceRef": ref} if ref else {}
    bare = repository.parent / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(repository), str(bare)], check=True)
    run = bench.done("cat version", workspaceUrl=bare.as_uri(), **given)
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), [version])


def test_a_local_folder_with_a_ref_is_a_repository(bench, repository):
    """What is wanted is what was committed, not what lies there."""
    (repository / "version").write_text("changed\n")
    assert bench.rows(bench.done("cat version", workspaceUrl=str(repository))) == ["changed"]
    assert bench.rows(bench.done("cat version", workspaceUrl=str(repository), workspaceRef="v1")) == ["first"]


@pytest.mark.parametrize("credentials", ["parameters", "url"])
def test_a_git_repository_with_a_password(bench, repository, tmp_path, serve, credentials):
    """Credentials reach git, and are neither in its arguments nor in any file."""
    bare = tmp_path / "served" / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(repository), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)
    host = serve(bare.parent, SECRET)
    given = {"workspaceUsername": "somebody", "workspacePassword": SECRET} if credentials == "parameters" else {}
    at = f"somebody:{QUOTED}@" if credentials == "url" else ""
    run = bench.done("cat version; cat .git/config", workspaceUrl=f"http://{at}{host}/bare.git", **given)
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(run)[0] == "third"
    assert_secret_is_nowhere(bench)


def test_git_credentials_do_not_follow_to_another_host(bench, repository, tmp_path, serve):
    """Where a repository has moved to, nobody is told the password, though it would be right."""
    bare = tmp_path / "served" / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(repository), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)
    for password, outcome in ((None, "stopped"), (SECRET, "error")):
        host = serve(bare.parent, moved_to=serve(bare.parent, password))
        run = bench.done("cat version", workspaceUrl=f"http://somebody:{QUOTED}@{host}/bare.git")
        state, error = bench.outcome(run)
        assert state == outcome, error
    assert "Authentication failed" in error


def test_an_archive_that_is_broken_where_it_was_fetched(bench, serve, tmp_path):
    """The error does not have what is behind the question mark either: that may be a signature."""
    (tmp_path / "a.zip").write_bytes(b"no archive")
    host = serve(tmp_path, SECRET)
    error = error_of(bench, workspaceUrl=f"http://somebody:{QUOTED}@{host}/a.zip?signature={QUOTED}")
    assert error == f"The workspace http://{host}/a.zip is neither a zip nor a tar file"
    assert_secret_is_nowhere(bench)


def test_what_a_git_server_says_of_the_password_is_not_told(bench, tmp_path, serve):
    """The error has what the other side has answered, but for the password, should that be in it."""
    host = serve(tmp_path, refused=f"{SECRET} may not be used after May")
    error = error_of(bench, workspaceUrl=f"http://somebody:{QUOTED}@{host}/bare.git")
    assert "*** may not be used after May" in error
    assert SECRET not in error


def test_wrong_credentials_for_git(bench, tmp_path, serve):
    """The error says what git says; nobody is asked, and nothing secret is in it."""
    host = serve(tmp_path, SECRET)
    url = f"http://somebody:{QUOTED}x@{host}/bare.git"
    error = error_of(bench, workspaceUrl=url)
    assert error.startswith(f"git cannot clone the workspace http://{host}/bare.git: ")
    assert "Authentication failed" in error
    assert SECRET not in error
    assert QUOTED not in error
    assert_secret_is_nowhere(bench)


def test_what_git_says_can_be_read(bench):
    """A name beside a password is no secret, and its letters are in other words."""
    error = error_of(bench, workspaceUrl=f"http://u:{QUOTED}@127.0.0.1:1/project.git")
    assert "unable to access 'http://127.0.0.1:1/project.git/'" in error
    assert "***" not in error


def test_git_says_what_is_wrong(bench, repository):
    """A ref that is not there, and a repository that is not there."""
    error = error_of(bench, workspaceUrl=str(repository), workspaceRef="nowhere")
    assert "has no branch, tag or commit 'nowhere', which workspaceRef names" in error
    assert "must be a branch" in error_of(bench, workspaceUrl=str(repository), workspaceRef="--upload-pack=touch x")
    error = error_of(bench, workspaceUrl="http://127.0.0.1:1/project.git")
    assert "git cannot clone the workspace http://127.0.0.1:1/project.git: " in error


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("/no/such/folder", "/no/such/folder does not exist on the machine of the server: it must be"),
        ("project", "project is a relative path"),
        ("s3://bucket/key", "s3://bucket/key cannot be fetched from here: it must be"),
        ("ext::sh -c 'touch x'", "cannot be fetched from here"),
        ("/dev/null", "/dev/null is neither a file nor a folder: it must be"),
        ("/etc/passwd", "is neither a zip nor a tar file"),
        ("http://[::1/project.zip", "is no URL: it must be"),
        (f"https://somebody:{QUOTED}@\u2100.example/project.git", "is no URL: it must be"),
        ("~nobody-has-this-name/project", "is in the home of somebody whom"),
    ],
)
def test_what_is_no_workspace(bench, url, wrong):
    """The error says what is wrong, and what would be right."""
    assert wrong in error_of(bench, workspaceUrl=url)
    assert_secret_is_nowhere(bench)


def tar_with(path, name, **member):
    with tarfile.open(path, "w") as file:
        info = tarfile.TarInfo(name)
        data = member.pop("data", b"")
        info.size = len(data)
        for key, value in member.items():
            setattr(info, key, value)
        file.addfile(info, io.BytesIO(data))
    return path


def zip_with(path, name, data=b"x", mode=0o644):
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        file.writestr(info, data)
    return path


@pytest.mark.parametrize("says_that_it_is_utf8", [True, False])
def test_names_in_zip_files(bench, tmp_path, says_that_it_is_utf8):
    """They are UTF-8 also where the archive does not say so, as those do not that `zip` makes on Linux."""
    path = zip_with(tmp_path / "names.zip", "größe 😀.txt")
    if not says_that_it_is_utf8:
        raw = path.read_bytes()
        for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = raw.index(head) + flags
            assert raw[place : place + 2] == b"\x00\x08"
            raw = raw[:place] + b"\0\0" + raw[place + 2 :]
        path.write_bytes(raw)
    assert bench.rows(bench.done("ls", workspaceUrl=str(path))) == ["größe 😀.txt"]


def test_names_in_zip_files_of_old(bench, tmp_path):
    """What is no UTF-8 is read as such files were written before there was any."""
    path = zip_with(tmp_path / "names.zip", "gr??e.txt")
    path.write_bytes(path.read_bytes().replace(b"gr??e", b"gr\x94\xe1e"))
    assert bench.rows(bench.done("ls", workspaceUrl=str(path))) == ["größe.txt"]


@pytest.mark.parametrize(
    "make",
    [
        lambda path, outside: tar_with(path, "../escaped", data=b"x"),
        lambda path, outside: tar_with(path, f"{outside}/escaped", data=b"x"),
        lambda path, outside: tar_with(path, "a/../../escaped", data=b"x"),
        lambda path, outside: tar_with(path, "link", type=tarfile.SYMTYPE, linkname=str(outside)),
        lambda path, outside: tar_with(path, "link", type=tarfile.SYMTYPE, linkname=".."),
        lambda path, outside: tar_with(path, "link", type=tarfile.LNKTYPE, linkname="../../../secret"),
        lambda path, outside: zip_with(path, "../escaped"),
        lambda path, outside: zip_with(path, f"{outside}/escaped"),
        lambda path, outside: zip_with(path, "link", str(outside).encode(), 0o120777),
    ],
)
def test_archives_do_not_escape(bench, tmp_path, make):
    """Paths and links that lead out are refused, with the name."""
    error = error_of(bench, workspaceUrl=str(make(tmp_path / "archive", tmp_path)))
    assert "outside of its own folder" in error
    assert list(tmp_path.rglob("escaped")) == []


def test_archives_do_not_escape_by_links_that_come_later(bench, tmp_path):
    """A link that is turned round by another one leads nowhere."""
    path = tmp_path / "archive"
    with tarfile.open(path, "w") as file:
        for name, to in (("a", "b/.."), ("b", ".")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, to
            file.addfile(info)
        file.addfile(tarfile.TarInfo("a/escaped"))
    assert "outside of its own folder" in error_of(bench, workspaceUrl=str(path))
    assert list(tmp_path.rglob("escaped")) == []


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_name_that_comes_twice_in_an_archive(bench, tmp_path, kind):
    """The later one wins, and is not written to where an earlier link of that name leads."""
    path = tmp_path / "archive"
    members = [("kept", "kept"), ("file", "first"), ("file", "second"), ("link", None), ("link", "third")]
    if kind == "tar":
        with tarfile.open(path, "w") as file:
            for name, text in members:
                info = tarfile.TarInfo(name)
                if text is None:
                    info.type, info.linkname = tarfile.SYMTYPE, "kept"
                info.size = len(text or "")
                file.addfile(info, io.BytesIO((text or "").encode()))
    else:
        with zipfile.ZipFile(path, "w") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that a name comes twice
            for name, text in members:
                info = zipfile.ZipInfo(name)
                info.external_attr = (0o100644 if text else 0o120777) << 16
                file.writestr(info, text or "kept")
    run = bench.done("for f in file kept link; do cat $f; echo; done", workspaceUrl=str(path))
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), ["second", "kept", "third"])


def test_archives_with_other_things(bench, tmp_path):
    """Pipes and devices are no part of a workspace; broken archives are said to be broken."""
    assert "pipe is a device or a pipe" in error_of(
        bench, workspaceUrl=str(tar_with(tmp_path / "a.tar", "pipe", type=tarfile.FIFOTYPE))
    ).replace("in the workspace's archive ", "")
    broken = tmp_path / "b.zip"
    zip_with(broken, "x", b"y" * 100)
    broken.write_bytes(broken.read_bytes().replace(b"yy", b"zz"))
    assert "is broken" in error_of(bench, workspaceUrl=str(broken))


def test_sizes_are_bounded(bench, tmp_path):
    """What says that it is huge is not unpacked."""
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo("huge")
    info.size = 5 * 1024**3
    path.write_bytes(info.tobuf())
    assert "larger than 4 GiB" in error_of(bench, workspaceUrl=str(path))
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("huge", b"x")
        file.getinfo("huge").file_size = 5 * 1024**3
    assert "larger than 4 GiB" in error_of(bench, workspaceUrl=str(path))


def test_what_is_fetched_is_bounded(serve, tmp_path, monkeypatch):
    """However much there is, no more of it is kept than may be."""
    monkeypatch.setattr(download, "MOST_BYTES", 100_000)
    for size, is_too_large in ((100_000, False), (100_001, True), (10_000_000, True)):
        (tmp_path / "a.zip").write_bytes(b"x" * size)
        with (tmp_path / "fetched").open("wb") as file:
            expected = pytest.raises(CannotSetUp, match="The workspace is larger than")
            with expected if is_too_large else contextlib.nullcontext():
                download.download(f"http://{serve(tmp_path)}/a.zip", None, file)
        assert (tmp_path / "fetched").stat().st_size <= 100_000


def test_the_working_directory_is_in_the_workspace(bench, project):
    """Commands start there; what is not in the workspace is refused, with what there is."""
    assert bench.rows(bench.done("ls", workspaceUrl=str(project), workingDirectory="src")) == ["data.txt"]
    error = error_of(bench, workspaceUrl=str(project), workingDirectory="source")
    assert error == "workingDirectory source is no folder of the workspace: it has link.txt, src, train.sh"
    for outside in ("..", "/etc", "src/../.."):
        assert "is not in the workspace" in error_of(bench, workspaceUrl=str(project), workingDirectory=outside)


def test_the_artifact_directory_is_there(bench):
    """It is made in the workspace; one that is a place of its own in containers is not used, which is said."""
    assert bench.rows(bench.done("ls -d out/artifacts", artifactDirectory="out/artifacts")) == ["out/artifacts"]
    assert "is not in the workspace" in error_of(bench, artifactDirectory="../x")
    run = bench.done("true", artifactDirectory="/artifacts")
    assert "artifactDirectory /artifacts is not used" in run.rows(0, 1, bench.clock.now())[0][1].message


def test_a_folder_with_links_that_go_round(bench, project):
    """They stay what they are, and nothing is below them."""
    (project / "round").symlink_to("round")
    run = bench.done("readlink round", workspaceUrl=str(project))
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), ["round"])
    error = error_of(bench, workspaceUrl=str(project), workingDirectory="round")
    assert "workingDirectory round is no folder of the workspace" in error
    error = error_of(bench, workspaceUrl=str(project), artifactDirectory="round/out")
    assert "symbolic links" in error
    assert "does not exist" in error_of(bench, workspaceUrl=str(project / "round"))


def test_a_folder_with_a_pipe(bench, project):
    """What cannot be copied is said, and nothing waits for it."""
    os.mkfifo(project / "pipe")
    assert "pipe in the workspace is neither a file nor a folder" in error_of(bench, workspaceUrl=str(project))


def assert_secret_is_nowhere(bench):
    files = [path for path in bench.directory.rglob("*") if path.is_file()]
    for secret in (SECRET, QUOTED):
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
