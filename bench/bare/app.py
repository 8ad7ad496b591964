"""What every Chalice app behind a WebSocket API has, and nothing else: the baseline of cold_start.py."""

from typing import Any

import boto3
from chalice.app import Chalice, WebsocketEvent

TABLE = "Chat"

app = Chalice(app_name="bare")
app.experimental_feature_flags.update(["WEBSOCKETS"])
app.websocket_api.session = boto3.Session()
dynamodb = boto3.client("dynamodb")


@app.on_ws_connect()
def connect(event: WebsocketEvent) -> dict[str, Any]:
    """Register the connection."""
    dynamodb.put_item(TableName=TABLE, Item={"connectionid": {"S": event.connection_id}})
    return {"statusCode": 200}


@app.on_ws_message()
def message(event: WebsocketEvent) -> dict[str, Any]:
    """Send what was said back."""
    app.websocket_api.send(event.connection_id, event.body)
    return {"statusCode": 200}


@app.on_ws_disconnect()
def disconnect(event: WebsocketEvent) -> dict[str, Any]:
    """Remove the connection."""
    dynamodb.delete_item(TableName=TABLE, Key={"connectionid": {"S": event.connection_id}})
    return {"statusCode": 200}
