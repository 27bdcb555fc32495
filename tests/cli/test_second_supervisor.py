"""Two supervisors with the same default name. After SIGKILL of the second one, nothing of it stays.

Two supervisors in two terminals of one machine have that name.
"""

from __future__ import annotations

import json

from running import new_name, wait_until


def test_kill_9_of_the_second_leaves_no_agent_behind(start, program_for):
    broker = start(BRIDGE_WATCHER_GRACE=300)
    bridge, mine, theirs = program_for(broker.url), new_name(), new_name()

    def online() -> list[str]:
        return sorted(
            row["agentId"]
            for row in json.loads(bridge.run("agents", "--status", "online", "--json"))
        )

    with bridge.running("supervise", mine, "--print") as first:
        wait_until(lambda: online() == [mine], "the first one's agent")
        with bridge.running("supervise", mine, theirs, "--print") as second:
            wait_until(lambda: online() == sorted([mine, theirs]), "the second one's")
            second.wait_said("another process receives under the same name")
            second.kill()
        wait_until(lambda: online() == [mine], "the end of the second one's own agent")
        lost = broker.send(theirs, "for the one that is gone")
        kept = broker.send(mine, "for the one that is here")
        wait_until(lambda: broker.ticket(kept)["status"] == "delivered", "the first one goes on")
        assert f"no watcher is connected for {theirs}" in bridge.run("why", lost)
        assert not any(lost in line for line in first.lines)
