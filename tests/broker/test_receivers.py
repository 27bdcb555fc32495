"""Whose the connections of a name are, against a list of what is open and what has polled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.receivers import POLLED_MAX, Receivers

WATCHERS = ["", "one", "two"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "poll", "pass", "forget"]),
        st.sampled_from(["name", "other"]),
        st.sampled_from(WATCHERS),
    ),
    max_size=40,
)


@given(STEPS)
def test_a_process_counts_while_it_is_connected_and_for_a_while_after_a_poll(steps):
    receivers, now = Receivers(), 1000.0
    opened: list[tuple[str, str]] = []
    until: dict[tuple[str, str], float] = {}
    for step, name, watcher in steps:
        if step == "open":
            receivers.opened(name, watcher)
            opened.append((name, watcher))
        elif step == "close" and (name, watcher) in opened:
            receivers.closed(name, watcher)
            opened.remove((name, watcher))
        elif step == "poll":
            receivers.polled(name, watcher, now + 3)
            until[name, watcher] = now + 3
        elif step == "pass":
            now += 2
        elif step == "forget":
            receivers.forget(name)
            until = {key: at for key, at in until.items() if key[0] != name}
        here = set(opened) | {key for key, at in until.items() if now < at}
        for asked in ("name", "other"):
            for asking in WATCHERS:
                assert receivers.others(asked, asking, now) == len(
                    {each for kept, each in here if kept == asked} - {asking}
                )
    for name, watcher in opened:
        receivers.closed(name, watcher)
    receivers.forget("name")
    receivers.forget("other")
    assert not receivers._open and not receivers._polled


def test_of_many_that_polled_the_newest_are_remembered():
    receivers = Receivers()
    for number in range(3 * POLLED_MAX):
        receivers.polled("name", f"w{number}", 10.0)
        receivers.polled("name", "steady", 10.0)
    assert receivers.others("name", "another", 5.0) == POLLED_MAX
    assert receivers.others("name", "steady", 5.0) == POLLED_MAX - 1, "it polled last"
