"""Where the posts to a WebSocket API's connections go."""

from urllib.parse import urlsplit

from ..aws.endpoints import named_endpoint


def redirected(endpoint: str) -> str:
    """Where the posts for a callback endpoint go: there, or to the local AWS of the environment."""
    local = named_endpoint("apigatewaymanagementapi")
    return endpoint if local is None else local_endpoint(local, endpoint)


def local_endpoint(base: str, endpoint: str) -> str:
    """Move a WebSocket API's callback endpoint to a local AWS.

    >>> local_endpoint("http://localhost:4566", "https://a1b2.execute-api.us-east-1.amazonaws.com/dev")
    'http://localhost:4566/_aws/execute-api/a1b2/dev'
    """
    parts = urlsplit(endpoint)
    api_id = parts.netloc.partition(".")[0]
    return f"{base.rstrip('/')}/_aws/execute-api/{api_id}{parts.path}"
