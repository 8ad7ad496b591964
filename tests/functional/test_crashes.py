"""A process dies between any two of its requests, to DynamoDB, SQS and API Gateway. What then?

Each story is told once to count the requests of whoever is to die, and then once for each of them. After
that something ordinary happens in the room, and everything has to be as if nothing had been.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from chalicelib import pruner
from chalicelib.config import Settings
from chalicelib.wire.lookalikes import skeleton
from tests.functional.tables import Tables
from tests.rig.crashes import Crashes
from tests.rig.lambdas import LITTLE, VISIBILITY_SECONDS, Lambdas

# After which whoever comes takes the place of a pump that has died, in s.
LEASE_OVER = 7
# After which a socket has opened or never will, in s.
OPENED = 31
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def place(ministack_url: str) -> Iterator[tuple[Tables, Crashes]]:
    """Tables for all stories: each has a room and people of its own."""
    tables = Tables(boto3.client("dynamodb", endpoint_url=ministack_url))
    yield tables, Crashes(tables.client)
    tables.delete()


@dataclass
class Story:
    """Ann and Bob are in a room, Eve is in another. The first Lambda serves Ann, the second the others.

    Attributes:
        acks: What each reference was acknowledged with, where it was, and to whom.
    """

    place: tuple[Tables, Crashes]
    settings: Settings = field(default_factory=lambda: Settings(rate_per_second=0))
    acks: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        number = next(NUMBERS)
        self.room, self.elsewhere = f"room{number}", f"elsewhere{number}"
        self.suffix = f"-{number}="
        self.lambdas = Lambdas(*self.place, self.settings)
        self.members = [self.id(name) for name in ("ann", "bob")]
        for name in ("ann", "bob"):
            self.connect(name)
        self.connect("eve", self.elsewhere)
        self.lambdas.work_off()

    def id(self, name: str) -> str:
        return name + self.suffix

    def connect(self, name: str, room: str | None = None, **run: Any) -> None:
        """Come, in a socket that opens if the handler lives."""
        connection_id = self.id(name)
        rooms = [room or self.room]
        answer = self.lambdas.connect(connection_id, rooms, connection_id.rstrip("="), **run)
        if answer is not None:
            assert answer["statusCode"] == 200
            self.lambdas.sockets.open.add(connection_id)

    def ask(self, name: str, action: str, *, on: int | None = None, **rest: Any) -> dict[str, Any] | None:
        """Ask for something; what is no field of it is for the run of the handler."""
        fields = {field: rest.pop(field) for field in ("after", "message", "ref") if field in rest}
        frame = {"action": action, "room": self.room, **fields}
        return self.lambdas.ask(self.id(name), frame, on=int(name != "ann") if on is None else on, **rest)

    def say(self, name: str, text: str, *, with_ref: bool = True, **run: Any) -> dict[str, Any] | None:
        """Say something, with a reference that is the text."""
        answer = self.ask(name, "onMessage", message=text, **({"ref": text} if with_ref else {}), **run)
        if answer is not None:
            assert answer["type"] == "ack"
            _, known = self.acks.setdefault(text, (name, answer))
            assert (known["seq"], known["id"]) == (answer["seq"], answer["id"])
        return answer

    def pass_time(self, seconds: float) -> None:
        self.lambdas.clock.now += seconds

    def heard(self, name: str) -> list[dict[str, Any]]:
        """The messages that somebody has been sent in the room."""
        return [
            message
            for event in self.lambdas.sockets.inboxes[self.id(name)]
            if event["type"] in ("message", "messages") and event["room"] == self.room
            for message in event.get("messages", [event])
        ]

    @property
    def services(self) -> Any:
        """What a process that has seen nothing of it has at hand."""
        return self.lambdas.warm().services

    def trace(self, name: str) -> list[str]:
        """What is left of a connection in the registry."""
        tables, _ = self.place
        me, user = {"S": self.id(name)}, self.id(name).rstrip("=")
        keys = [
            {"roomId": {"S": self.room}, "connectionid": me},
            {"roomId": {"S": f"@{user}"}, "connectionid": me},
            {"roomId": {"S": f"#{self.room}"}, "connectionid": {"S": user}},
            {"roomId": {"S": f"#@{skeleton(user)}"}, "connectionid": {"S": skeleton(user)}},
        ]
        found = tables.client.batch_get_item(
            RequestItems={
                tables.connections: {"Keys": [{"connectionid": me}], "ConsistentRead": True},
                tables.rooms: {"Keys": keys, "ConsistentRead": True},
            }
        )["Responses"]
        return [json.dumps(item, sort_keys=True) for items in found.values() for item in items]

    def presence(self, to: str, of: str) -> list[str]:
        """What somebody has been told of another's coming and going."""
        return [
            event["event"]
            for event in self.lambdas.sockets.inboxes[self.id(to)]
            if event["type"] == "presence" and self.id(of).rstrip("=") in event.get("names", [event["name"]])
        ]

    def lose(self, name: str) -> None:
        """Cut a socket without a word to anybody."""
        self.lambdas.sockets.open.discard(self.id(name))
        self.members.remove(self.id(name))

    # What happens next in the room.

    def somebody_speaks(self) -> None:
        self.say("bob", "next")

    def somebody_joins(self) -> None:
        answer = self.ask("eve", "joinRoom")
        assert answer is not None
        assert answer["type"] == "joined"
        self.members.append(self.id("eve"))

    def somebody_asks_for_the_history(self) -> None:
        answer = self.ask("bob", "history", after=0)
        assert answer is not None
        assert answer["type"] == "history"

    def the_same_is_tried_again(self) -> None:
        self.say("ann", "one")

    # What has to be then.

    def check(self) -> None:
        """Make sure of the invariants."""
        self.everything_stored_is_sent()
        self.a_repeat_changes_nothing()
        # Members that a Lambda remembers are not remembered for longer.
        self.pass_time(self.settings.members_cache_seconds + 1)
        self.say("bob", "last")
        self.lambdas.work_off()
        self.everything_stored_is_sent()
        self.the_registry_agrees_with_the_sockets()

    def everything_stored_is_sent(self) -> None:
        services = self.services
        head = services.messages.position(self.room)
        assert (head.sent, head.pump) == (head.seq, None)
        heard = {name: self.heard(name) for name in ("ann", "bob")}
        by_seq = {message["seq"]: message["id"] for messages in heard.values() for message in messages}
        if self.settings.history_days:
            page = services.messages.page(self.room, 1000, after=0)
            assert (page.complete, page.through) == (True, head.seq)
            assert by_seq == {stored.seq: stored.id for stored in page.messages}
            texts = [stored.text for stored in page.messages]
            assert len(texts) == len(set(texts))
        for messages in heard.values():
            assert {message["seq"]: message["id"] for message in messages} == by_seq
            seqs = [message["seq"] for message in messages]
            assert list(dict.fromkeys(seqs)) == sorted(set(seqs))
            assert {(ack["seq"], ack["id"]) for _, ack in self.acks.values()} <= by_seq.items()
        assert self.id("eve") in self.members or not self.heard("eve")

    def a_repeat_changes_nothing(self) -> None:
        before = self.services.messages.position(self.room)
        for text, (name, ack) in list(self.acks.items()):
            if ack["ref"] in ("one", "two"):
                again = self.say(name, text)
                assert again is not None
                assert again["duplicate"]
        assert self.services.messages.position(self.room) == before

    def the_registry_agrees_with_the_sockets(self) -> None:
        services = self.services
        there = {member.id for member in services.rooms.members(self.room)}
        assert there == set(self.members)
        assert there <= self.lambdas.sockets.open
        for connection_id in there:
            connection = services.connections.get(connection_id)
            assert connection is not None
            assert self.room in connection.rooms
        assert services.messages.position(self.room).members == len(there)


Place = tuple[Tables, Crashes]
Act = Callable[[Story, int | None], object]
NEXT = [
    Story.somebody_speaks,
    Story.somebody_joins,
    Story.somebody_asks_for_the_history,
    Story.the_same_is_tried_again,
]


def at_each_point(
    begin: Callable[[], Story], act: Act, then: Callable[[Story], object], first: int = 0
) -> None:
    """Tell a story once with nobody dying, and once for each point at which somebody can.

    Args:
        begin: Begins a story.
        act: Is where somebody dies after so many requests, or never. Theirs is the last run in it to end.
        then: What happens next, and is checked.
        first: The first of these points.
    """
    story = begin()
    act(story, None)
    requests = len(story.lambdas.requests)
    then(story)
    for dies_after in range(first, requests):
        story = begin()
        try:
            act(story, dies_after)
            then(story)
        except BaseException as error:
            error.add_note(f"dead after {dies_after} of {requests} requests")
            raise


def next_is(*happens: Callable[[Story], None]) -> Callable[[Story], None]:
    """Make one of these, in turns, what happens when the lease of whoever has died is over."""
    turns = itertools.cycle(happens)

    def then(story: Story) -> None:
        story.pass_time(LEASE_OVER)
        next(turns)(story)
        story.check()

    return then


class TestPublishing:
    @pytest.mark.parametrize("happens", NEXT, ids=lambda step: step.__name__)
    def test_a_message_with_a_reference(self, place: Place, happens: Callable[[Story], None]) -> None:
        def act(story: Story, dies_after: int | None) -> None:
            story.say("ann", "one", dies_after=dies_after)

        at_each_point(lambda: Story(place), act, next_is(happens))

    def test_a_message_with_a_reference_in_a_room_at_rest(self, place: Place) -> None:
        def act(story: Story, dies_after: int | None) -> None:
            story.say("ann", "before")
            story.say("ann", "one", dies_after=dies_after)

        at_each_point(lambda: Story(place), act, next_is(*NEXT))

    def test_a_message_without_a_reference(self, place: Place) -> None:
        def act(story: Story, dies_after: int | None) -> None:
            story.say("ann", "one", with_ref=False, dies_after=dies_after)

        at_each_point(lambda: Story(place), act, next_is(*NEXT[:3]))

    def test_a_message_that_is_kept_for_the_pump_alone(self, place: Place) -> None:
        settings = Settings(rate_per_second=0, history_days=0)

        def act(story: Story, dies_after: int | None) -> None:
            story.say("ann", "one", dies_after=dies_after)

        at_each_point(lambda: Story(place, settings), act, next_is(*NEXT))


class TestTwoAtOnce:
    """Ann's pump is under way when Bob speaks."""

    def points(self, place: Place) -> range:
        """The points from where Ann has the lease on: before that, nothing of hers is under way."""
        story = Story(place)
        story.say("ann", "one")
        requests = story.lambdas.requests
        return range(requests.index("UpdateItem") + 1, len(requests))

    def test_whoever_sends_for_both_dies(self, place: Place) -> None:
        then = next_is(*NEXT)
        for point in self.points(place):

            def act(story: Story, dies_after: int | None, point: int = point) -> None:
                bob = {point: lambda: story.say("bob", "two")}
                story.say("ann", "one", dies_after=dies_after, meanwhile=bob)

            at_each_point(lambda: Story(place), act, then, first=point)

    def test_whoever_does_not_send_dies(self, place: Place) -> None:
        """What is left then is sent at once, by Ann, or else as ever."""
        then = next_is(*NEXT)
        for point in self.points(place):

            def act(story: Story, dies_after: int | None, point: int = point) -> None:
                bobs: list[list[str]] = []

                def bob() -> None:
                    story.say("bob", "two", dies_after=dies_after)
                    bobs.append(story.lambdas.requests)

                story.say("ann", "one", meanwhile={point: bob})
                [story.lambdas.requests] = bobs

            at_each_point(lambda: Story(place), act, then)


class TestHandingOver:
    """Bob speaks while Ann sends. She has so little time that she leaves what comes last to a worker."""

    @pytest.fixture
    def talk(self, place: Place) -> Act:
        story = Story(place)
        story.say("ann", "one")
        first = story.lambdas.requests.index("post")
        story = Story(place)
        story.say("ann", "one", meanwhile={first: lambda: story.say("bob", "two")})
        requests = story.lambdas.requests
        second = requests.index("post", len(requests) - requests[::-1].index("Query"))

        def talk(story: Story, dies_after: int | None) -> None:
            bob = {first: lambda: story.say("bob", "two"), second: lambda: story.say("bob", "three")}
            story.say("ann", "one", dies_after=dies_after, meanwhile=bob, seconds=LITTLE)

        return talk

    def test_that_is_what_happens(self, place: Place, talk: Act) -> None:
        story = Story(place)
        talk(story, None)
        assert [message["message"] for message in story.heard("bob")] == ["one", "two"]
        [_task] = story.lambdas.worklist.due
        story.lambdas.work_off()
        story.check()

    def test_whoever_leaves_it_dies(self, place: Place, talk: Act) -> None:
        happens = next_is(*NEXT)

        def then(story: Story) -> None:
            # What is on the queue is done at once, as far as it can be.
            story.lambdas.work_off()
            happens(story)

        at_each_point(lambda: Story(place), talk, then)

    def test_the_worker_dies(self, place: Place, talk: Act) -> None:
        def begin() -> Story:
            story = Story(place)
            talk(story, None)
            return story

        def act(story: Story, dies_after: int | None) -> None:
            [task] = story.lambdas.worklist.due
            story.lambdas.work(task, on=1, dies_after=dies_after)

        at_each_point(begin, act, next_is(*NEXT))

    def test_after_a_worker_that_died_another_does_it(self, place: Place, talk: Act) -> None:
        def act(story: Story, dies_after: int | None) -> None:
            talk(story, None)
            [task] = story.lambdas.worklist.due
            story.lambdas.work(task, on=1, dies_after=dies_after)

        def then(story: Story) -> None:
            story.pass_time(VISIBILITY_SECONDS)
            story.lambdas.work_off()
            story.everything_stored_is_sent()

        at_each_point(lambda: Story(place), act, then)


class TestTakingOver:
    """Ann has died when she was about to send. Whoever comes then dies too."""

    def begin(self, place: Place) -> Story:
        story = Story(place)
        # The connection, the claim, the number, that of the claim, the message, the members.
        story.say("ann", "one", dies_after=6)
        assert story.heard("bob") == []
        story.pass_time(LEASE_OVER)
        return story

    @pytest.mark.parametrize(
        ("who", "action", "fields"),
        [
            ("bob", "onMessage", {"message": "two", "ref": "two"}),
            ("ann", "onMessage", {"message": "one", "ref": "one"}),
            ("eve", "joinRoom", {}),
            ("bob", "history", {"after": 0}),
        ],
        ids=["speaks", "tries again", "joins", "asks for the history"],
    )
    def test_whoever_takes_over_dies(
        self, place: Place, who: str, action: str, fields: dict[str, Any]
    ) -> None:
        def act(story: Story, dies_after: int | None) -> None:
            story.ask(who, action, dies_after=dies_after, **fields)
            if who == "eve" and self.is_in(story, who):
                story.members.append(story.id(who))

        at_each_point(lambda: self.begin(place), act, next_is(NEXT[0], NEXT[2], NEXT[3]))

    def is_in(self, story: Story, who: str) -> bool:
        connection = story.services.connections.get(story.id(who))
        return connection is not None and story.room in connection.rooms


class TestComing:
    def test_a_connection_that_was_not_made_leaves_nothing(self, place: Place) -> None:
        def act(story: Story, dies_after: int | None) -> None:
            story.connect("dave", dies_after=dies_after)
            if story.id("dave") in story.lambdas.sockets.open:
                story.members.append(story.id("dave"))

        def then(story: Story) -> None:
            story.lambdas.work_off()
            story.pass_time(OPENED)
            # Whoever sends to it finds that it is not there.
            story.say("bob", "next")
            if story.id("dave") not in story.members:
                assert story.trace("dave") == []
                assert story.presence("ann", "dave") in ([], ["leave"], ["join", "leave"])
                # It tries again, and comes in.
                story.connect("dave")
                story.members.append(story.id("dave"))
                story.lambdas.work_off()
            assert story.presence("ann", "dave")[-1] == "join"
            story.check()

        at_each_point(lambda: Story(place), act, then)

    def test_coming_twice_is_coming_once(self, place: Place) -> None:
        story = Story(place)
        before = story.trace("bob")
        story.connect("bob")
        assert story.trace("bob") == before
        story.check()


class TestGoing:
    def test_a_connection_that_has_gone_leaves_nothing(self, place: Place) -> None:
        def act(story: Story, dies_after: int | None) -> None:
            story.pass_time(OPENED)
            story.connect("dave")
            story.lambdas.work_off()
            story.pass_time(OPENED)
            story.lambdas.sockets.open.discard(story.id("dave"))
            story.lambdas.run("disconnect", story.id("dave"), on=1, dies_after=dies_after)

        def then(story: Story) -> None:
            story.say("bob", "next")
            # A Lambda that has remembered it does not send to it for ever.
            story.pass_time(story.settings.members_cache_seconds + 1)
            story.say("bob", "more")
            assert story.trace("dave") == []
            assert story.presence("ann", "dave") in (["join"], ["join", "leave"])
            story.lambdas.run("disconnect", story.id("dave"))
            assert story.trace("dave") == []
            story.check()

        at_each_point(lambda: Story(place), act, then)

    def test_whoever_removes_the_dead_dies(self, place: Place) -> None:
        turns = itertools.cycle(NEXT)

        def act(story: Story, dies_after: int | None) -> None:
            self.lose_dave(story)
            story.say("ann", "one", dies_after=dies_after)

        def then(story: Story) -> None:
            story.pass_time(LEASE_OVER)
            next(turns)(story)
            story.say("bob", "more")
            story.pass_time(story.settings.members_cache_seconds + 1)
            story.say("ann", "once more")
            assert story.trace("dave") == []
            story.check()

        at_each_point(lambda: Story(place), act, then)

    def test_a_worker_that_removes_the_dead_dies(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pruner, "MOST_INLINE", 0)

        def act(story: Story, dies_after: int | None) -> None:
            self.lose_dave(story)
            story.say("ann", "one")
            assert story.trace("dave") != []
            [task] = story.lambdas.worklist.due
            story.lambdas.work(task, on=1, dies_after=dies_after)

        def then(story: Story) -> None:
            # SQS gives the task again.
            story.pass_time(VISIBILITY_SECONDS)
            story.lambdas.work_off()
            assert story.trace("dave") == []
            story.check()

        at_each_point(lambda: Story(place), act, then)

    def lose_dave(self, story: Story) -> None:
        story.connect("dave")
        story.members.append(story.id("dave"))
        story.lambdas.work_off()
        story.pass_time(OPENED)
        story.lose("dave")
