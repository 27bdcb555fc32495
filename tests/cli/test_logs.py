"""Log lines as JSON: each thing that a line names is a field."""

from __future__ import annotations

import logging

import pytest

from bridge.cli.logs import named


@pytest.mark.parametrize(
    ("template", "values", "fields"),
    [
        ("tier changed agent=%s reason=%s", ("lucy", "a b=c"), {"event": "tier changed", "agent": "lucy", "reason": "a b=c"}),
        ("not delivered ticket=%s again_in=%.1fs server=%r", ("T1", 0.25, "x"), {"event": "not delivered", "ticket": "T1", "again_in": 0.25, "server": "x"}),
        ("at 100%% in %s level=%d", ("x", 3), {"level": 3}),
        ("stopping", (), {"event": "stopping"}),
        ("too few a=%s b=%s", ("x",), {"event": "too few", "a": "x"}),
    ],
)
def test_what_a_log_call_names_is_a_field_of_its_own(template, values, fields):
    assert named(logging.LogRecord("bridge", logging.INFO, "", 0, template, values, None)) == fields
