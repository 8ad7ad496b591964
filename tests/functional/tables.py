"""The tables of ``resources.json``, made for one test on any DynamoDB."""

import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

DIRECTORY = {"S": "#rooms"}
TEMPLATE = Path(__file__).parents[2] / "resources.json"


class Tables:
    """Three tables of this test's own.

    Args:
        admin: boto3's DynamoDB client, which makes the tables and looks into them.
        client: What the chat is given; boto3's too by default.

    Attributes:
        client: What the chat is given.
        connections: Name of the table of connections; likewise ``rooms`` and ``messages``.
    """

    def __init__(self, admin: Any, client: Any = None) -> None:
        self.client = client or admin
        self._admin = admin
        prefix = f"T{uuid.uuid4().hex[:12]}-"
        resources = json.loads(TEMPLATE.read_text())["Resources"]
        self.connections = self._create(prefix, resources["Chat"])
        self.rooms = self._create(prefix, resources["ChatRooms"])
        self.messages = self._create(prefix, resources["ChatMessages"])

    def settings(self) -> dict[str, str]:
        """The environment variables that name these tables."""
        return {
            "CHAT_TABLE": self.connections,
            "CHAT_ROOMS_TABLE": self.rooms,
            "CHAT_MESSAGES_TABLE": self.messages,
        }

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table."""
        pages = self._admin.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def registry(self) -> list[str]:
        """All items of connections and rooms but the directory's, in an order and form to be compared."""
        items = [*self.items(self.connections), *self.items(self.rooms)]
        return sorted(json.dumps(item, sort_keys=True) for item in items if item.get("roomId") != DIRECTORY)

    def delete(self) -> None:
        """Delete the tables, there or not."""
        for table in (self.connections, self.rooms, self.messages):
            with suppress(self._admin.exceptions.ResourceNotFoundException):
                self._admin.delete_table(TableName=table)

    def _create(self, prefix: str, resource: dict[str, Any]) -> str:
        properties = resource["Properties"]
        name = prefix + uuid.uuid4().hex[:6]
        self._admin.create_table(
            TableName=name,
            AttributeDefinitions=properties["AttributeDefinitions"],
            KeySchema=properties["KeySchema"],
            BillingMode="PAY_PER_REQUEST",
        )
        return name
