"""What API Gateway does to sockets of its own accord, which the chat and its clients have to live with."""

import boto3
import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus

from tests.functional.tables import Tables
from tests.rig.clients import Crowd
from tests.rig.gateway import API_ID, STAGE
from tests.rig.rig import Rig
from tests.waiting import eventually

MINUTE = 60
HOUR = 60 * MINUTE


def test_ten_idle_minutes_end_a_socket_and_a_ping_prevents_it(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    idle, pinging = crowd.connect_json("idle"), crowd.connect_json("pinging")
    # Who hears that the other has come is not idle.
    rig.settle()
    rig.advance(9 * MINUTE)
    assert pinging.ask("ping")["type"] == "pong"
    rig.advance(MINUTE)
    assert idle.ended() == 1001
    assert pinging.ask("ping")["type"] == "pong"
    assert eventually(lambda: len(tables.items(tables.connections)) == 1)


def test_two_hours_end_a_socket_whatever_it_does(rig: Rig, crowd: Crowd, tables: Tables) -> None:
    ann = crowd.connect_json("ann")
    for _ in range(15):
        assert ann.ask("ping")["type"] == "pong"
        rig.advance(8 * MINUTE)
    assert ann.ended() == 1001
    assert eventually(lambda: not tables.items(tables.connections))


def test_binary_ends_a_socket(crowd: Crowd) -> None:
    ann = crowd.connect()
    ann.send(b"hi")
    assert ann.ended() == 1003


def test_a_frame_of_more_than_32_kb_ends_a_socket(crowd: Crowd) -> None:
    ann, bob = crowd.connect(), crowd.connect()
    ann.send("x" * 32 * 1024)
    ann.hears("Error: the frame is not valid JSON")
    bob.send("x" * (32 * 1024 + 1))
    assert bob.ended() == 1009


def test_a_message_of_more_than_128_kb_ends_a_socket(crowd: Crowd) -> None:
    ann, bob = crowd.connect(), crowd.connect()
    frame = "x" * 32 * 1024
    ann.send_fragments(*[frame] * 4)
    ann.hears("Error: the frame is not valid JSON")
    bob.send_fragments(*[frame] * 4, "x")
    assert bob.ended() == 1009


def test_a_handler_that_dies_gives_its_client_an_error_frame(rig: Rig, crowd: Crowd) -> None:
    ann = crowd.connect_json()
    rig.functions.crash("message", after=0)
    ann.send({"action": "ping"})
    assert eventually(lambda: ann.events)
    [error] = ann.events
    assert error.pop("requestId")
    assert error == {"message": "Internal server error", "connectionId": rig.connection_id(ann.port)}
    assert ann.ask("ping")["type"] == "pong"


def test_another_stage_is_refused(rig: Rig) -> None:
    with Crowd(rig.url.replace(STAGE, "elsewhere")) as crowd, pytest.raises(InvalidStatus, match="403"):
        crowd.connect()


class TestConnections:
    """``@connections``, by AWS's own client."""

    @pytest.fixture
    def client(self, rig: Rig) -> object:
        endpoint = f"{rig.callbacks.url}/_aws/execute-api/{API_ID}/{STAGE}"
        return boto3.client("apigatewaymanagementapi", endpoint_url=endpoint)

    def test_an_open_socket_gets_a_post_and_can_be_closed(
        self, client: object, rig: Rig, crowd: Crowd
    ) -> None:
        ann = crowd.connect()
        client.post_to_connection(ConnectionId=rig.connection_id(ann.port), Data=b"hi")
        ann.hears("hi")
        client.delete_connection(ConnectionId=rig.connection_id(ann.port))
        assert ann.ended() == 1000

    @pytest.mark.parametrize(
        ("connection_id", "status"), [("AAAAAAAAAAAAAAA=", 410), ("nobody", 400), ("a/b", 400)]
    )
    def test_another_is_told(self, client: object, connection_id: str, status: int) -> None:
        for call in ("post_to_connection", "delete_connection"):
            fields = {"Data": b"hi"} if call == "post_to_connection" else {}
            with pytest.raises(ClientError) as error:
                getattr(client, call)(ConnectionId=connection_id, **fields)
            assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status

    def test_a_message_of_more_than_128_kb_is_refused(self, client: object, rig: Rig, crowd: Crowd) -> None:
        ann = crowd.connect()
        post = {"ConnectionId": rig.connection_id(ann.port)}
        client.post_to_connection(**post, Data=b"x" * 128 * 1024)
        with pytest.raises(ClientError, match="PayloadTooLarge"):
            client.post_to_connection(**post, Data=b"x" * (128 * 1024 + 1))
        assert len(ann.lines) <= 1
