"""How commands really run: what is started and what is ended, who may see it, and what is kept of it."""

from fault import PROCESS, SERVER, Fault

FAULTS = (
    # Slots, and the order of those that wait.
    Fault(
        "one more runs than there are slots",
        f"{PROCESS}/following.py",
        "len(self._active) + len(self._leaving) < self._slots",
        "len(self._active) + len(self._leaving) <= self._slots",
    ),
    Fault(
        "what is being ended has no slot",
        f"{PROCESS}/following.py",
        "len(self._active) + len(self._leaving) < self._slots",
        "len(self._active) < self._slots",
    ),
    Fault(
        "the queue of a later server has any order",
        f"{PROCESS}/following.py",
        "deque(sorted(self._queue, key=lambda run: run.started or 0.0))",
        "deque(self._queue)",
    ),
    Fault(
        "a run whose files cannot be made waits for ever",
        f"{PROCESS}/following.py",
        'self._end(run, f"The run cannot be started: {error}")',
        "pass",
    ),
    # Who runs it: one, once.
    Fault(
        "the lock of a run is shared",
        f"{PROCESS}/run_directory.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
    ),
    Fault(
        "two servers run what is in one directory",
        f"{PROCESS}/runs_directory.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
    ),
    Fault(
        "what was claimed by one that was killed runs again",
        f"{PROCESS}/supervisor.py",
        "if reader.history.supervisor or reader.history.has_ended:",
        "if reader.history.has_ended:",
    ),
    Fault(
        "what goes on is started once more by the next server",
        f"{PROCESS}/runner.py",
        "if run.files.history.supervisor or run.files.history.has_ended:",
        "if run.files.history.has_ended:",
    ),
    Fault(
        "what could not be started is tried by the next server",
        f"{PROCESS}/runner.py",
        " or run.files.history.has_ended:",
        ":",
    ),
    Fault(
        "what is no event stops all who read on",
        f"{PROCESS}/events.py",
        "contextlib.suppress(ValueError, TypeError, KeyError)",
        "contextlib.suppress(TypeError, KeyError)",
    ),
    Fault(
        "what happened before a restart is not taken up",
        f"{PROCESS}/runner.py",
        "                run.take_news()\n",
        "",
    ),
    Fault(
        "what was stopped before it was claimed runs",
        f"{PROCESS}/supervised_run.py",
        "if self._directory.stop.exists():",
        "if self._told.to_end:",
    ),
    Fault(
        "a command does not need its gate opened",
        f"{PROCESS}/node_process.py",
        "read -r _ && exec",
        "read -r _; exec",
    ),
    Fault(
        "a supervisor that does not start is waited for",
        f"{PROCESS}/followed_run.py",
        "        if status:\n            self",
        "        if status and status < 0:\n            self",
    ),
    Fault(
        "a supervisor that has not started is forgotten before that is written",
        f"{PROCESS}/followed_run.py",
        "        if status:\n            self.end(",
        "        if status:\n            self._launch = None\n            self.end(",
    ),
    Fault(
        "a run without files is only told to stop",
        f"{PROCESS}/followed_run.py",
        "            error = REMOVED\n",
        "            return\n",
    ),
    Fault(
        "a run without files goes on where no server is",
        f"{PROCESS}/supervised_run.py",
        "return None if self._directory.events.exists() else REMOVED",
        "return None",
    ),
    Fault(
        "folders of others are taken for runs",
        f"{PROCESS}/run_directory.py",
        'return (self.path / "jobs").is_dir() and (self.events.is_file() or self._spec.is_file())',
        "return True",
    ),
    Fault(
        "runs that nobody knows are removed",
        f"{PROCESS}/following.py",
        "self._leave(FollowedRun(directory, 0), keep=True)",
        "self._leave(FollowedRun(directory, 0))",
    ),
    Fault(
        "the lock of the directory may be a link",
        f"{PROCESS}/runs_directory.py",
        " | os.O_NOFOLLOW, 0o600)",
        ", 0o600)",
    ),
    Fault(
        "the directory of runs may be open to others",
        f"{PROCESS}/runs_directory.py",
        "        with private_folder(self.path):\n",
        "        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)\n        if True:\n",
    ),
    Fault(
        "the launcher is not waited for",
        f"{PROCESS}/followed_run.py",
        "        if self.history.has_ended:\n            self.wait_for_launch()\n",
        "",
    ),
    # A disk that is full.
    Fault(
        "the reserve of the store is not used",
        f"{SERVER}/store_file.py",
        "                if not is_urgent:\n                    raise\n",
        "                raise\n",
    ),
    Fault(
        "what runs goes on where the store cannot be written",
        f"{SERVER}/store.py",
        "made = [experiment.run.make_room() for experiment in ending]",
        "made = [False for experiment in ending]",
    ),
    Fault(
        "an error that could not be written is forgotten",
        f"{PROCESS}/following.py",
        "            if self._unwritten and time",
        "            if False and time",
    ),
    # How it is ended.
    Fault(
        "what does not end when asked is not killed",
        f"{PROCESS}/supervision.py",
        "is_time=time.monotonic() >= deadline",
        "is_time=False",
    ),
    Fault(
        "there is no grace",
        f"{PROCESS}/supervision.py",
        "deadline = time.monotonic() + grace",
        "deadline = time.monotonic()",
    ),
    Fault(
        "nodes are killed without being asked",
        f"{PROCESS}/supervision.py",
        "signal_group(group, signal.SIGTERM)",
        "signal_group(group, signal.SIGKILL)",
    ),
    Fault(
        "what has left its group is killed without being asked",
        f"{PROCESS}/supervision.py",
        "                kill(pid, signal.SIGTERM)",
        "                kill(pid)",
    ),
    Fault("what has left its group goes on", f"{PROCESS}/supervisor.py", "        adopt_orphans()\n", ""),
    Fault(
        "runs outlive a server that keeps nothing",
        f"{PROCESS}/runner.py",
        "server=None if self._keep else ProcessId.of(os.getpid()),",
        "server=None,",
    ),
    Fault(
        "a process is known by its number",
        f"{PROCESS}/process_groups.py",
        "return _born(self.pid) == (self.born or None)",
        "return _born(self.pid) is not None",
    ),
    Fault(
        "a later process group of the number is killed",
        f"{PROCESS}/process_groups.py",
        "return born == self.born if born else self.born.startswith(_boot())",
        "return True",
    ),
    Fault(
        "the groups of nodes are known by their numbers",
        f"{PROCESS}/supervision.py",
        "{group for group in self._groups if group.may_have_group()}",
        "{group for group in self._groups if signal_group(group.pid, 0)}",
    ),
    Fault(
        "what a killed supervisor has left is found by its group alone",
        f"{PROCESS}/supervised_run.py",
        "{**environment, MARK: own}",
        "environment",
    ),
    # How it comes out.
    Fault(
        "every exit is that of the first node",
        f"{PROCESS}/supervision.py",
        "self._exits[node.node.title] = os.waitstatus_to_exitcode(status)",
        "self._exits[self._nodes[0].node.title] = os.waitstatus_to_exitcode(status)",
    ),
    Fault(
        "parameter servers are waited for",
        f"{PROCESS}/outcome.py",
        "for node in nodes if node.leads)",
        "for node in nodes)",
    ),
    Fault(
        "a failure waits for the other nodes",
        f"{PROCESS}/outcome.py",
        "        if status:\n",
        "        if status and len(exits) == len(nodes):\n",
    ),
    Fault(
        "moments of states go back",
        f"{PROCESS}/process_run.py",
        "(max(moment, last), state)",
        "(moment, state)",
    ),
    # What it may see, and who may see it.
    Fault(
        "commands have the environment of the server",
        f"{PROCESS}/environment.py",
        "if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX)",
        "if name",
    ),
    Fault(
        "supervisors have the environment of the server",
        f"{PROCESS}/followed_run.py",
        "env={**passed_on(os.environ), **environment}",
        "env={**os.environ, **environment}",
    ),
    Fault("what is to be run stays on disk", f"{PROCESS}/run_directory.py", "        self.drop_spec()\n", ""),
    Fault(
        "others can read what is to be run",
        f"{PROCESS}/run_directory.py",
        'os.O_EXCL, 0o600), "w")',
        'os.O_EXCL, 0o644), "w")',
    ),
    Fault(
        "others can look into runs",
        f"{PROCESS}/run_directory.py",
        "folder.mkdir(mode=0o700, exist_ok=True)",
        "folder.mkdir(exist_ok=True)",
    ),
    Fault(
        "nodes listen at every address",
        f"{PROCESS}/cluster.py",
        '_HOST = "127.0.0.1"',
        '_HOST = "0.0.0.0"',
    ),
    # Workspaces.
    Fault(
        "members of archives may lie outside",
        f"{PROCESS}/members.py",
        'if "\\0" in name or ".." in Path(name).parts or not _is_in(target.parent, folder):',
        'if "\\0" in name:',
    ),
    Fault(
        "links of archives may lead outside",
        f"{PROCESS}/members.py",
        "if not _is_in(link.parent / to, folder):",
        "if not to:",
    ),
    Fault(
        "archives may have a name once",
        f"{PROCESS}/members.py",
        "        target.unlink()\n",
        "        pass\n",
    ),
    Fault(
        "zip files may be of any size", f"{PROCESS}/zip_files.py", "            allowance.take(member.file_size)\n", ""
    ),
    Fault(
        "what is fetched may be of any size",
        f"{PROCESS}/download.py",
        "                allowance.take(len(chunk), files=0)\n",
        "",
    ),
    Fault(
        "credentials follow git to another host",
        f"{PROCESS}/git_clone.py",
        'key = f"credential.{parts.scheme}://{parts.netloc}.helper"',
        'key = "credential.helper"',
    ),
    Fault(
        "what git complains about is told with the password",
        f"{PROCESS}/git_clone.py",
        'said.replace(secret, "***") if secret else said',
        "said",
    ),
    Fault(
        "passwords in addresses are taken as they are written",
        f"{PROCESS}/addresses.py",
        'unquote(username or ""), unquote(password or "")',
        'username or "", password or ""',
    ),
    Fault("links in folders become copies", f"{PROCESS}/workspace.py", "symlinks=True", "symlinks=False"),
    # Rows and events.
    Fault(
        "rows of any length stay whole",
        f"{PROCESS}/output.py",
        "if max(map(len, rows), default=0) > LONGEST_ROW:",
        "if not rows:",
    ),
    Fault(
        "a command can end its log",
        f"{PROCESS}/output.py",
        'return [f"{row} " if row == END_OF_LOG else row for row in rows] if END_OF_LOG in rows else rows',
        "return rows",
    ),
    Fault(
        "the marker is on the last row",
        f"{PROCESS}/process_run.py",
        "last = self.files.history.rows[index] + 1",
        "last = self.files.history.rows[index]",
    ),
    Fault(
        "rows of an earlier run are shown",
        f"{PROCESS}/process_run.py",
        "return self.files.logs if self._known_states else ()",
        "return self.files.logs",
    ),
    Fault(
        "a row that fits in part is taken for written",
        f"{PROCESS}/log_file.py",
        "written += os.write(self._file, data[written:])",
        "written += max(len(data), os.write(self._file, data[written:]))",
    ),
    Fault(
        "half an event is read over",
        f"{PROCESS}/events.py",
        "len(complete) + bool(complete)\n        return",
        "len(complete) + 1\n        return",
    ),
    Fault(
        "half an event stays before the next one",
        f"{PROCESS}/events.py",
        'if size and os.pread(self._file, 1, size - 1) != b"\\n":',
        "if not size:",
    ),
    # Logs of many nodes.
    Fault(
        "the marker of a log is beyond its end",
        f"{PROCESS}/process_run.py",
        "[rows + 1 for rows in",
        "[rows for rows in",
    ),
    Fault(
        "all rows of a block are parsed for one of them",
        f"{PROCESS}/log_file.py",
        "_PARSED_AT_ONCE = 32",
        "_PARSED_AT_ONCE = 10**6",
    ),
    Fault(
        "of rows that fit in part none counts",
        f"{PROCESS}/log_file.py",
        '        self.count += written.count(b"\\n")\n',
        "",
    ),
    # What is told of addresses.
    Fault(
        "passwords for ssh go to git",
        f"{PROCESS}/addresses.py",
        'if scheme == "ssh" and password:',
        'if scheme == "ssh" and not password:',
    ),
    Fault(
        "signatures of addresses are told",
        f"{PROCESS}/addresses.py",
        're.split("[?#]", without_credentials(url), maxsplit=1)[0]',
        "without_credentials(url)",
    ),
    Fault(
        "names in addresses of other kinds are told",
        f"{PROCESS}/addresses.py",
        'if parts.scheme == "ssh" else ""',
        'if parts.scheme not in ("http", "https") else ""',
    ),
    # Archives that are damaged, or made to do harm.
    Fault("links are not looked at when all are there", f"{PROCESS}/archives.py", "        check_links(folder)\n", ""),
    Fault(
        "headers of tar files may be of any size",
        f"{PROCESS}/tar_files.py",
        "            if self.left < 0:\n",
        "            if self.left is None:\n",
    ),
    Fault(
        "a tar file may have no end",
        f"{PROCESS}/tar_files.py",
        "    if len(end) < tarfile.BLOCKSIZE:\n",
        "    if len(end) > tarfile.BLOCKSIZE:\n",
    ),
    Fault("a damaged member is the end", f"{PROCESS}/tar_files.py", 'if end.strip(b"\\0"):', "if not end:"),
    Fault(
        "the path of a link is unpacked, however long it is",
        f"{PROCESS}/zip_files.py",
        "packed.read(MOST_OF_LINK + 1)",
        "packed.read()",
    ),
    Fault("archives may be packed once more on the way", f"{PROCESS}/download.py", "headers=_AS_IT_IS, ", ""),
)
