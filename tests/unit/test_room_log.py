"""The order of a room's messages, whatever the network does to them."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib.wire.events import Message, StoredMessages
from client.room_log import Missed, Question, RoomLog


def said(seq: int, epoch: str = "e") -> Message:
    text = f"{epoch}{seq}"
    return Message(room="cats", seq=seq, epoch=epoch, id=text, sender="ann", message=text, sent_at=seq)


def history(
    *numbers: int,
    seq: int | None = None,
    through: int | None = None,
    epoch: str | None = "e",
    more: bool = False,
    complete: bool = True,
) -> StoredMessages:
    """An answer with the messages of these numbers.

    It reaches to the last of them where ``through`` is not given, and so does the room without ``seq``.
    """
    seq = max(numbers, default=through or 0) if seq is None else seq
    return StoredMessages(
        room="cats",
        seq=seq,
        epoch=epoch,
        messages=[said(number, epoch or "") for number in numbers],
        more=more,
        complete=complete,
        through=max(numbers, default=seq) if through is None else through,
    )


def ask(log: RoomLog) -> Question:
    question = log.question()
    assert question is not None
    return question


def begun(*numbers: int, old: int = 0) -> RoomLog:
    """A log of a room with these messages stored."""
    log = RoomLog("cats", old)
    log.answered(ask(log), history(*numbers[-max(old, 1) :]))
    assert log.question() is None
    return log


def shown(told: list[Message | Missed]) -> list[str]:
    return [each.message if isinstance(each, Message) else f"missed after {each.after}" for each in told]


def test_it_begins_with_the_newest_message_and_does_not_show_it() -> None:
    log = RoomLog("cats")
    assert log.question() == Question(after=None, epoch=None, limit=1, held=0)
    assert log.answered(ask(log), history(8)) == []
    assert log.question() is None
    assert shown(log.live(said(9))) == ["e9"]


def test_it_begins_with_old_messages_where_they_are_wanted() -> None:
    log = RoomLog("cats", history=3)
    assert log.question() == Question(after=None, epoch=None, limit=3, held=0)
    assert shown(log.answered(ask(log), history(6, 7, 8))) == ["e6", "e7", "e8"]
    assert log.question() is None


def test_it_begins_in_a_room_without_messages() -> None:
    log = RoomLog("cats")
    assert log.answered(ask(log), history(epoch=None)) == []
    assert shown(log.live(said(1))) == ["e1"]
    assert log.question() is None


def test_it_begins_where_everything_has_expired_without_missing_it() -> None:
    log = RoomLog("cats")
    assert log.answered(ask(log), history(seq=8, complete=False)) == []
    assert log.question() is None
    assert shown(log.live(said(9))) == ["e9"]


def test_what_comes_before_the_beginning_is_shown_with_all_that_follows_it() -> None:
    log = RoomLog("cats")
    question = ask(log)
    assert log.live(said(7)) == log.live(said(6)) == []
    assert shown(log.answered(question, history(9))) == ["e6", "e7"]
    assert ask(log).after == 7
    assert shown(log.answered(ask(log), history(8, 9))) == ["e8", "e9"]


def test_what_was_under_way_at_the_beginning_is_no_repeat() -> None:
    log = begun(8)
    assert shown(log.live(said(8))) == ["e8"]
    assert log.question() is None
    assert log.live(said(8)) == []


def test_what_was_under_way_at_the_beginning_is_followed_by_all_that_came_after_it() -> None:
    log = begun(8)
    log.resume()
    question = ask(log)
    assert shown(log.live(said(6))) == ["e6"]
    assert log.answered(question, history(9)) == []
    assert ask(log).after == 6
    assert shown(log.answered(ask(log), history(7, 8, 9))) == ["e7", "e8", "e9"]


def test_what_was_being_stored_at_the_beginning_is_shown() -> None:
    log = RoomLog("cats")
    # 9 has been given to a message that is not stored yet.
    log.answered(ask(log), history(8, seq=9))
    assert log.live(said(10)) == []
    assert shown(log.live(said(9))) == ["e9", "e10"]


def test_what_follows_the_join_is_shown_though_it_is_stored_at_the_beginning() -> None:
    log = RoomLog("cats")
    log.joined(6)
    assert log.answered(ask(log), history(8)) == []
    assert ask(log).after == 6
    assert shown(log.answered(ask(log), history(7, 8))) == ["e7", "e8"]


def test_a_repeat_is_dropped() -> None:
    log = begun(1)
    assert shown(log.live(said(2))) == ["e2"]
    assert log.live(said(2)) == log.live(said(1)) == []


def test_a_gap_is_asked_for_and_holds_back_what_follows() -> None:
    log = begun(1)
    assert log.live(said(4)) == log.live(said(3)) == []
    assert log.question() == Question(after=1, epoch="e", limit=100, held=4)
    assert shown(log.answered(ask(log), history(2, 3, 4))) == ["e2", "e3", "e4"]
    assert log.question() is None


def test_a_gap_that_closes_by_itself_needs_no_answer() -> None:
    log = begun(1)
    log.live(said(3))
    question = ask(log)
    assert shown(log.live(said(2))) == ["e2", "e3"]
    assert log.answered(question, history(2, 3)) == []
    assert log.question() is None


def test_a_number_that_was_never_used_is_passed_over() -> None:
    log = begun(1)
    log.live(said(3))
    assert shown(log.answered(ask(log), history(3))) == ["e3"]
    assert log.question() is None


def test_a_number_that_may_still_come_is_not_passed_over() -> None:
    log = begun(1)
    log.resume()
    assert shown(log.answered(ask(log), history(2, seq=4))) == ["e2"]
    assert shown(log.live(said(3))) == ["e3"]


def test_numbers_at_the_end_that_were_never_used_are_passed_over() -> None:
    log = begun(1)
    log.resume()
    assert log.answered(ask(log), history(through=5)) == []
    assert log.question() is None
    assert shown(log.live(said(6))) == ["e6"]
    assert log.question() is None


def test_an_answer_ends_where_a_number_is_open() -> None:
    log = begun(1)
    log.resume()
    # 4 is taken and not stored yet, 5 is stored and not sent.
    assert shown(log.answered(ask(log), history(2, through=3, seq=5))) == ["e2"]
    assert shown(log.live(said(4))) == ["e4"]
    assert shown(log.live(said(5))) == ["e5"]
    assert log.question() is None


def test_an_answer_without_messages_goes_on_where_it_ends() -> None:
    log = begun(1)
    log.live(said(300))
    for through in (101, 201):
        assert log.answered(ask(log), history(through=through, seq=300, more=True)) == []
        assert ask(log).after == through
        assert not log.may_close
    assert shown(log.answered(ask(log), history(300))) == ["e300"]
    assert log.question() is None


def test_an_answer_that_ends_before_what_came_live_does_not_let_it_pass() -> None:
    log = begun(1)
    log.live(said(5))
    # It could not be read any further now, and has no later place to go on from.
    assert log.answered(ask(log), history(through=1, seq=5, more=True)) == []
    assert ask(log).after == 1
    assert log.may_close
    assert shown(log.answered(ask(log), history(2, 3, 4, 5))) == ["e2", "e3", "e4", "e5"]


def test_numbers_among_the_old_messages_that_were_never_used_are_passed_over() -> None:
    log = RoomLog("cats", history=3)
    assert shown(log.answered(ask(log), history(4, 6, 8, through=9))) == ["e4", "e6", "e8"]
    assert log.question() is None
    assert shown(log.live(said(10))) == ["e10"]


def test_a_log_that_begins_in_one_numbering_and_goes_on_in_another_misses_nothing_of_it() -> None:
    log = RoomLog("cats")
    question = ask(log)
    log.live(said(1, "f"))
    assert shown(log.answered(question, history(8))) == ["missed after 8", "f1"]
    assert shown(log.live(said(2, "f"))) == ["f2"]
    assert log.question() is None


def test_what_comes_live_during_a_question_is_merged() -> None:
    log = begun(1)
    log.resume()
    question = ask(log)
    assert shown(log.live(said(2))) == ["e2"]
    assert log.live(said(5)) == []
    # Read before 4 and 5 were stored.
    assert shown(log.answered(question, history(2, 3))) == ["e3"]
    assert ask(log).after == 3
    assert shown(log.answered(ask(log), history(4, 5))) == ["e4", "e5"]


def test_a_long_answer_is_read_page_by_page() -> None:
    log = begun(1)
    log.live(said(9))
    assert shown(log.answered(ask(log), history(2, 3, more=True))) == ["e2", "e3"]
    assert ask(log).after == 3
    assert shown(log.answered(ask(log), history(5, 6, more=True))) == ["e5", "e6"]
    assert shown(log.answered(ask(log), history(9))) == ["e9"]
    assert log.question() is None


def test_what_has_expired_is_said_to_be_missed() -> None:
    log = begun(1)
    log.resume()
    # 6 was never used.
    told = log.answered(ask(log), history(4, 5, 7, complete=False))
    assert shown(told) == ["missed after 1", "e4", "e5", "e7"]
    assert log.question() is None


def test_where_nothing_is_stored_what_came_live_is_shown() -> None:
    log = begun(1)
    log.live(said(4))
    assert shown(log.answered(ask(log), history(seq=4, complete=False))) == ["missed after 1", "e4"]
    assert log.question() is None


def test_what_is_missed_is_said_once() -> None:
    log = begun(1)
    for told in (["missed after 1"], []):
        log.resume()
        assert shown(log.answered(ask(log), history(seq=4, complete=False))) == told
    assert shown(log.live(said(5))) == ["e5"]


def test_what_is_missed_over_several_answers_is_said_once() -> None:
    log = begun(1)
    log.resume()
    told = log.answered(ask(log), history(through=101, seq=300, more=True, complete=False))
    told += log.answered(ask(log), history(through=201, seq=300, more=True, complete=False))
    told += log.answered(ask(log), history(250, 252, seq=300, through=300, complete=False))
    assert shown(told) == ["missed after 1", "e250", "e252"]
    assert log.question() is None
    assert shown(log.live(said(301))) == ["e301"]


def test_what_came_during_the_question_is_shown_before_what_comes_later() -> None:
    log = begun(1)
    log.resume()
    question = ask(log)
    assert log.live(said(3)) == []
    told = log.answered(question, history(seq=5, complete=False))
    told += log.live(said(6))
    while log.question():
        told += log.answered(ask(log), history(seq=6, complete=False))
    numbers = [each.seq for each in told if isinstance(each, Message)]
    assert numbers == [3, 6]


def test_nothing_is_missed_where_nothing_was_said() -> None:
    log = begun(1)
    log.resume()
    assert log.answered(ask(log), history(seq=1, complete=False)) == []


@pytest.mark.parametrize("live_first", [True, False])
def test_a_new_numbering_begins_anew(live_first: bool) -> None:
    log = begun(1)
    log.live(said(3))
    log.resume()
    question = ask(log)
    told = log.live(said(2, "f")) if live_first else []
    told += log.answered(question, history(1, 2, epoch="f", complete=False))
    while log.question():
        told += log.answered(ask(log), history(1, 2, epoch="f"))
    assert shown(told) == ["missed after 1", "e3", "f1", "f2"]
    assert log.live(said(4, "e")) == []


def test_a_new_numbering_is_missed_once() -> None:
    log = begun(1)
    log.resume()
    told = log.answered(ask(log), history(2, 3, epoch="f", complete=False))
    assert shown(told) == ["missed after 1", "f2", "f3"]


def test_an_answer_from_before_a_new_numbering_is_not_taken() -> None:
    for epoch in ("e", "f"):
        log = begun(1)
        log.resume()
        question = ask(log)
        assert shown(log.live(said(1, "f"))) == ["missed after 1", "f1"]
        assert log.answered(question, history(1, 2, epoch=epoch, complete=epoch == "e")) == []
        assert shown(log.answered(ask(log), history(2, epoch="f"))) == ["f2"]


def test_a_numbering_that_has_ended_begins_anew() -> None:
    log = begun(1)
    log.resume()
    assert shown(log.answered(ask(log), history(epoch=None, complete=False))) == ["missed after 1"]
    assert log.question() is None
    assert shown(log.live(said(1, "f"))) == ["f1"]


def test_a_log_that_was_cut_back_goes_on_from_there() -> None:
    log = begun(9)
    log.resume()
    assert shown(log.answered(ask(log), history(seq=4, complete=False))) == ["missed after 9"]
    assert shown(log.live(said(5))) == ["e5"]


@dataclass
class Room:
    """The server's log of a room. A number is taken first, and its message stored, or given up, later.

    What is sent are rounds: all that is stored after the last one, up to the first number that is open.
    """

    keeps_history: bool = True
    taken: int = 0
    writing: set[int] = field(default_factory=set)
    stored: list[int] = field(default_factory=list)
    sent: int = 0

    def take(self) -> None:
        self.taken += 1
        self.writing.add(self.taken)

    def store(self, seq: int) -> None:
        self.writing.remove(seq)
        self.stored = sorted([*self.stored, seq])

    @property
    def settled(self) -> int:
        """Up to here, no number is open."""
        return min(self.writing, default=self.taken + 1) - 1

    def round(self) -> list[int]:
        """What is to be sent now."""
        return [seq for seq in self.stored if self.sent < seq <= self.settled]

    def page(self, question: Question, limit: int) -> StoredMessages:
        """Read so many numbers at most, whether they were used or not."""
        epoch = "e" if self.taken else None
        through = self.settled
        if not self.keeps_history:
            return history(seq=self.taken, through=through, epoch=epoch, complete=False)
        limit = min(question.limit, limit)
        numbers = [seq for seq in self.stored if (question.after or 0) < seq <= through]
        if question.after is None:
            numbers, more = numbers[-limit:], len(numbers) > limit
        else:
            more = question.after + limit < through
            through = min(through, question.after + limit)
            numbers = [seq for seq in numbers if seq <= through]
        return history(*numbers, seq=self.taken, through=through, epoch=epoch, more=more)


class Network(RuleBasedStateMachine):
    """One client in a room where messages are stored late, lost, repeated and reordered on the way."""

    keeps_history = True

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(self.keeps_history)
        self.log = RoomLog("cats")
        self.told: list[Message | Missed] = []
        # The frames that are under way.
        self.on_the_way: list[list[int]] = []
        self.question: Question | None = None
        self.answer: StoredMessages | None = None
        # What was stored with a greater number came after the client had joined, or its log had begun.
        self.began_at: int | None = None

    @property
    def given(self) -> list[int]:
        return [each.seq for each in self.told if isinstance(each, Message)]

    @initialize(history=st.integers(0, 3), stored=st.integers(0, 5), joins=st.booleans())
    def enter(self, history: int, stored: int, joins: bool) -> None:
        for seq in range(1, stored + 1):
            self.room.take()
            self.room.store(seq)
        self.room.sent = stored
        self.log = RoomLog("cats", history)
        if joins:
            self.log.joined(self.room.taken)
            self.began_at = self.room.taken

    @rule()
    def publish(self) -> None:
        self.room.take()

    @precondition(lambda self: self.room.writing)
    @rule(data=st.data())
    def store(self, data: st.DataObject) -> None:
        self.room.store(data.draw(st.sampled_from(sorted(self.room.writing))))

    @precondition(lambda self: self.room.writing)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Never store what has a number."""
        self.room.writing.remove(data.draw(st.sampled_from(sorted(self.room.writing))))

    @precondition(lambda self: self.room.round())
    @rule(data=st.data(), lost=st.booleans(), crashes=st.booleans())
    def send(self, data: st.DataObject, lost: bool, crashes: bool) -> None:
        """Send a round, in one frame or two; where the sender crashes, it is sent again."""
        numbers = self.room.round()
        at = data.draw(st.integers(1, len(numbers)))
        if not lost:
            self.on_the_way += [frame for frame in (numbers[:at], numbers[at:]) if frame]
        if not crashes:
            self.room.sent = numbers[-1]

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), again=st.booleans())
    def arrive(self, data: st.DataObject, again: bool) -> None:
        frame = data.draw(st.sampled_from(self.on_the_way))
        if not again:
            self.on_the_way.remove(frame)
        for seq in frame:
            self.told += self.log.live(said(seq))

    @precondition(lambda self: self.question is None and self.log.question())
    @rule()
    def ask(self) -> None:
        self.question = self.log.question()

    @precondition(lambda self: self.question and self.answer is None)
    @rule(limit=st.integers(1, 4))
    def read(self, limit: int) -> None:
        assert self.question
        self.answer = self.room.page(self.question, limit)

    @precondition(lambda self: self.answer)
    @rule()
    def reply(self) -> None:
        assert self.question
        assert self.answer
        if not self.log.begun:
            reached = self.answer.through
            self.began_at = reached if self.began_at is None else min(reached, self.began_at)
        self.told += self.log.answered(self.question, self.answer)
        self.question = self.answer = None

    @rule()
    def reconnect(self) -> None:
        """Lose everything on the way, the answer too."""
        self.on_the_way.clear()
        self.question = self.answer = None
        self.log.resume()

    @invariant()
    def each_is_given_once_and_in_order(self) -> None:
        assert self.given == sorted(set(self.given))
        assert set(self.given) <= set(self.room.stored)

    @invariant()
    def none_is_left_out_unsaid(self) -> None:
        for before, after in pairwise(self.told):
            if isinstance(before, Message) and isinstance(after, Message):
                assert not [seq for seq in self.room.stored if before.seq < seq < after.seq]

    @invariant()
    def nothing_is_missed_that_is_kept(self) -> None:
        assert not self.keeps_history or len(self.given) == len(self.told)

    def teardown(self) -> None:
        """Let everything that is under way end, and see that nothing is missing."""
        for seq in sorted(self.room.writing):
            self.room.store(seq)
        self.reconnect()
        while self.log.question():
            self.ask()
            self.read(3)
            self.reply()
        self.each_is_given_once_and_in_order()
        self.none_is_left_out_unsaid()
        self.nothing_is_missed_that_is_kept()
        assert self.began_at is not None
        if self.keeps_history:
            since = [seq for seq in self.room.stored if seq > self.began_at]
            assert self.given[len(self.given) - len(since) :] == since


class ForgetfulNetwork(Network):
    """The same where no history is kept."""

    keeps_history = False


OFTEN = settings(max_examples=200, stateful_step_count=60, deadline=None)
Network.TestCase.settings = ForgetfulNetwork.TestCase.settings = OFTEN
TestNetwork, TestForgetfulNetwork = Network.TestCase, ForgetfulNetwork.TestCase
