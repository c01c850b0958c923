"""The artifacts of a run: what it has written is listed in pages and can be read, also while it runs."""


def test_a_run_that_was_not_started_has_no_artifacts(bench, kind):
    run = bench.admit(kind.succeeds())
    assert run.artifacts("", 10, bench.clock.now()) == []
    assert run.open_artifact("model/weights.pt", bench.clock.now()) is None


def test_artifacts_are_there_while_the_command_runs_and_afterwards(bench, kind, writes_artifacts):
    run = bench.start(writes_artifacts())
    bench.until(run, lambda: run.artifacts("", 10, bench.clock.now()) != [])
    bench.until_ended(run)
    now = bench.clock.now()
    found = run.artifacts("", 10, now)
    assert len(found) >= 2
    assert [each.name for each in found] == sorted(each.name for each in found)
    assert {each.name.split("/")[0] for each in found} == {"artifacts", "model"}
    assert run.artifacts(found[0].name, 1, now) == [found[1]]
    assert run.artifacts(found[-1].name, 10, now) == []
    for each in found:
        assert run.transitions[0][0] - 1 <= each.modified <= now + 1
        reader = run.open_artifact(each.name, now)
        assert (reader.artifact().size, reader.artifact().version) == (each.size, each.version)
        whole = reader.read(0, each.size + 1)
        assert len(whole) == each.size > 1
        assert reader.read(1, each.size) == whole[1:]
        reader.close()
    assert run.open_artifact("model/none", now) is None


def test_artifacts_outlive_the_server(bench, kind, writes_artifacts):
    run = bench.finish(writes_artifacts())
    found, handle, (started, _) = run.artifacts("", 10, bench.clock.now()), bench.handle_of(run), run.transitions[0]
    bench.replace_runner()
    run = bench.admit(writes_artifacts(), handle=handle, started=started)
    bench.until_ended(run)
    assert [each[:2] for each in run.artifacts("", 10, bench.clock.now())] == [each[:2] for each in found] != []
