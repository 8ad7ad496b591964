"""Measures the cold start of the real deployment zip, as a ratio to a bare Chalice app's: Linux only.

What is measured, from the start of the process:

- init: until the runtime asks for its first event. This is what Lambda calls init.
- connect: until it has answered its first event, a ``$connect``. This is what a user waits for.
- CPU: user and system time of the process up to then: the figure that repeats on a busy machine.

The bare app makes its boto3 clients at import, as Chalice's tutorial does.

Each ratio is the median of ours over the median of the bare app's. The two are started in turns, so that
the machine's noise hits both.

How: both apps are packaged by ``chalice package`` for this machine's architecture, ours with the bytecode
that ``make deploy`` adds, and run from the unzipped code under awslambdaric, AWS's own runtime client. As in
Lambda, the code's folder comes first on the path and is not written to, so that Python compiles what has no
bytecode at each start; behind it are boto3 and awslambdaric, compiled, and nothing else of this environment.
Lambda's API and DynamoDB are stand-ins in this process, which answer at once. Files come from the page cache,
and Lambda's fetching of the zip is not measured: look at the ratios, the milliseconds are this machine's.
"""

import argparse
import compileall
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median, quantiles
from tempfile import TemporaryDirectory, TemporaryFile
from types import MappingProxyType
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.bytecode import add_bytecode

PROJECT = Path(__file__).resolve().parent.parent
BARE = Path(__file__).resolve().parent / "bare"
STAGE = "dev"
DEPLOYED = ("app.py", "requirements.txt", ".chalice/*.json", "chalicelib/**/*.py", "vendor/**/*")

# What Lambda's runtime brings, as far as the two apps import it.
RUNTIME = (
    "awslambdaric",  # pinned in requirements-dev.txt, as boto3 is
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot-restore-py",
    "urllib3",
)
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}
REGION = "us-east-1"

ANSWER_SECONDS = 30.0
IMPORT_STARTS = 5
IMPORT_ROWS = 20

CONNECT = {
    "requestContext": {
        "routeKey": "$connect",
        "eventType": "CONNECT",
        "connectionId": "L0SM9cOFvHcCIhw=",
        "requestId": "request",
        "apiId": "a1b2c3d4e5",
        "stage": STAGE,
        "domainName": f"a1b2c3d4e5.execute-api.{REGION}.amazonaws.com",
    },
    "headers": {"Host": f"a1b2c3d4e5.execute-api.{REGION}.amazonaws.com"},
    "isBase64Encoded": False,
}


class BenchError(Exception):
    """There is nothing to measure: an app cannot be packaged, or does not start. The message says why."""


@dataclass(frozen=True)
class Function:
    """A packaged ``$connect`` handler.

    Attributes:
        name: What it is called here.
        code: Folder of the unzipped code.
        zip_bytes: Size of the zip.
        handler: The handler's name, for the runtime.
        environment: The variables that its stage gives it.
    """

    name: str
    code: Path
    zip_bytes: int
    handler: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Start:
    """One cold start, in ms from the start of the process.

    Attributes:
        init: Until it asks for an event.
        connect: Until it has answered that.
        cpu: CPU time up to then, user and system.
    """

    init: float
    connect: float
    cpu: float


class StandIn(ThreadingHTTPServer):
    """Lambda's runtime API and DynamoDB, both on one port of this machine; a context manager.

    The runtime is given one event; once it has answered, its next request is never reached.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.requests: SimpleQueue[tuple[float, str, str]] = SimpleQueue()

    def __enter__(self) -> "StandIn":
        """Serve, in threads of its own."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        """End serving."""
        self.shutdown()
        self.server_close()

    def when(self, expected: str) -> float:
        """Wait for the runtime's next request, and say at which ``time.perf_counter()`` it came.

        Args:
            expected: What it must be: ``"next"``, or ``"response"`` with a status of 200.

        Raises:
            BenchError: It is another one, such as ``"error"``, or there is none.
        """
        try:
            seconds, request, body = self.requests.get(timeout=ANSWER_SECONDS)
        except Empty:
            raise BenchError(f"no {expected} within {ANSWER_SECONDS:.0f} s") from None
        if request != expected or (body and json.loads(body).get("statusCode") != 200):
            raise BenchError(f"{request} instead of {expected}: {body}")
        return seconds

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a process that is ended: it leaves its connections as they are."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def do_GET(self) -> None:
        """Hand out the event."""
        self.server.requests.put((time.perf_counter(), self._request, ""))
        self._answer(
            CONNECT,
            {
                "Lambda-Runtime-Aws-Request-Id": "request",
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 28_000),
                "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:123456789012:function:f",
            },
        )

    def do_POST(self) -> None:
        """Take the runtime's answer, or be a DynamoDB whose items have no attributes."""
        seconds = time.perf_counter()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/":
            self._answer({"Attributes": {}, "UnprocessedItems": {}})
        else:
            self.server.requests.put((seconds, self._request, body))
            self.rfile.read(1)  # Nothing comes: the process is ended.

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    @property
    def _request(self) -> str:
        return self.path.rpartition("/")[2]

    def _answer(self, content: Mapping[str, Any], headers: Mapping[str, str] = MappingProxyType({})) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        # awslambdaric crashes without a type.
        standard = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**standard, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True)
class Bench:
    """Where functions are packaged and started.

    Attributes:
        folder: A folder of its own.
        stand_in: What the functions talk to.
    """

    folder: Path
    stand_in: StandIn

    @property
    def runtime(self) -> Path:
        """Folder of what Lambda's runtime brings."""
        return self.folder / "runtime"

    def make_runtime(self) -> None:
        """Copy the runtime's packages, and compile those that are not."""
        for name in RUNTIME:
            for file in importlib.metadata.files(name) or ():
                if ".." not in file.parts:  # No scripts.
                    target = self.runtime / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file.locate(), target)
        compileall.compile_dir(self.runtime, quiet=2)

    def package(self, name: str, source: Path, compiled: bool = False) -> Function:
        """Package an app as for a deployment, but for this machine, and unzip it.

        Args:
            name: What to call it; also the app's name where it has no configuration of its own.
            source: Folder of the app.
            compiled: Whether to add bytecode, as ``make deploy`` does.

        Raises:
            BenchError: Chalice cannot package it.
        """
        project, out, code = (self.folder / name / part for part in ("project", "out", "code"))
        for pattern in DEPLOYED:
            for file in filter(Path.is_file, source.glob(pattern)):
                target = project / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
        configure(project / ".chalice" / "config.json", name)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("chalice")), "package", "--stage", STAGE, str(out)],
            cwd=project,
            env={**os.environ, "AWS_DEFAULT_REGION": REGION},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise BenchError(f"{name} cannot be packaged:\n{done.stdout}")
        if compiled:
            add_bytecode(out / "deployment.zip")
        with zipfile.ZipFile(out / "deployment.zip") as packed:
            packed.extractall(code)
        connect = json.loads((out / "sam.json").read_text())["Resources"]["WebsocketConnect"]["Properties"]
        return Function(
            name=name,
            code=code,
            zip_bytes=(out / "deployment.zip").stat().st_size,
            handler=connect["Handler"],
            environment=connect.get("Environment", {}).get("Variables", {}),
        )

    def start(self, function: Function) -> Start:
        """Start a function once, up to the response to its first event.

        Raises:
            BenchError: It does not import, or its handler raises.
        """
        began = time.perf_counter()
        before = children_cpu()
        with self._running(function):
            asked = self.stand_in.when("next")
            answered = self.stand_in.when("response")
        cpu = children_cpu() - before
        return Start((asked - began) * 1000, (answered - began) * 1000, cpu * 1000)

    def imports(self, function: Function) -> dict[str, float]:
        """Start a function once, and time what init imports.

        Returns:
            Time in ms by top-level package: of its own modules, without what they import from others.
        """
        with self._running(function, "-X", "importtime") as output:
            self.stand_in.when("next")
            output.seek(0)
            timed = re.findall(r"^import time: +(\d+) \| +\d+ \| +([^.\s]+)", output.read(), re.MULTILINE)
        spent: Counter[str] = Counter()
        for microseconds, package in timed:
            spent[package] += int(microseconds)
        return {package: total / 1000 for package, total in spent.items()}

    @contextmanager
    def _running(self, function: Function, *flags: str) -> Iterator[IO[str]]:
        with TemporaryFile("w+") as output:
            process = subprocess.Popen(
                # -S: without this environment's site-packages.
                [sys.executable, "-S", *flags, "-m", "awslambdaric", function.handler],
                cwd=function.code,
                env=self._environment(function),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                yield output
            except BenchError as error:
                output.seek(0)
                state = f"exit code {process.poll()}"
                raise BenchError(f"{function.name}: {error} ({state})\n{output.read()}") from None
            finally:
                process.kill()
                process.wait()

    def _environment(self, function: Function) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "en_US.UTF-8",
            "PYTHONPATH": str(self.runtime),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBDA_TASK_ROOT": str(function.code),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_RUNTIME_API": self.stand_in.address,
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://{self.stand_in.address}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **function.environment,
        }


def children_cpu() -> float:
    """Count the CPU time of the processes started from here that have ended, in s."""
    times = os.times()
    return times.children_user + times.children_system


def configure(config: Path, name: str) -> None:
    """Set the architecture in Chalice's configuration to this machine's; make one where there is none."""
    content: dict[str, Any] = {"version": "2.0", "app_name": name, "stages": {STAGE: {}}}
    if config.exists():
        content = json.loads(config.read_text())
    content["stages"][STAGE]["lambda_architecture"] = ARCHITECTURES[platform.machine()]
    config.parent.mkdir(exist_ok=True)
    config.write_text(json.dumps(content))


def figures(function: Function, starts: Sequence[Start]) -> dict[str, Any]:
    """Summarise the starts of a function."""
    return {
        "init_ms": spread([start.init for start in starts]),
        "connect_ms": spread([start.connect for start in starts]),
        "cpu_ms": spread([start.cpu for start in starts]),
        "zip_bytes": function.zip_bytes,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Summarise times in ms: their median and quartiles."""
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 1), "q1": round(low, 1), "q3": round(high, 1)}


def ratio(ours: Mapping[str, Any], bare: Mapping[str, Any], times: str) -> float:
    """Divide our median by the bare app's."""
    return round(float(ours[times]["median"] / bare[times]["median"]), 3)


def table(result: Mapping[str, Any]) -> str:
    """Render the result as a table, with the verdict below."""
    ours, bare = result["ours"], result["bare"]
    cell = "{median:.1f} ({q1:.1f}-{q3:.1f})"
    rows = [
        ("ms: median (quartiles)", "ours", "bare", "ratio"),
        *(
            (label, cell.format(**ours[times]), cell.format(**bare[times]), f"{result[part]:.3f}")
            for label, times, part in (
                ("init", "init_ms", "ratio"),
                ("init and first $connect", "connect_ms", "connect_ratio"),
                ("their CPU", "cpu_ms", "cpu_ratio"),
            )
        ),
        ("zip", f"{ours['zip_bytes'] / 1000:,.0f} kB", f"{bare['zip_bytes'] / 1000:,.0f} kB", ""),
    ]
    verdict = "within" if result["within_bound"] else "NOT within"
    return "\n".join(
        [
            *(f"{label:24}{left:>24}{right:>24}{part:>8}".rstrip() for label, left, right, part in rows),
            f"init and first $connect are {verdict} the bound of {result['bound']:g} times the bare app's",
        ]
    )


def import_table(bench: Bench, ours: Function, bare: Function) -> str:
    """Time the imports of both functions, and render the heaviest of ours as a table."""
    runs = []
    for turn in range(IMPORT_STARTS):
        progress(f"Timing imports {turn + 1}/{IMPORT_STARTS}")
        runs.append((bench.imports(ours), bench.imports(bare)))

    def row(label: str, source: str, packages: Iterable[str]) -> str:
        mine, other = (
            sum(median(run[which].get(package, 0.0) for run in runs) for package in packages)
            for which in (0, 1)
        )
        return f"{label:24}{source:>10}{mine:10.1f}{other:10.1f}{mine - other:+10.1f}"

    last = runs[-1][0]
    packages = last.keys() | runs[-1][1].keys()
    heaviest = sorted(last, key=last.__getitem__, reverse=True)[:IMPORT_ROWS]
    return "\n".join(
        [
            f"{'imports of init, in ms':24}{'from':>10}{'ours':>10}{'bare':>10}{'more':>10}",
            *(row(package, origin(package, ours), [package]) for package in heaviest),
            row("all, timing included", "", packages),
        ]
    )


def origin(package: str, function: Function) -> str:
    """Say whose a package is; one from the zip is compiled at each start."""
    if package in sys.stdlib_module_names:
        return "Python"
    mine = (function.code / package, function.code / f"{package}.py")
    return "zip" if any(path.exists() for path in mine) else "runtime"


def progress(text: str) -> None:
    """Show how far it is, on one line of stderr."""
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def run(bench: Bench, pairs: int, bound: float, with_imports: bool) -> dict[str, Any]:
    """Package both functions, start them in turns, and print the figures."""
    progress("Packaging")
    bench.make_runtime()
    ours, bare = bench.package("ours", PROJECT, compiled=True), bench.package("bare", BARE)
    starts = []
    for pair in range(pairs + 1):
        progress(f"Starting {pair}/{pairs}")
        starts.append((bench.start(ours), bench.start(bare)))
    # The first pair has only filled the page cache.
    our_starts, bare_starts = zip(*starts[1:], strict=True)
    our_figures, bare_figures = figures(ours, our_starts), figures(bare, bare_starts)
    connect_ratio = ratio(our_figures, bare_figures, "connect_ms")
    result = {
        "ratio": ratio(our_figures, bare_figures, "init_ms"),
        "connect_ratio": connect_ratio,
        "cpu_ratio": ratio(our_figures, bare_figures, "cpu_ms"),
        "bound": bound,
        "within_bound": connect_ratio <= bound,
        "pairs": pairs,
        "python": platform.python_version(),
        "architecture": ARCHITECTURES[platform.machine()],
        "ours": our_figures,
        "bare": bare_figures,
    }
    imports = f"\n{import_table(bench, ours, bare)}" if with_imports else ""
    progress("")
    print(f"{table(result)}\n{imports}".rstrip())
    return result


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=15, help="starts of each app, at least 2 (%(default)s)")
    parser.add_argument(
        "--bound", type=float, default=0.7, help="what the ratio of init and first $connect is held to"
    )
    parser.add_argument("--imports", action="store_true", help="show what init imports, too")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON in the last line")
    arguments = parser.parse_args()
    try:
        with TemporaryDirectory() as folder, StandIn() as stand_in:
            bench = Bench(Path(folder), stand_in)
            result = run(bench, max(2, arguments.pairs), arguments.bound, arguments.imports)
    except (BenchError, importlib.metadata.PackageNotFoundError) as error:
        progress("")
        sys.exit(str(error))
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
