"""What is left to workers by way of SQS, which repeats, reorders and forgets nothing."""

import pytest

from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.callbacks import Answer
from tests.rig.clients import Crowd, SocketClient
from tests.rig.rig import Rig
from tests.waiting import eventually

# The visibility time-out of the queue in resources.json, in s.
VISIBILITY = 180


@pytest.fixture
def clients(crowd: Crowd) -> list[SocketClient]:
    """Ten members of a room."""
    return crowd.connect_many(10, "cats", subprotocols=["chat.v1"])


@pytest.fixture
def bad(rig: Rig, clients: list[SocketClient]) -> str:
    """The connection id of the last of them."""
    return rig.connection_id(clients[-1].port)


def settle(rig: Rig) -> None:
    """Wait until nothing is to be done now."""
    assert eventually(lambda: rig.settled, 30)


def drain(rig: Rig) -> list[float]:
    """Let time pass until the queue is empty; when each message was received, in s from now."""
    began = rig.clock()
    settle(rig)
    times = []
    while not rig.queues.idle:
        before = rig.functions.invocations["deliver"]
        rig.advance(1)
        settle(rig)
        times += [rig.clock() - began] * (rig.functions.invocations["deliver"] - before)
        assert rig.clock() - began < 2000
    return times


def say(client: SocketClient, text: str = "hi") -> None:
    assert client.ask("onMessage", message=text, room="cats")["type"] == "ack"


def everybody_stays(tables: Tables, rig: Rig) -> bool:
    registered = {item["connectionid"]["S"] for item in tables.items(tables.connections)}
    return registered >= rig.gateway.open


class TestWhatRemains:
    @pytest.mark.parametrize("answer", [429, 500, Answer.REFUSED])
    def test_is_sent_once_it_can_be_and_to_nobody_else(
        self, rig: Rig, tables: Tables, clients: list[SocketClient], bad: str, answer: int | Answer
    ) -> None:
        ann, *_, stuck = clients
        # How often one that is throttled is tried depends on the time that it takes.
        rig.callbacks.answers[bad] = [answer] * (20 if answer == 429 else 7) + [200]
        say(ann)
        for client in clients[:-1]:
            client.gets("hi")
        assert stuck.texts == []
        posts = rig.callbacks.posts
        assert drain(rig)
        stuck.gets("hi")
        # The seven that failed, three of them before, and the one that did not.
        assert answer == 429 or rig.callbacks.posts == posts + 5
        for client in clients[:-1]:
            assert client.texts == ["hi"]
        assert rig.queues.dead_letters == []
        assert everybody_stays(tables, rig)

    def test_for_ever_goes_to_the_dead_letters_with_an_error_in_the_log(
        self, rig: Rig, tables: Tables, log: Log, clients: list[SocketClient], bad: str
    ) -> None:
        ann, *_ = clients
        rig.callbacks.answers[bad] = [429]
        say(ann)
        for client in clients[:-1]:
            client.gets("hi")
        times = drain(rig)
        pauses = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
        assert len(times) > 2
        assert pauses == sorted(pauses)
        assert pauses[-1] > pauses[0]
        [letter] = rig.queues.dead_letters
        assert bad in letter
        errors = [line for line in log.lines if line["level"] == "ERROR"]
        assert [(line["message"], line["failed"]) for line in errors] == [("deliver", 1)]
        assert '"hi"' not in log.text
        assert everybody_stays(tables, rig)
        # It is throttled, not gone: what it missed is in history when it can be sent to again.
        rig.callbacks.answers.clear()
        say(ann, "ho")
        clients[-1].gets("ho")
        assert [each["message"] for each in clients[-1].ask("history", room="cats")["messages"]] == [
            "hi",
            "ho",
        ]

    def test_of_one_that_hangs_is_sent_when_it_does_not_any_more(
        self, rig: Rig, tables: Tables, clients: list[SocketClient], bad: str
    ) -> None:
        rig.callbacks.hanging.add(bad)
        say(clients[0])
        assert eventually(lambda: rig.queues.bodies)
        rig.callbacks.hanging.clear()
        drain(rig)
        clients[-1].gets("hi")
        for client in clients[:-1]:
            assert client.texts == ["hi"]
        assert everybody_stays(tables, rig)

    def test_of_one_that_goes_meanwhile_is_dropped_and_its_row_removed(
        self, rig: Rig, tables: Tables, clients: list[SocketClient], bad: str
    ) -> None:
        rig.gateway.sockets[bad].farewells = ()
        rig.callbacks.answers[bad] = [429]
        rig.advance(60)
        say(clients[0])
        clients[-1].vanish()
        assert eventually(lambda: bad not in rig.gateway.open)
        rig.callbacks.answers.clear()
        drain(rig)
        assert not [row for row in tables.registry() if bad in row]
        assert rig.queues.dead_letters == []

    def test_of_one_that_expires_meanwhile_is_not_sent(
        self, rig: Rig, clients: list[SocketClient], bad: str
    ) -> None:
        rig.callbacks.answers[bad] = [429]
        rig.queues.hold()
        say(clients[0])
        settle(rig)
        posts = rig.callbacks.posts
        rig.advance(7261)
        rig.queues.release()
        drain(rig)
        assert rig.callbacks.posts == posts

    def test_is_sent_by_a_worker_that_has_seen_no_socket(
        self, rig: Rig, clients: list[SocketClient], bad: str
    ) -> None:
        rig.callbacks.answers[bad] = [429] * 20 + [200]
        rig.queues.hold()
        say(clients[0])
        settle(rig)
        rig.functions.forget()
        made = rig.functions.made
        rig.queues.release()
        drain(rig)
        assert rig.functions.made == made + 1
        clients[-1].gets("hi")


class TestLargeRooms:
    """Those beyond CHAT_INLINE_RECIPIENTS are left to workers from the start."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"CHAT_INLINE_RECIPIENTS": "3"}

    def test_everybody_gets_it_once(self, rig: Rig, clients: list[SocketClient]) -> None:
        rig.queues.hold()
        say(clients[0])
        assert sorted(client.texts for client in clients) == [[]] * 7 + [["hi"]] * 3
        rig.queues.release()
        assert drain(rig) == []
        for client in clients:
            client.gets("hi")

    def test_a_repeat_changes_nothing_for_a_client_that_drops_what_it_has(
        self, rig: Rig, clients: list[SocketClient]
    ) -> None:
        rig.queues.repeats = 1
        say(clients[0])
        settle(rig)
        assert rig.functions.invocations["deliver"] == 2
        assert eventually(lambda: sum(len(client.texts) for client in clients) == 3 + 2 * 7)
        for client in clients:
            messages = [event for event in client.events if event["type"] == "message"]
            assert {(message["seq"], message["id"], message["message"]) for message in messages} == {
                (1, messages[0]["id"], "hi")
            }

    def test_another_order_changes_nothing_for_a_client_that_goes_by_seq(
        self, rig: Rig, clients: list[SocketClient]
    ) -> None:
        rig.queues.shuffle = lambda waiting: waiting.reverse()
        rig.queues.hold()
        for text in ("one", "two", "three"):
            say(clients[0], text)
        rig.queues.release()
        settle(rig)
        assert eventually(lambda: all(len(client.texts) == 3 for client in clients))
        for client in clients:
            messages = {
                event["seq"]: event["message"] for event in client.events if event["type"] == "message"
            }
            assert [messages[seq] for seq in sorted(messages)] == ["one", "two", "three"]

    def test_a_worker_that_dies_in_mid_chunk_is_made_up_for(
        self, rig: Rig, clients: list[SocketClient]
    ) -> None:
        rig.functions.crash("deliver", after=4)
        say(clients[0])
        settle(rig)
        assert rig.functions.crashed == 1
        assert sum(len(client.texts) for client in clients) == 3 + 4
        rig.advance(VISIBILITY - 1)
        settle(rig)
        assert rig.functions.invocations["deliver"] == 1
        drain(rig)
        for client in clients:
            assert set(client.texts) == {"hi"}
        assert rig.queues.dead_letters == []

    def test_a_worker_that_always_dies_ends_in_the_dead_letters(
        self, rig: Rig, clients: list[SocketClient]
    ) -> None:
        for _ in range(3):
            rig.functions.crash("deliver", after=0)
        say(clients[0])
        drain(rig)
        assert rig.functions.crashed == 3
        assert len(rig.queues.dead_letters) == 1
        # Nobody is cut off: the next message shows the gap, and history fills it.
        say(clients[0], "ho")
        drain(rig)
        for client in clients:
            assert client.texts[-1] == "ho"
            stored = client.ask("history", room="cats", after=0)["messages"]
            assert [message["message"] for message in stored] == ["hi", "ho"]

    def test_a_worker_that_is_slower_than_the_visibility_repeats_and_loses_nothing(
        self, rig: Rig, clients: list[SocketClient], bad: str
    ) -> None:
        held = {rig.connection_id(client.port) for client in clients}
        rig.queues.hold()
        say(clients[0])
        rig.callbacks.hanging |= held
        rig.queues.release()
        assert eventually(lambda: rig.callbacks.under_way == 7)
        rig.advance(VISIBILITY)
        assert eventually(lambda: rig.callbacks.under_way == 14)
        rig.callbacks.release()
        drain(rig)
        for client in clients:
            assert set(client.texts) == {"hi"}

    def test_what_cannot_be_put_back_comes_again(
        self, rig: Rig, clients: list[SocketClient], bad: str
    ) -> None:
        rig.queues.hold()
        say(clients[0])
        unlucky = next(client for client in clients if not client.texts)
        rig.callbacks.answers[rig.connection_id(unlucky.port)] = [503] * 3 + [200]
        rig.queues.failing = ["ServiceUnavailable"] * 2
        rig.queues.release()
        settle(rig)
        assert unlucky.texts == []
        assert rig.queues.bodies == rig.queues.bodies[:1]
        rig.advance(VISIBILITY)
        drain(rig)
        unlucky.gets("hi")

    def test_a_part_of_a_write_that_fails_is_written_again(
        self, rig: Rig, clients: list[SocketClient]
    ) -> None:
        rig.queues.failing = ["partly"]
        say(clients[0])
        drain(rig)
        for client in clients:
            client.gets("hi")

    def test_without_a_queue_the_message_is_stored_and_the_log_tells(
        self, rig: Rig, log: Log, clients: list[SocketClient]
    ) -> None:
        rig.queues.failing = ["ServiceUnavailable"] * 5
        say(clients[0])
        settle(rig)
        assert sorted(client.texts for client in clients) == [[]] * 7 + [["hi"]] * 3
        assert (log.lines[-1]["level"], log.lines[-1]["failed"]) == ("ERROR", 7)
        rig.queues.failing = []
        for client in clients:
            assert [each["message"] for each in client.ask("history", room="cats")["messages"]] == ["hi"]


@pytest.mark.parametrize("body", ["", "nonsense", "{}", "[]", '{"members": 1}', "null"])
def test_poison_goes_to_the_dead_letters_and_stops_nobody(
    rig: Rig, log: Log, clients: list[SocketClient], bad: str, body: str
) -> None:
    rig.queues.put(body)
    rig.callbacks.answers[bad] = [429] * 3 + [200]
    say(clients[0])
    drain(rig)
    clients[-1].gets("hi")
    assert rig.queues.dead_letters == [body]
    errors = [line for line in log.lines if line["level"] == "ERROR"]
    assert [line["message"] for line in errors] == ["deliver"] * 3


def test_a_refused_chat_leaves_nothing_to_the_workers(
    rig: Rig, clients: list[SocketClient], bad: str
) -> None:
    for status in (400, 403, 413):
        rig.callbacks.answers[bad] = [status]
        clients[0].send({"action": "onMessage", "message": "hi", "room": "cats"})
        settle(rig)
    assert rig.queues.bodies == []
