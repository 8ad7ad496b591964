"""Measures the page in Chromium: its size, its first paint with messages, and 50 messages a second.

- start: from ``make up`` to the URLs that it prints.
- size: of all files of ``web/``, as they are.
- first paint: from the start of a reload to the frame that shows 50 messages of a room, over the local
  stack (``make up``): HTTP, WebSocket, history and layout are in it. Chromium's cache is not used.
- busy: 50 messages a second come over the rig's server for a while. A long task is what the browser
  calls so: more than 50 ms in which the page could not have answered, be it for the work of its own or
  because the machine gave it no time; the CPU time of the page's main thread knows the first alone.
- scroll: a room with 1,000 messages is scrolled through by wheel; the frames' intervals.

The browser, the stack and this process share the machine: look at the load that is printed too.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Browser, CDPSession, Page

from tests.browser.chromium import chromium
from tests.browser.person import Person
from tests.browser.served import WEB, Served
from tests.e2e.local_stack import LocalStack
from tests.e2e.project import Project
from tests.tools import free_port

ROOM = 50
RATE = 50
LONG_ROOM = 1000
WIDE: Any = {"width": 1280, "height": 800}

# The time of the frame in which the last of so many messages is painted.
PAINTED = f"""
new MutationObserver((changes, observer) => {{
  if (document.querySelectorAll(".message").length < {ROOM}) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.painted = performance.now())));
}}).observe(document, {{childList: true, subtree: true}});
"""
LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const {duration} of list.getEntries()) window.longTasks.push(duration);
}).observe({type: "longtask", buffered: true});
"""
FRAMES = """
window.frames_ = [];
let last = performance.now();
const frame = (now) => {
  window.frames_.push(now - last);
  last = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""


@contextmanager
def local_stack() -> Iterator[LocalStack]:
    """``make up``."""
    with TemporaryDirectory() as folder, LocalStack(Project(Path(folder) / "project"), free_port()) as stack:
        yield stack


@contextmanager
def person(browser: Browser, url: str, script: str) -> Iterator[Person]:
    """Somebody in the lobby."""
    with browser.new_context(viewport=WIDE) as context:
        context.add_init_script(script)
        yield Person(context, url).enter("bench")


def first_paint(browser: Browser, times: int) -> tuple[float, list[float]]:
    """Reload a room with messages; how long the stack took to start, in s, and the times to paint, in ms."""
    painted = []
    with local_stack() as stack, person(browser, stack.page_url, PAINTED) as bench:
        for number in range(ROOM):
            bench.say(f"Message {number}, as long as messages are that people write to each other.")
        bench.rows.nth(ROOM - 1).wait_for()
        bench.page.locator("#messages .sending").first.wait_for(state="detached")
        bench.context.new_cdp_session(bench.page).send("Network.setCacheDisabled", {"cacheDisabled": True})
        for _ in range(times):
            bench.page.reload()
            painted.append(awaited(bench.page, "window.painted"))
    return stack.started_in, painted


def awaited(page: Page, value: str) -> float:
    """Wait until a value is there; in the page, whose policy forbids playwright's own way."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = page.evaluate(value)
        if found is not None:
            return float(found)
        time.sleep(0.02)
    raise TimeoutError(value)


def busy(browser: Browser, seconds: float) -> tuple[list[float], float]:
    """Let messages come; the long tasks, and the CPU time for each message, in ms."""
    with Served() as served, person(browser, served.url, LONG_TASKS) as bench:
        session = bench.context.new_cdp_session(bench.page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        bench.page.evaluate("window.longTasks.length = 0")
        before = cpu_seconds(session)
        start = time.monotonic()
        for number in range(int(seconds * RATE)):
            served.publish(
                f"Message {number}: see https://example.com/{number} 🙂", sender=f"user{number % 7}"
            )
            time.sleep(max(0.0, start + (number + 1) / RATE - time.monotonic()))
        bench.rows.get_by_text(f"Message {int(seconds * RATE) - 1}:").wait_for()
        used = cpu_seconds(session) - before
        return bench.page.evaluate("window.longTasks"), used * 1000 / (seconds * RATE)


def cpu_seconds(session: CDPSession) -> float:
    """What the page's main thread has used so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def scroll(browser: Browser) -> list[float]:
    """Scroll through a long room; the frames' intervals, in ms."""
    with Served() as served, person(browser, served.url, FRAMES) as bench:
        served.publish(*[f"Message {number}" for number in range(LONG_ROOM)], sent_at=int(time.time() * 1000))
        while (rows := bench.rows.count()) < LONG_ROOM:
            bench.page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 0)")
            bench.rows.nth(rows).wait_for(state="attached")
        bench.page.locator("#scroller").hover()
        bench.page.evaluate("window.frames_.length = 0")
        for step in (400, -400):
            for _ in range(80):
                bench.page.mouse.wheel(0, step)
                bench.page.wait_for_timeout(16)
        frames: list[float] = bench.page.evaluate("window.frames_")
        return frames


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reloads", type=int, default=20, help="for the first paint (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="of 50 messages/s (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, as the last line")
    arguments = parser.parse_args()
    size = sum(file.stat().st_size for file in WEB.iterdir())
    with chromium() as browser:
        started_in, painted = first_paint(browser, arguments.reloads)
        tasks, used = busy(browser, arguments.seconds)
        frames = scroll(browser)
        version = browser.version
    load = os.getloadavg()[0]
    print(f"Chromium {version} on {os.cpu_count()} cores, load {load:.1f}")
    print(f"size                {size:,} bytes, {len(list(WEB.iterdir()))} files")
    print(f"start               {started_in:.1f} s")
    print(f"first paint         median {median(painted):.0f} ms, longest {max(painted):.0f} ms")
    print(
        f"{RATE} messages/s       {len(tasks)} long tasks, the longest {max(tasks, default=0):.0f} ms; "
        f"{used:.1f} ms of CPU each"
    )
    print(
        f"scroll, {LONG_ROOM:,} rows  frames: median {median(frames):.1f} ms, "
        f"99 % below {quantiles(frames, n=100)[98]:.1f} ms, longest {max(frames):.1f} ms of {len(frames)}"
    )
    if arguments.json:
        figures = {
            "bytes": size,
            "start_s": round(started_in, 2),
            "first_paint_ms": {"median": round(median(painted), 1), "max": round(max(painted), 1)},
            "long_tasks": len(tasks),
            "longest_task_ms": round(max(tasks, default=0.0), 1),
            "cpu_ms_per_message": round(used, 2),
            "scroll_frame_ms": {"median": round(median(frames), 1), "max": round(max(frames), 1)},
            "load": round(load, 2),
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
