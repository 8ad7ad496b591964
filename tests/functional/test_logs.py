"""What is logged: one line for each invocation, and nothing that anybody said."""

import subprocess
import sys

import pytest

from tests.functional.clients import People
from tests.functional.log import PLANTED, Log
from tests.functional.tables import Tables
from tests.rig.callbacks import Callbacks
from tests.rig.clock import Clock


def test_one_line_for_each_invocation(people: People, callbacks: Callbacks, clock: Clock, log: Log) -> None:
    gone, ann = people.connected(), people.connected(name="ann")
    clock.now += 60
    callbacks.answers[gone.id] = [410]
    ann.say("hi")
    ann.send("nonsense")
    ann.disconnect()
    assert [line["message"] for line in log.lines] == [
        "connect",
        "connect",
        # A worker told the others of her.
        "deliver",
        "message",
        "message",
        "disconnect",
    ]
    told, said, bad = log.lines[2:5]
    assert (told["action"], told["outcome"], told["age_ms"]) == ("presence", "ok", 0)
    assert said["level"] == bad["level"] == "INFO"
    assert said["connection_id"] == ann.id
    assert (said["action"], said["outcome"]) == ("onMessage", "ok")
    assert (said["delivered"], said["gone"], said["pruned"], said["failed"]) == (1, 1, 1, 0)
    assert said["ms"] > 0
    assert (bad.get("action"), bad["outcome"]) == (None, "bad_json")


def test_a_fault_of_ours_is_an_error_with_its_cause(people: People, tables: Tables, log: Log) -> None:
    ann = people.connected()
    tables.delete()
    ann.say(PLANTED)
    line = log.lines[-1]
    assert (line["level"], line["outcome"], line["error"]) == (
        "ERROR",
        "unavailable",
        "ResourceNotFoundException",
    )
    assert "GetItem" in line["cause"]
    assert line["aws_request_id"]
    assert any("connections.py" in frame for frame in line["stack"])


def test_nothing_else_writes_the_line_again() -> None:
    script = "import app; from chalicelib.logs import make_logger; make_logger().info('once')"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert len((ran.stdout + ran.stderr).splitlines()) == 1


@pytest.mark.parametrize(
    "frame",
    [
        {"action": "onMessage", "message": PLANTED},
        {"action": "onMessage", "message": PLANTED, "room": "elsewhere"},
        {"action": "onMessage", "message": PLANTED * 999},
        {"action": "onMessage", PLANTED: 1},
        {"action": PLANTED},
        {"action": "ping", "ref": PLANTED},
        '{"action": "onMessage", "message": "' + PLANTED,
    ],
)
def test_nothing_that_was_said_is_logged(people: People, log: Log, frame: object) -> None:
    ann = people.connected()
    ann.send(frame)
    assert [line["message"] for line in log.lines] == ["connect", "message"]
    assert PLANTED not in log.text


def test_a_line_is_one_line_whatever_is_in_it(people: People, log: Log) -> None:
    stranger = people.arriving()
    stranger.id = "a\n{}\r\u2028b"
    stranger.disconnect()
    assert log.text.count("\n") == 1
    assert not {"\r", "\u2028"} & set(log.text)
