"""Tokens on the deployed stack: by ``make up AUTH=jwt``, and by an authorizer before it."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from chalicelib.wire.events import Message
from client.chat_client import ChatClient
from client.errors import Refused
from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.rig.asynchronous import asynchronous
from tests.tokens import AUDIENCE, ISSUER, SECRET
from tests.tools import free_port
from tests.waiting import eventually

CHAT = Subprotocol("chat.v1")
TOO_FAST = "Error: too fast, try again in 1 s"
LAST_WORDS = ("Error: the token has expired", "Your token has expired, connect again with a new one")


class Tokens:
    """The tokens of a running ``make up AUTH=jwt``, and who connects with them."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.made: list[str] = []

    def token(self, name: str, seconds: int = 600) -> str:
        """What ``make token`` prints."""
        done = self.stack.project.run("token", f"NAME={name}", f"TTL={seconds}")
        assert done.returncode == 0, done.stderr
        self.made.append(done.stdout.strip())
        return self.made[-1]

    def connect(self, token: str | None, **options: Any) -> ClientConnection:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return connect(self.stack.endpoints["websocketUrl"], additional_headers=headers, **options)


@pytest.fixture(scope="module")
def tokens(new_project: Callable[[], Project]) -> Iterator[Tokens]:
    with LocalStack(new_project(), free_port(), "AUTH=jwt") as stack:
        tokens = Tokens(stack)
        yield tokens
        handlers = [line for line in stack.output.splitlines() if line.startswith(("INFO", "ERROR"))]
        assert len(handlers) > 10
        for token in tokens.made:
            assert token.rpartition(".")[2] not in "".join(handlers)


def hears(client: ClientConnection) -> str:
    """The next that a client hears, apart from who comes and goes."""
    while (line := str(client.recv(timeout=10))).startswith("* "):
        pass
    return line


def test_a_ready_token_is_printed_and_in_the_endpoints(tokens: Tokens) -> None:
    token = tokens.stack.endpoints["token"]
    tokens.made.append(token)
    tokens.stack.said(f"  {token}\n")
    assert f'-H "Authorization: Bearer {token}"' in tokens.stack.output
    with tokens.connect(token) as alice:
        alice.send('{"action": "onMessage", "message": "hi"}')
        assert hears(alice) == "alice: hi"


@pytest.mark.parametrize("token", [None, "", "a.b.c"])
def test_nobody_is_let_in_without(tokens: Tokens, token: str | None) -> None:
    with pytest.raises(InvalidStatus):
        tokens.connect(token)
    assert eventually(lambda: not tokens.stack.items("connections"))


def test_a_browser_sends_it_as_a_subprotocol(tokens: Tokens) -> None:
    bearer = Subprotocol(f"bearer.{tokens.token('bob')}")
    with tokens.connect(None, subprotocols=[CHAT, bearer]) as bob:
        assert bob.subprotocol == CHAT
        bob.send('{"action": "who", "ref": "r1"}')
        assert json.loads(bob.recv(timeout=10))["members"]["bob"] == 1


def test_it_is_renewed_in_time_or_it_ends(tokens: Tokens) -> None:
    newer, *older = tokens.token("bob", 600), tokens.token("bob", 10), tokens.token("eve", 10)
    with tokens.connect(older[0]) as bob, tokens.connect(older[1]) as eve:
        bob.send(json.dumps({"action": "authenticate", "token": newer}))
        assert hears(bob) == "You are bob for longer"
        heard: list[str] = []
        assert eventually(lambda: closed_to(eve, heard), 20)
        assert heard[0] == "pong"
        # MiniStack closes at once, and may lose what was sent before.
        assert set(heard) <= {"pong", TOO_FAST, *LAST_WORDS}
        assert answer(bob) == "pong"


def test_the_client_passes_its_token_and_renews_it(tokens: Tokens) -> None:
    newer, older = tokens.token("bob", 600), tokens.token("bob", 60)

    @asynchronous
    async def talk() -> None:
        async with ChatClient(tokens.stack.endpoints["websocketUrl"], token=older) as chat:
            assert (await chat.authenticate(newer)).name == "bob"
            assert chat.token == newer
            await chat.say("hi")
            assert [event.sender async for event in until_said(chat, "hi")] == ["bob"]
        with pytest.raises(Refused):
            async with ChatClient(tokens.stack.endpoints["websocketUrl"], token="a.b.c"):
                pass

    talk()


async def until_said(chat: ChatClient, text: str) -> AsyncIterator[Message]:
    async for event in chat:
        if isinstance(event, Message):
            yield event
            if event.message == text:
                return


def last_words(client: ClientConnection) -> list[str]:
    """What a client hears until it is closed. MiniStack closes at once, and may lose what was sent before."""
    words: list[str] = []
    with suppress(ConnectionClosed):
        while True:
            words.append(hears(client))
    return words


def closed_to(client: ClientConnection, heard: list[str]) -> bool:
    """Ask for something; whether the connection has ended. If not, one line more is heard."""
    # No faster than it may: a flood would end it, too.
    time.sleep(0.2)
    try:
        heard.append(answer(client))
    except ConnectionClosed:
        return True
    return False


def answer(client: ClientConnection) -> str:
    client.send('{"action": "ping"}')
    return hears(client)


def test_make_token_says_what_is_missing(tokens: Tokens, new_project: Callable[[], Project]) -> None:
    done = new_project().run("token")
    assert done.returncode != 0
    assert "is `make up AUTH=jwt` running here?" in done.stderr
    assert "Traceback" not in done.stderr
    odd = tokens.stack.project.run("token", "NAME=a@b")
    assert odd.returncode != 0
    assert "a name must be 1-64 characters" in odd.stderr


def test_without_auth_nothing_changes(stack: LocalStack) -> None:
    assert "token" not in stack.endpoints
    assert "Bearer" not in stack.output


class TestOperators:
    """Their functions, by ``aws lambda invoke``."""

    def invoke(self, stack: LocalStack, function: str, event: object) -> dict[str, Any]:
        functions = stack.client("lambda")
        [name] = [
            each["FunctionName"]
            for each in functions.list_functions()["Functions"]
            if each["Handler"] == f"app.{function}"
        ]
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        assert "FunctionError" not in answer, answer["Payload"].read()
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        return payload

    def test_publish(self, tokens: Tokens) -> None:
        with tokens.connect(tokens.token("bob")) as bob:
            event = {"room": "lobby", "message": "Maintenance at six", "sender": "ops", "ref": "m1"}
            first = self.invoke(tokens.stack, "publish", event)
            assert self.invoke(tokens.stack, "publish", event) == {**first, "duplicate": True}
            assert hears(bob) == "ops: Maintenance at six"
            assert answer(bob) == "pong"

    def test_disconnect(self, tokens: Tokens) -> None:
        with tokens.connect(tokens.token("eve")) as eve:
            event = {"action": "disconnect", "name": "eve", "reason": "Enough"}
            assert self.invoke(tokens.stack, "moderate", event) == {"connections": 1}
            assert last_words(eve) in ([], ["Enough"])

    def test_ban(self, tokens: Tokens) -> None:
        with tokens.connect(tokens.token("eve")) as eve:
            event = {"action": "ban", "name": "eve", "room": "lobby", "seconds": 60}
            assert self.invoke(tokens.stack, "moderate", event) == {"connections": 1}
            assert hears(eve) == "Left lobby"
            eve.send('{"action": "joinRoom", "room": "lobby"}')
            assert hears(eve) == "Error: eve is banned from lobby"
            self.invoke(tokens.stack, "moderate", {**event, "seconds": 0})
            eve.send('{"action": "joinRoom", "room": "lobby"}')
            assert hears(eve).startswith("Joined lobby")


def policy_without(project: Project, statement: str) -> str:
    policy = json.loads((project.folder / ".chalice/policy-local.json").read_text())
    policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != statement]
    return json.dumps(policy)


@pytest.mark.parametrize(
    ("statement", "action"),
    [("Parameter", "ssm:GetParameter"), ("Secret", "secretsmanager:GetSecretValue")],
)
def test_the_secret_is_read_by_its_permission_alone(
    own_stack: LocalStack, statement: str, action: str
) -> None:
    name = "chalice-chat/local/of-a-test"
    if statement == "Parameter":
        ssm = own_stack.client("ssm")
        ssm.put_parameter(Name=f"/{name}", Value=SECRET.decode(), Type="SecureString")
        arn = ssm.get_parameter(Name=f"/{name}")["Parameter"]["ARN"]
    else:
        secrets = own_stack.client("secretsmanager")
        arn = secrets.create_secret(Name=name, SecretString=SECRET.decode())["ARN"]
    variables = {
        "CHAT_AUTH": "jwt",
        "CHAT_JWT_SECRET_ARN": arn,
        "CHAT_JWT_ISSUER": ISSUER,
        "CHAT_JWT_AUDIENCE": AUDIENCE,
    }
    whole = policy_without(own_stack.project, "")
    token = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": 2**33}, SECRET)

    def deploy(file: str, text: str) -> None:
        seen = len(own_stack.output)
        own_stack.project.save(file, text)
        own_stack.said("Live after", after=seen, seconds=20)

    config = json.loads((own_stack.project.folder / ".chalice/config.json").read_text())
    config["stages"]["local"]["environment_variables"].update(variables)
    deploy(".chalice/config.json", json.dumps(config))
    deploy(".chalice/policy-local.json", policy_without(own_stack.project, statement))
    seen = len(own_stack.output)
    with pytest.raises(InvalidStatus):
        Tokens(own_stack).connect(token)
    own_stack.said(f"not authorized to perform: {action}", after=seen)
    deploy(".chalice/policy-local.json", whole)

    def is_let_in() -> bool:
        try:
            with Tokens(own_stack).connect(token) as alice:
                return answer(alice) == "pong"
        except InvalidStatus:
            return False

    # A key that could not be read is asked for again after some seconds.
    assert eventually(is_let_in, 20)
