"""Clients that do not read what they are sent: left out at first, then closed; nobody else notices."""

from chalicelib.broadcaster import MOST_UNREAD
from chalicelib.tasks import Chunk
from tests.faults.town import Town
from tests.rig.clients import Crowd
from tests.rig.rig import Rig
from tests.waiting import eventually


def test_one_that_does_not_read_five_rounds_is_told_and_closed() -> None:
    town = Town()
    ann, slow, bob = town.arrive("ann"), town.arrive(), town.arrive("bob")
    town.sockets.slow.add(slow)
    for number in range(MOST_UNREAD):
        assert town.sockets.closed == []
        town.say(ann, f"m{number}")
    assert town.sockets.closed == [slow]
    texts = [f"m{number}" for number in range(MOST_UNREAD)]
    assert town.texts(ann) == town.texts(bob) == texts
    # It is not pruned: its end is API Gateway's to tell.
    assert town.rows_of([slow])
    assert town.lambdas.run("disconnect", slow) == {"statusCode": 200}
    again = town.arrive()
    answer = town.ask(again, "history", after=0)
    assert [message["message"] for message in answer["messages"]] == texts
    town.pass_time(120)
    # What workers have tried in vain is no dead letter: it has come back for it.
    assert town.worklist.dead_letters == []
    assert town.texts(ann) == texts
    assert not town.rows_of([slow])


def test_the_last_word_reaches_one_that_has_room_for_it_by_then() -> None:
    town = Town()
    ann, slow = town.arrive("ann"), town.arrive()
    for number in range(MOST_UNREAD):
        town.sockets.slow.add(slow)
        # Just after the last round it reads.
        last = number == MOST_UNREAD - 1
        meanwhile = {len(town.lambdas.requests) - 1: town.sockets.slow.clear} if last else None
        town.say(ann, "hi", meanwhile=meanwhile)
    [goodbye] = town.events(slow, "goodbye")
    assert (goodbye["code"], goodbye["retryAfter"]) == ("slow_reader", 1)
    assert town.sockets.closed == [slow]


def test_one_that_reads_again_gets_what_it_has_missed() -> None:
    town = Town()
    ann, slow = town.arrive("ann"), town.arrive()
    town.sockets.slow.add(slow)
    for number in range(MOST_UNREAD - 1):
        town.say(ann, f"m{number}")
    assert town.texts(slow) == []
    town.sockets.slow.clear()
    # Nobody says more, which would show it the gap.
    town.pass_time(1)
    assert sorted(town.texts(slow)) == [f"m{number}" for number in range(MOST_UNREAD - 1)]
    town.sockets.slow.add(slow)
    for number in range(MOST_UNREAD - 1):
        # It has begun anew.
        town.say(ann, f"n{number}")
    assert town.sockets.closed == []


def test_one_that_never_reads_again_is_closed_after_the_last_attempt() -> None:
    town = Town()
    ann, slow, bob = town.arrive("ann"), town.arrive(), town.arrive("bob")
    town.sockets.slow.add(slow)
    town.say(ann, "hi")
    assert [task.slow for task in town.tasks(Chunk)] == [True]
    town.pass_time(50)
    assert town.sockets.closed == []
    town.pass_time(20)
    assert town.sockets.closed == [slow]
    assert (town.worklist.dead_letters, town.worklist.waiting) == ([], [])
    assert town.texts(ann) == town.texts(bob) == ["hi"]


def test_what_a_worker_finds_to_be_slow_is_closed_in_the_end() -> None:
    town = Town()
    ann, slow = town.arrive("ann"), town.arrive()
    town.sockets.throttled.add(slow)
    town.say(ann, "hi")
    assert [task.slow for task in town.tasks(Chunk)] == [False]
    town.sockets.throttled.clear()
    town.sockets.slow.add(slow)
    town.pass_time(70)
    assert town.sockets.closed == [slow]
    assert town.worklist.dead_letters == []


def test_what_is_passing_is_not_sent_later_and_counts() -> None:
    town = Town()
    ann, slow = town.arrive("ann"), town.arrive()
    town.sockets.slow.add(slow)
    for _ in range(MOST_UNREAD):
        town.ask(ann, "typingIndicator", typing=True)
    assert town.tasks(Chunk) == []
    assert town.sockets.closed == [slow]


def test_one_that_is_gone_is_no_slow_reader() -> None:
    town = Town()
    ann, slow = town.arrive("ann"), town.arrive()
    town.sockets.slow.add(slow)
    town.say(ann, "hi")
    town.die(slow)
    town.pass_time(60)
    town.say(ann, "ho")
    assert town.sockets.closed == []
    assert not town.rows_of([slow])


def test_a_socket_that_is_full_is_found_out_by_its_refusals(rig: Rig, crowd: Crowd) -> None:
    ann, slow, *others = crowd.connect_many(60, "cats", subprotocols=["chat.v1"])
    rig.callbacks.answers[rig.connection_id(slow.port)] = [429]
    texts = []
    while slow.close_code is None:
        texts.append(f"m{len(texts)}")
        assert ann.ask("onMessage", message=texts[-1], room="cats")["type"] == "ack"
        rig.settle()
        # At first it is not sure what the refusals mean.
        assert len(texts) < 2 * MOST_UNREAD
    assert slow.close_code == 1000
    for client in (ann, *others):
        client.gets(*texts)
    assert eventually(lambda: len(rig.gateway.open) == 59)
    assert rig.queues.dead_letters == []
