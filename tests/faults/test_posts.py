"""Posts to ``@connections`` that fail in every way: who is missed, who is pruned, who is told."""

from itertools import count
from typing import Any

import pytest

from chalicelib.tasks import Chunk
from tests.functional.log import Log
from tests.functional.tables import Tables
from tests.rig.callbacks import EVERYONE, Answer
from tests.rig.clients import Crowd, SocketClient
from tests.rig.rig import Rig
from tests.waiting import eventually

# Older than a connection that may be opening still, in s.
GRACE = 31
# Longer than the lease of a pump that has died, in s.
LEASE = 7


@pytest.fixture
def ann(crowd: Crowd) -> SocketClient:
    return crowd.connect_json("ann")


@pytest.fixture
def bob(rig: Rig, crowd: Crowd) -> SocketClient:
    bob = crowd.connect_json("bob")
    # Those who are there have heard of him.
    rig.settle()
    return bob


def line_of(log: Log, invocation: str) -> dict[str, Any]:
    """What was logged last of an invocation."""
    return [line for line in log.lines if line["message"] == invocation][-1]


def everybody_stays(tables: Tables, rig: Rig) -> bool:
    registered = {item["connectionid"]["S"] for item in tables.items(tables.connections)}
    return registered >= rig.gateway.open


@pytest.mark.parametrize("header", [True, False], ids=["with the error header", "without"])
def test_who_is_gone_is_pruned_and_the_others_are_served(
    rig: Rig, crowd: Crowd, tables: Tables, ann: SocketClient, bob: SocketClient, header: bool
) -> None:
    rig.gateway.farewells = ()
    eve = crowd.connect_json("eve")
    gone = rig.connection_id(eve.port)
    eve.vanish()
    assert eventually(lambda: gone not in rig.gateway.open)
    if not header:
        rig.callbacks.bare.add(gone)
    ann.ask("onMessage", message="too soon")
    assert any(gone in row for row in tables.registry())
    rig.advance(GRACE)
    ann.ask("onMessage", message="now")
    rig.settle()
    assert not [row for row in tables.registry() if gone in row]
    bob.gets("too soon", "now")
    posts = rig.callbacks.posts
    ann.ask("onMessage", message="and on")
    rig.settle()
    assert rig.callbacks.posts == posts + 3


def test_a_malformed_id_is_nobody_and_stops_nobody(
    rig: Rig, tables: Tables, log: Log, ann: SocketClient, bob: SocketClient
) -> None:
    [row] = [item for item in tables.items(tables.rooms) if item["roomId"]["S"] == "@bob"]
    tables.client.put_item(
        TableName=tables.rooms,
        Item={**row, "roomId": {"S": "lobby"}, "connectionid": {"S": "no/id"}},
    )
    rig.functions.forget()
    rig.advance(GRACE)
    assert ann.ask("onMessage", message="hi")["type"] == "ack"
    bob.gets("hi")
    rig.settle()
    assert line_of(log, "message")["failed"] == 1
    assert rig.queues.tasks(Chunk) == []


def test_a_chat_that_may_not_send_prunes_nobody_and_says_so(
    rig: Rig, tables: Tables, log: Log, ann: SocketClient, bob: SocketClient
) -> None:
    rig.advance(GRACE)
    before = tables.registry()
    rig.callbacks.answers[EVERYONE] = [403]
    queued = len(rig.queues.bodies)
    ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
    assert eventually(lambda: log.lines[-1]["message"] == "message" and rig.settled)
    line = log.lines[-1]
    assert (line["level"], line["outcome"], line["forbidden"]) == ("ERROR", "unavailable", True)
    assert tables.registry() == before
    # Workers may not send either.
    assert len(rig.queues.bodies) == queued
    rig.callbacks.answers.clear()
    # It is stored and was not accepted: the same again sends it.
    assert ann.ask("onMessage", message="hi", ref="r1")["duplicate"] is True
    for client in (ann, bob):
        client.gets("hi")
    assert [message["message"] for message in bob.ask("history", after=0)["messages"]] == ["hi"]


def test_a_sender_is_told_that_others_may_not_be_sent_to(
    rig: Rig, ann: SocketClient, bob: SocketClient
) -> None:
    rig.callbacks.answers[rig.connection_id(bob.port)] = [403]
    ann.send({"action": "onMessage", "message": "hi"})
    assert ann.event(lambda event: event["type"] == "error")["code"] == "unavailable"


@pytest.mark.parametrize("status", [400, 413])
def test_what_cannot_be_sent_is_not_sent_again(
    rig: Rig, tables: Tables, ann: SocketClient, bob: SocketClient, status: int
) -> None:
    rig.callbacks.answers[rig.connection_id(bob.port)] = [status]
    rig.advance(GRACE)
    before = tables.registry()
    assert ann.ask("onMessage", message="hi")["type"] == "ack"
    ann.gets("hi")
    assert rig.callbacks.injected == {str(status): 1}
    assert rig.queues.tasks(Chunk) == []
    assert tables.registry() == before


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_burst_of_failures_passes(
    rig: Rig, crowd: Crowd, tables: Tables, ann: SocketClient, status: int
) -> None:
    others = crowd.connect_many(50, "lobby", subprotocols=["chat.v1"])
    for client in others:
        rig.callbacks.answers[rig.connection_id(client.port)] = [status, status, 200]
    rig.advance(GRACE)
    assert ann.ask("onMessage", message="hi")["type"] == "ack"
    for client in (ann, *others):
        client.gets("hi")
    assert rig.callbacks.injected == {str(status): 100}
    assert everybody_stays(tables, rig)


def test_nobody_else_notices_one_that_does_not_read(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    ann, slow, *others = crowd.connect_many(60, "cats", subprotocols=["chat.v1"])
    rig.callbacks.answers[rig.connection_id(slow.port)] = [429]
    rig.advance(GRACE)
    for number in range(4):
        assert ann.ask("onMessage", message=f"m{number}", room="cats")["type"] == "ack"
    for client in (ann, *others):
        client.gets("m0", "m1", "m2", "m3")
    assert slow.texts == []
    assert everybody_stays(tables, rig)
    assert set(rig.callbacks.injected) == {"429"}
    # Some to find out, while nobody waits for that, and one for each message from then on.
    assert rig.callbacks.injected["429"] < 4 * 8


@pytest.mark.parametrize("answer", Answer)
def test_a_lost_reply_loses_nothing(rig: Rig, ann: SocketClient, bob: SocketClient, answer: Answer) -> None:
    ann.ask("ping")
    rig.callbacks.answers[rig.connection_id(bob.port)] = [answer, 200]
    ann.ask("onMessage", message="hi")
    ann.ask("onMessage", message="ho")
    assert eventually(lambda: {"hi", "ho"} <= set(bob.texts), 10)
    messages = [event for event in bob.events if event["type"] == "message"]
    # A repeat has the number and the id of the first: a client drops it.
    assert {(message["seq"], message["message"]) for message in messages} == {(1, "hi"), (2, "ho")}
    assert len({message["id"] for message in messages}) == 2
    assert len(messages) == (3 if answer is Answer.DROPPED else 2)


def test_one_of_five_hundred_that_hangs_holds_up_nobody(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    clients = crowd.connect_many(500, "stadium", subprotocols=["chat.v1"])
    ann, stuck, *others = clients
    hanging = rig.connection_id(stuck.port)
    ann.ask("onMessage", message="warm", room="stadium")
    rig.callbacks.hanging.add(hanging)
    ann.say("hi", room="stadium")
    assert eventually(lambda: all(client.texts[-1:] == ["hi"] for client in (ann, *others)), 2)
    assert rig.callbacks.under_way == 1
    assert stuck.texts == ["warm"]
    rig.callbacks.release()
    assert eventually(lambda: stuck.texts[-1:] == ["hi"], 10)
    assert everybody_stays(tables, rig)


class TestCrash:
    """The sender's handler dies."""

    def test_after_the_message_was_stored_it_is_accepted_once_and_sent(
        self, rig: Rig, ann: SocketClient, bob: SocketClient
    ) -> None:
        # The caller, the reference, the number, the reference's number, the message: the members are not
        # read any more.
        rig.functions.crash("message", after=5)
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1"})
        ann.event(lambda event: event.get("message") == "Internal server error")
        assert bob.texts == []
        again = ann.ask("onMessage", message="hi", ref="r1")
        assert (again["duplicate"], again["seq"]) == (True, 1)
        rig.advance(LEASE)
        # The repetition took no number, and who speaks next sends what was left behind.
        assert ann.ask("onMessage", message="ho")["seq"] == 2
        bob.gets("hi", "ho")
        assert [message["message"] for message in bob.ask("history", after=0)["messages"]] == ["hi", "ho"]

    @pytest.mark.parametrize("action", ["again", "joinRoom", "history", "who speaks next"])
    def test_while_it_sends_is_made_up_for_by_whoever_comes_next(
        self, rig: Rig, crowd: Crowd, action: str
    ) -> None:
        ann, *others = crowd.connect_many(20, "cats", subprotocols=["chat.v1"])
        everyone = (ann, *others)
        rig.functions.crash("message", after=16)
        ann.send({"action": "onMessage", "message": "hi", "ref": "r1", "room": "cats"})
        assert eventually(lambda: ann.events and rig.settled)
        reached = [client for client in everyone if client.texts == ["hi"]]
        assert 0 < len(reached) < 20
        rig.advance(LEASE)
        match action:
            case "again":
                assert ann.ask("onMessage", message="hi", ref="r1", room="cats")["duplicate"] is True
            case "joinRoom":
                assert crowd.connect_json().ask("joinRoom", room="cats")["seq"] == 1
            case "history":
                assert others[0].ask("history", room="cats")["complete"] is True
            case "who speaks next":
                others[0].ask("onMessage", message="ho", room="cats")
        for client in everyone:
            assert eventually(lambda client=client: "hi" in client.texts)
        rig.settle()
        for client in everyone:
            # Who has had it hears it again, and drops it.
            assert {(each["seq"], each["message"]) for each in client.messages} <= {(1, "hi"), (2, "ho")}
            assert client.texts.count("hi") == 1 + (client in reached)

    @pytest.mark.parametrize("ref", [True, False], ids=["with a ref", "without"])
    def test_anywhere_leaves_a_message_whole_or_not_at_all(
        self, rig: Rig, crowd: Crowd, tables: Tables, ref: bool
    ) -> None:
        ann, bob = crowd.connect_json("ann"), crowd.connect_json("bob")
        rig.settle()
        for requests in count():
            frame = {"message": f"m{requests}", **({"ref": f"r{requests}"} if ref else {})}
            ann.lines.clear()
            rig.functions.crash("message", after=requests)
            ann.send({"action": "onMessage", **frame})
            ann.event(lambda event: "requestId" in event or event["type"] == "ack")
            died = rig.functions.crashed == requests + 1
            acked = any(event.get("type") == "ack" for event in ann.events)
            if ref:
                assert ann.ask("onMessage", **frame)["type"] == "ack"
            rig.advance(LEASE)
            # Whoever asks for the history sends what was left behind, and seals what will never come.
            bob.ask("history")
            rig.settle()
            stored = bob.ask("history", after=0)
            assert (stored["complete"], stored["through"]) == (True, stored["seq"])
            texts = [each["message"] for each in stored["messages"]]
            if ref:
                assert texts == [f"m{number}" for number in range(requests + 1)]
            else:
                assert len(texts) == len(set(texts))
                assert not acked or texts[-1] == f"m{requests}"
            # What is stored gets sent, in order.
            assert list(dict.fromkeys(bob.texts)) == texts
            if not died:
                break
        # As many requests as there are: the last one lived.
        assert requests >= (9 if ref else 7)
