"""A store with a file beside one in memory: whatever is done to both, opening the file again changes nothing."""

import contextlib

from attrs import asdict, filters
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gradient_server.api.descriptions import experiment_answer, log_answer
from gradient_server.api.idempotency import FirstAnswer
from gradient_server.api.responses import ApiResponse
from gradient_server.clock import Clock, Reading
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.sqlite import StoreFile
from gradient_server.store.store import Store


class Reopening(RuleBasedStateMachine):
    """A store with a file, which is opened again and again, beside one in memory, which is not."""

    path = None

    @initialize()
    def begin(self):
        self.path.unlink(missing_ok=True)
        self.file = None
        self.open()
        # The clocks show the same: they begin at the same moment, and stand still.
        self.twin_clock = Clock(0, earlier=Reading(epoch=self.clock.date(0), passed=0, scale=0, real=0))
        self.twin = Store(self.twin_clock, 0, SimulatedRunner())
        self.names = []

    def open(self):
        self.file = StoreFile(self.path, SimulatedRunner.name)
        self.clock = Clock(
            0, earlier=self.file.found.clock, at_least=self.file.found.last_moment, keep=self.file.write_clock
        )
        self.store = Store(self.clock, 0, SimulatedRunner(), file=self.file)

    @rule()
    def reopen(self):
        self.file.close()
        self.open()

    @rule(seconds=st.floats(0, 30))
    def advance(self, seconds):
        self.clock.advance(seconds)
        self.twin_clock.advance(seconds)

    @rule(
        start=st.booleans(),
        body=st.fixed_dictionaries(
            {"experimentTypeId": st.just(2), "projectHandle": st.text(max_size=3)},
            optional={
                "workerCount": st.integers(1, 3),
                "experimentEnv": st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False) | st.text(max_size=3)),
            },
        ),
    )
    def add(self, body, start):
        assert self.store.add(body, start=start).handle == self.twin.add(body, start=start).handle

    @precondition(lambda self: self.twin.newest_first())
    @rule(data=st.data(), what=st.sampled_from(["start", "stop", "delete"]))
    def change(self, data, what):
        handle = data.draw(st.sampled_from([found.handle for found in self.twin.newest_first()]))
        for store in (self.store, self.twin):
            getattr(store, what)(store.get(handle))

    @rule(name=st.binary(max_size=2), moment=st.sampled_from([0.0, 1e5]), body=st.text(max_size=3))
    def keep(self, name, moment, body):
        self.names.append(name)
        for store in (self.store, self.twin):
            store.keep(name, FirstAnswer.of(b"request", ApiResponse(200, body), moment))

    @rule(fails=st.booleans())
    def transaction(self, fails):
        for store in (self.store, self.twin):
            with contextlib.suppress(ZeroDivisionError), store.transaction():
                store.add({"experimentTypeId": 1, "projectHandle": "p"})
                store.keep(b"in a transaction", FirstAnswer.of(b"request", ApiResponse(200), 1.0))
                if fails:
                    raise ZeroDivisionError
            # The number of the one that failed may be given again, but not when a later one has been told of.
            store.add({"experimentTypeId": 1, "projectHandle": "q"})

    @rule()
    def reset(self):
        self.store.reset()
        self.twin.reset()

    @invariant()
    def both_are_the_same(self):
        kept = filters.exclude("run")
        shown = [[asdict(found, filter=kept) for found in store.newest_first()] for store in (self.store, self.twin)]
        assert shown[0] == shown[1]
        for name in self.names:
            assert self.store.first_answer(name) == self.twin.first_answer(name)
        for one, other in zip(self.store.newest_first(), self.twin.newest_first(), strict=True):
            assert experiment_answer(one, self.clock) == experiment_answer(other, self.twin_clock)
            assert log_answer(one, self.clock, 0, 100) == log_answer(other, self.twin_clock, 0, 100)

    def teardown(self):
        self.file.close()


def test_opening_it_again_changes_nothing(tmp_path):
    """Whatever is done in between: a store that stays in memory cannot be told from it."""
    Reopening.path = tmp_path / "store"
    examples = settings().max_examples // 4
    run_state_machine_as_test(Reopening, settings=settings(max_examples=examples, stateful_step_count=20))
