"""Where fan-out's posts end: nginx, which takes them over TLS like ``@connections`` and tells nobody.

As AWS has it: TLS 1.2 and 1.3, a certificate with an RSA key of 2,048 bits, connections that are kept
alive, and a request id in each response. The stage says how long a post takes: ``wait-8`` answers after
8 ms, by nginx's echo module. A folder of its own holds all that it needs; no root, no system service.
"""

import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
API_ID = "a1b2c3d4e5"
CONNECTION_ID = "L0SM9cOFvHcCIhw%3D"
READY_SECONDS = 5.0

CONFIGURATION = """
load_module {module};
daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes 1;
{affinity}
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type application/json;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    # An hour without a request, and as many requests as come: no connection ends while it is measured.
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    # A session token makes a post's headers longer than nginx's usual 1 KB.
    client_header_buffer_size 8k;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        location ~ ^/_aws/execute-api/[^/]+/wait-0/@connections/[^/]+$ {{
            add_header x-amzn-RequestId $request_id;
            return 200;
        }}
        location ~ ^/_aws/execute-api/[^/]+/wait-8/@connections/[^/]+$ {{
            echo_sleep 0.008;
            echo_exec @taken;
        }}
        location @taken {{
            add_header x-amzn-RequestId $request_id;
            return 200;
        }}
        location = /status {{ stub_status; }}
        location / {{ return 404; }}
    }}
}}
"""

# What wrk posts: as long as what the contenders post, headers included.
SCRIPT = """
wrk.method = "POST"
wrk.body = string.rep("x", {body})
wrk.headers["Authorization"] = string.rep("x", {headers})
"""


class SinkError(Exception):
    """There is no sink, or it does not what it should. The message says why."""


class SinkMissing(SinkError):
    """A program is not installed. The message says how to get it."""


class Sink:
    """A running nginx; a context manager.

    Args:
        folder: A folder of its own, which exists.
        core: The core that it is to run on; any by default.

    Attributes:
        url: What ``AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`` is to be.
        authority: Path of the certificate that ``AWS_CA_BUNDLE`` is to name.

    Raises:
        SinkMissing: nginx, its echo module or openssl is not installed.
    """

    def __init__(self, folder: Path, core: int | None = None) -> None:
        self._nginx = program("nginx", "nginx-light")
        if not MODULE.exists():
            raise SinkMissing("nginx's echo module is missing: apt-get install libnginx-mod-http-echo")
        program("openssl", "openssl")
        self._folder = folder
        self._port = free_port()
        self._core = core
        self._asked = 0
        self.url = f"https://localhost:{self._port}"
        self.authority = folder / "authority.pem"

    def __enter__(self) -> "Sink":
        """Start it, and wait until it serves.

        Raises:
            SinkError: It does not start.
        """
        certify(self._folder)
        affinity = "" if self._core is None else f"worker_cpu_affinity {1 << self._core:b};"
        (self._folder / "nginx.conf").write_text(
            CONFIGURATION.format(module=MODULE, port=self._port, affinity=affinity)
        )
        self._log = (self._folder / "nginx.log").open("w")
        self._process = subprocess.Popen(
            [self._nginx, "-p", str(self._folder), "-c", "nginx.conf", "-e", "stderr"],
            stderr=self._log,
        )
        self._tls = ssl.create_default_context(cafile=self.authority)
        try:
            self._await_ready()
        except SinkError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._log.close()

    @property
    def version(self) -> str:
        """What it is, such as ``nginx/1.22.1``."""
        done = subprocess.run([self._nginx, "-v"], stderr=subprocess.PIPE, text=True, check=True)
        return done.stderr.split()[-1]

    def counts(self) -> tuple[int, int]:
        """Count the connections that were opened so far and the posts that have come, whoever sent them."""
        # Asking is a connection and a request, too.
        self._asked += 1
        with urllib.request.urlopen(f"{self.url}/status", context=self._tls) as response:
            numbers = re.search(r"^ (\d+) \d+ (\d+) $", response.read().decode(), re.MULTILINE)
        if not numbers:
            raise SinkError("nginx says nothing of its state")
        return int(numbers[1]) - self._asked, int(numbers[2]) - self._asked

    def ceiling(
        self, delay_ms: int, connections: int, seconds: int, body_bytes: int, header_bytes: int
    ) -> float:
        """Measure how many posts a second it takes from wrk, which is written in C and signs nothing.

        Args:
            delay_ms: After which it answers.
            connections: On how many connections at once.
            seconds: For how long.
            body_bytes: Length of what is posted.
            header_bytes: Length of the headers beside those that every request has.

        Raises:
            SinkMissing: wrk is not installed.
            SinkError: A post was not answered with 200.
        """
        wrk = program("wrk", "wrk")
        script = self._folder / "post.lua"
        script.write_text(SCRIPT.format(body=body_bytes, headers=header_bytes))
        done = subprocess.run(
            [
                *(wrk, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"),
                *("--script", str(script), f"{self.url}{callback_path(delay_ms)}{CONNECTION_ID}"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        rate = re.search(r"^Requests/sec: +([\d.]+)", done.stdout, re.MULTILINE)
        if not rate or "Non-2xx" in done.stdout:
            raise SinkError(f"wrk cannot post to the sink:\n{done.stdout}")
        return float(rate[1])

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "nginx.log").read_text()
                    raise SinkError(f"nginx does not start: {error}\n{log}") from None
                time.sleep(0.01)
            else:
                return


def certify(folder: Path) -> None:
    """Make a certificate authority in a folder, and a certificate of it for localhost.

    Raises:
        SinkMissing: openssl is not installed.
        SinkError: It makes none.
    """
    _certificate(folder, "authority", "keyUsage=critical,keyCertSign")
    _certificate(
        folder,
        "server",
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature,keyEncipherment",
        "subjectAltName=DNS:localhost",
        authority="authority",
    )


def _certificate(folder: Path, name: str, *extensions: str, authority: str | None = None) -> None:
    issuer = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key"] if authority else []
    done = subprocess.run(
        [
            *(program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *(*issuer, "-subj", f"/CN=bench {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
            *(part for extension in extensions for part in ("-addext", extension)),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise SinkError(f"openssl makes no certificate:\n{done.stdout}")


def stage(delay_ms: int) -> str:
    """Name the stage whose posts take so long."""
    return f"wait-{delay_ms}"


def callback_path(delay_ms: int) -> str:
    """Say where connections are posted to, up to the id."""
    return f"/_aws/execute-api/{API_ID}/{stage(delay_ms)}/@connections/"


def program(name: str, package: str) -> str:
    """Find a program.

    Raises:
        SinkMissing: It is not installed.
    """
    # Debian's nginx is where only root looks.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        raise SinkMissing(f"{name} is missing: apt-get install {package}")
    return path


def free_port() -> int:
    """Find a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
