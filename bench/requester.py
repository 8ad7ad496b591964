"""What requests are measured with: ours, boto3, and pydynox. Each is a process of its own.

It is given lines with an operation and a number, makes so many requests, and answers with the CPU time
that they took, in s. The requests are what the chat makes of an ``onMessage``, or near it.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

MEMBERS = 1000
ROOM = {"S": "lobby"}

TAKE_NUMBER: Mapping[str, Any] = {
    "TableName": "ChatMessages",
    "Key": {"roomId": ROOM, "entry": {"S": "head"}},
    "UpdateExpression": "ADD seq :one SET epoch = if_not_exists(epoch, :epoch), "
    "sent = if_not_exists(sent, if_not_exists(seq, :zero)), "
    "pump = if_not_exists(pump, :lease), expiresAt = :expires",
    "ExpressionAttributeValues": {
        ":one": {"N": "1"},
        ":zero": {"N": "0"},
        ":epoch": {"S": "0123456789abcdef"},
        ":lease": {"S": "001760000006000#01234567"},
        ":expires": {"N": "1762764800"},
    },
    "ReturnValues": "ALL_NEW",
}
HEAD = {
    **TAKE_NUMBER["Key"],
    "seq": {"N": "1234"},
    "epoch": {"S": "0123456789abcdef"},
    "sent": {"N": "1233"},
    "sentAt": {"N": "1760000000000"},
    "pump": {"S": "001760000006000#01234567"},
    "members": {"N": "20"},
    "membersVersion": {"N": "77"},
    "expiresAt": {"N": "1762764800"},
}
READ_HEAD = {"TableName": "ChatMessages", "Key": TAKE_NUMBER["Key"], "ConsistentRead": True}
MESSAGE = {
    "roomId": ROOM,
    "entry": {"S": "seq#0000000000001234"},
    "seq": {"N": "1234"},
    "epoch": {"S": "0123456789abcdef"},
    "expiresAt": {"N": "1762592000"},
    "id": {"S": "0123456789abcdef"},
    "message": {"S": "Hello everyone, shall we meet at the fountain at eight?"},
    "sentAt": {"N": "1760000000000"},
    "from": {"S": "alice"},
}
STORE = {
    "TableName": "ChatMessages",
    "Item": MESSAGE,
    "ConditionExpression": "attribute_not_exists(entry) OR expiresAt <= :now OR epoch <> :epoch",
    "ExpressionAttributeValues": {":now": {"N": "1760000000"}, ":epoch": {"S": "0123456789abcdef"}},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
MEMBERSHIP = {
    "roomId": ROOM,
    "connectionid": {"S": "L0SM9cOFvHcCIhw="},
    "form": {"S": "json"},
    "joinedAt": {"N": "1760000000000"},
    "expiresAt": {"N": "1760007260"},
    "name": {"S": "alice"},
}
JOIN = [
    {
        "Update": {
            "TableName": "Chat",
            "Key": {"connectionid": MEMBERSHIP["connectionid"]},
            "UpdateExpression": "ADD rooms :room",
            "ConditionExpression": "attribute_exists(connectionid) AND #name = :was",
            "ExpressionAttributeNames": {"#name": "name"},
            "ExpressionAttributeValues": {":room": {"SS": ["lobby"]}, ":was": {"S": "alice"}},
        }
    },
    {"Put": {"TableName": "ChatRooms", "Item": MEMBERSHIP}},
]
TASK = (
    '{"task":"pump","endpoint":"https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/dev","room":"lobby"}'
)
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/ChatFanOut"
PUT_TASK = {"QueueUrl": QUEUE, "Entries": [{"Id": "0", "MessageBody": TASK, "DelaySeconds": 1}]}

# What the sink answers.
ANSWERS: Mapping[str, Any] = {
    "UpdateItem": {"Attributes": HEAD},
    "GetItem": {"Item": HEAD},
    "PutItem": {},
    "TransactWriteItems": {},
    "Query": {
        "Count": MEMBERS,
        "ScannedCount": MEMBERS,
        "Items": [
            {
                **MEMBERSHIP,
                "connectionid": {"S": f"L0SM9cOF{number:07}="},
                "name": {"S": f"user{number}"},
                "expiresAt": {"N": "9999999999"},
            }
            for number in range(MEMBERS)
        ],
    },
    "SendMessageBatch": {
        "Successful": [
            {
                "Id": "0",
                "MessageId": "7ea91d5c-37a6-4a35-a0b6-d8f2a9d80d3c",
                "MD5OfMessageBody": "49f68a5c8493ec2c0bf489821c21fc3b",
            }
        ]
    },
}

Request = Callable[[], object]


def storage(dynamodb: Any, sqs: Any) -> dict[str, Request]:
    """The requests by clients with boto3's interface; the members are read as the chat reads them."""
    from chalicelib.storage.rooms import Rooms

    rooms = Rooms(dynamodb, "ChatRooms")
    return {
        "UpdateItem": partial(dynamodb.update_item, **TAKE_NUMBER),
        "GetItem": partial(dynamodb.get_item, **READ_HEAD),
        "PutItem": partial(dynamodb.put_item, **STORE),
        "TransactWriteItems": partial(dynamodb.transact_write_items, TransactItems=JOIN),
        "SendMessageBatch": partial(sqs.send_message_batch, **PUT_TASK),
        "Query": partial(rooms.part, "lobby", MEMBERS),
    }


def ours() -> dict[str, Request]:
    """The chat's own clients."""
    from chalicelib.aws.dynamodb import DynamoDB
    from chalicelib.aws.sqs import Sqs

    return storage(DynamoDB(), Sqs())


def boto3() -> dict[str, Request]:
    """boto3's, as the chat would set them up."""
    from boto3 import client
    from botocore.config import Config

    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 4})
    return storage(client("dynamodb", config=config), client("sqs", config=config))


def pydynox() -> dict[str, Request]:
    """pydynox, in Rust: DynamoDB alone, and values of Python instead of DynamoDB's."""
    from pydynox import DynamoDBClient  # type: ignore[import-not-found, unused-ignore]

    client = DynamoDBClient()
    key = {"roomId": "lobby", "entry": "head"}
    message = {name: plain(value) for name, value in MESSAGE.items()}
    return {
        "UpdateItem": lambda: client.sync_update_item(
            "ChatMessages",
            key,
            update_expression=TAKE_NUMBER["UpdateExpression"],
            expression_attribute_values={
                name: plain(value) for name, value in TAKE_NUMBER["ExpressionAttributeValues"].items()
            },
            return_values="ALL_NEW",
        ),
        "GetItem": lambda: client.sync_get_item("ChatMessages", key, consistent_read=True),
        "PutItem": lambda: client.sync_put_item(
            "ChatMessages",
            message,
            condition_expression=STORE["ConditionExpression"],
            expression_attribute_values={":now": 1760000000, ":epoch": "0123456789abcdef"},
            return_values_on_condition_check_failure=True,
        ),
        "Query": lambda: list(
            client.sync_query(
                "ChatRooms",
                "roomId = :room",
                expression_attribute_values={":room": "lobby"},
                consistent_read=True,
            )
        ),
    }


def plain(value: Mapping[str, str]) -> str | int:
    """DynamoDB's string or number as Python's."""
    return int(value["N"]) if "N" in value else value["S"]


CONTENDERS: Mapping[str, Callable[[], dict[str, Request]]] = {
    "ours": ours,
    "boto3": boto3,
    "pydynox": pydynox,
}


def main(name: str) -> None:
    """Make requests when told to."""
    requests = CONTENDERS[name]()
    print(" ".join(requests), flush=True)
    for line in sys.stdin:
        operation, number = line.split()
        request = requests[operation]
        began = time.process_time()
        for _ in range(int(number)):
            request()
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
