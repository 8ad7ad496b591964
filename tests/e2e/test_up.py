"""``make up``: what it says, what it writes, how it follows the files, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.tools import free_port
from tests.waiting import eventually

PING = '{"action": "ping"}'
PONG = 'return ["pong"]'
EVENTS = "chalicelib/wire/events.py"


def processes_in(folder: Path) -> list[str]:
    """The processes that work in a folder, or did until it was removed."""
    if not Path("/proc").exists():
        pytest.skip("only Linux tells which processes work where")
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(cwd.readlink()).startswith(str(folder)):
                found.append((cwd.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:  # It has ended since, or is somebody else's.
            continue
    return found


def can_be_served(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def run_up(project: Project, port: int) -> subprocess.CompletedProcess[str]:
    """Run ``make up`` where it is to fail."""
    return subprocess.run(
        project.make("up", f"PORT={port}"), cwd=project.folder, capture_output=True, text=True, timeout=30
    )


def port_of(stack: LocalStack) -> int:
    return int(stack.endpoints["awsEndpointUrl"].rpartition(":")[2])


def test_it_prints_the_url_and_the_command(stack: LocalStack) -> None:
    url = stack.endpoints["websocketUrl"]
    assert f"Chalice Chat is up at {url}\n" in stack.output
    assert re.search(rf"wscat -c {re.escape(url)}\n", stack.output)


def test_the_endpoints_are_where_they_say(stack: LocalStack) -> None:
    endpoints = stack.endpoints
    base = f"127.0.0.1:{port_of(stack)}/_aws/execute-api/{endpoints['apiId']}/local"
    assert endpoints == {
        "websocketUrl": f"ws://{base}",
        "callbackUrl": f"http://{base}",
        "awsEndpointUrl": f"http://127.0.0.1:{port_of(stack)}",
        "region": "us-east-1",
        "apiId": endpoints["apiId"],
        "stage": "local",
        "tables": {"connections": "Chat", "rooms": "ChatRooms", "messages": "ChatMessages"},
    }
    before = {item["connectionid"]["S"] for item in stack.items("connections")}
    with stack.connect() as client:
        (connection,) = {item["connectionid"]["S"] for item in stack.items("connections")} - before
        callbacks = stack.client("apigatewaymanagementapi", endpoint_url=endpoints["callbackUrl"])
        callbacks.post_to_connection(ConnectionId=connection, Data=b"from outside")
        assert client.recv(timeout=5) == "from outside"


def test_it_serves_the_page_of_this_chat(stack: LocalStack) -> None:
    with urlopen(stack.page_url, timeout=5) as page:
        assert b"<title>Chalice Chat</title>" in page.read()
        assert (
            f"connect-src 'self' ws://127.0.0.1:{port_of(stack)};" in page.headers["Content-Security-Policy"]
        )
    with urlopen(f"{stack.page_url}config.json", timeout=5) as config:
        assert json.load(config) == {"websocketUrl": stack.endpoints["websocketUrl"]}


def test_items_expire(stack: LocalStack) -> None:
    dynamodb = stack.client("dynamodb")
    for table in stack.endpoints["tables"].values():
        expiry = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}


def test_it_listens_on_this_machine_alone(stack: LocalStack) -> None:
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("only Linux tells who listens where")
    rows = [line.split() for line in listening.read_text().splitlines()[1:]]
    addresses = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port_of(stack):04X}")}
    assert addresses == {f"0100007F:{port_of(stack):04X}"}


def test_the_handlers_log_is_seen(stack: LocalStack) -> None:
    seen = len(stack.output)
    with stack.connect() as client:
        client.send(PING)
        assert client.recv(timeout=5) == "pong"
        stack.said("action=ping", after=seen)
    stack.said("disconnect", after=seen)


def test_a_taken_port_is_told_with_one_that_is_free(
    stack: LocalStack, new_project: Callable[[], Project]
) -> None:
    project = new_project()
    before = project.files()
    done = run_up(project, port_of(stack))
    assert done.returncode != 0
    assert f"port {port_of(stack)} is taken" in done.stderr
    free = re.search(r"make up PORT=(\d+)", done.stderr)
    assert free is not None
    assert can_be_served(int(free[1]))
    assert "Traceback" not in done.stderr
    assert project.files() == before


def test_it_runs_once_in_a_folder(stack: LocalStack) -> None:
    done = run_up(stack.project, free_port())
    assert done.returncode != 0
    assert "already running" in done.stderr
    assert stack.endpoints_file.exists()


def test_a_saved_change_is_live_within_3_s_and_sockets_stay(own_stack: LocalStack) -> None:
    with own_stack.connect() as client:
        client.send(PING)
        assert client.recv(timeout=5) == "pong"
        own_stack.project.edit(EVENTS, PONG, 'return ["PONG, as edited"]')
        deadline = time.monotonic() + 3
        reply = ""
        while reply != "PONG, as edited" and time.monotonic() < deadline:
            # No faster than it may: a flood would be ended.
            time.sleep(0.1)
            client.send(PING)
            reply = str(client.recv(timeout=5))
        assert reply == "PONG, as edited"


def test_a_frame_that_comes_during_a_deployment_is_answered(own_stack: LocalStack) -> None:
    slow = 'import time; time.sleep(4); return ["slow"]'
    own_stack.project.edit(EVENTS, PONG, slow)
    own_stack.said("Live after")
    with own_stack.connect() as client:
        client.send(PING)
        seen = len(own_stack.output)
        own_stack.project.edit(EVENTS, slow, PONG)
        own_stack.said("Live after", after=seen)
        assert client.recv(timeout=10) == "slow"
        client.send(PING)
        assert client.recv(timeout=5) == "pong"


def test_settings_policies_and_resources_are_watched_too(own_stack: LocalStack) -> None:
    for file, old, new in (
        (".chalice/config.json", '"lambda_timeout": 28', '"lambda_timeout": 27'),
        (".chalice/policy-local.json", '"Sid": "Rooms"', '"Sid": "Memberships"'),
        ("resources.json", "The tables of", "All tables of"),
    ):
        seen = len(own_stack.output)
        own_stack.project.edit(file, old, new)
        own_stack.said("Live after", after=seen)
        assert file in own_stack.output[seen:]


def test_what_does_not_import_is_shown_and_the_version_before_runs_on(own_stack: LocalStack) -> None:
    with own_stack.connect() as client:
        for broken, shown in (
            ("def broken(:", "SyntaxError"),
            ("import nothing_of_this_name", "ModuleNotFound"),
        ):
            seen = len(own_stack.output)
            own_stack.project.edit(EVENTS, PONG, f'return ["broken"]\n{broken}\n')
            own_stack.said("the version before runs on", after=seen)
            assert "Traceback" in own_stack.output[seen:]
            assert shown in own_stack.output[seen:]
            assert "events.py" in own_stack.output[seen:]
            client.send(PING)
            assert client.recv(timeout=5) == "pong"
            own_stack.project.edit(EVENTS, f'return ["broken"]\n{broken}\n', PONG)
            own_stack.said("Live after", after=seen)
        seen = len(own_stack.output)
        own_stack.project.edit(".chalice/config.json", "\n  }\n}", ",\n  }\n}")
        own_stack.said("the version before runs on", after=seen)
        assert re.search(r"config\.json, line \d+: ", own_stack.output[seen:])
        assert "Traceback" not in own_stack.output[seen:]
        own_stack.project.edit(".chalice/config.json", ",\n  }\n}", "\n  }\n}")
        own_stack.said("Live after", after=seen)


@pytest.mark.parametrize(
    ("by", "group"), [(signal.SIGTERM, False), (signal.SIGINT, True)], ids=["SIGTERM to make", "Ctrl-C"]
)
def test_it_ends_with_sockets_open_and_leaves_nothing(
    own_stack: LocalStack, by: signal.Signals, group: bool
) -> None:
    folder = own_stack.project.folder
    port, page_port = port_of(own_stack), urlsplit(own_stack.page_url).port or 0
    with own_stack.connect() as one, own_stack.connect() as two:
        one.send('{"action": "onMessage", "message": "still here"}')
        assert two.recv(timeout=5) == "Echo: still here"
        assert processes_in(folder)
        own_stack.end(by, group)
    assert eventually(lambda: not processes_in(folder), seconds=1), processes_in(folder)
    assert can_be_served(port)
    assert can_be_served(page_port)
    assert not (folder / ".local").exists()
    assert not (folder / ".chalice" / "deployments").exists()
    assert "Traceback" not in own_stack.output


def test_killed_outright_it_takes_its_processes_along_and_starts_again(own_stack: LocalStack) -> None:
    project = own_stack.project
    with own_stack.connect() as client:
        client.send(PING)
        assert client.recv(timeout=5) == "pong"
        os.killpg(own_stack.process.pid, signal.SIGKILL)
    assert eventually(lambda: not processes_in(project.folder)), processes_in(project.folder)
    with LocalStack(project, free_port()) as again, again.connect() as client:
        client.send(PING)
        assert client.recv(timeout=5) == "pong"
