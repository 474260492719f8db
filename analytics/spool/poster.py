"""Posts what the spool holds to the hub, in order, until each signal has its answer."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import orjson

from analytics.rules.signal import fault_signal
from analytics.spool.store import Spool, Waiting
from core.clock import Clock
from core.logging import get_logger

_PATH = "/api/v1/signals"
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_IDLE_S = 1.0
_RECHECK_S = 2.0
_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
# The hub understood these and will never take the signal. Any other answer may change: a wrong
# token is replaced, a proxy is put right, a database comes back.
_FINAL = frozenset({400, 409, 413, 415, 422})

log = get_logger("analytics.spool")


@dataclass(frozen=True, slots=True)
class SpoolCounters:
    """For the heartbeat and metrics."""

    posted: int
    depth: int
    lost: int
    rejected: int


class SignalPoster:
    """A thread that empties one spool. A new signal wakes it at once."""

    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        *,
        base_url: str,
        token: Callable[[], str],
        source: str,
        area: str = "",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Make a poster; `start` it.

        Args:
            spool: what to post.
            clock: dates the poster's own signals.
            base_url: the hub, as `http://127.0.0.1:8480`.
            token: gives the service token, asked anew after each refusal.
            source: CloudEvents source of the poster's own signals, as `/workers/media-0`.
            area: of the poster's own signals.
            transport: another way to the hub than TCP, such as a Unix socket.
        """
        self._spool = spool
        self._clock = clock
        self._token = token
        self._source = source
        self._area = area
        # A proxy of the environment has no business between a node's own processes.
        self._client = httpx.Client(
            base_url=base_url, timeout=_TIMEOUT, transport=transport, trust_env=False
        )
        self._stop = threading.Event()
        self._posted = 0
        self._failures = 0
        self._trouble_key = ""
        self._rechecked_s = 0.0
        self._last_error = ""
        self._thread = threading.Thread(target=self._work, name="signal-poster", daemon=True)

    @property
    def counters(self) -> SpoolCounters:
        """Counts since the start of this process; `depth` is now."""
        spool = self._spool
        return SpoolCounters(self._posted, spool.depth, spool.lost, spool.rejected)

    @property
    def last_error(self) -> str:
        """Why the last try failed; empty when it did not."""
        return self._last_error

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the try in progress; what is left stays in the spool."""
        self._stop.set()
        self._spool.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def _work(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stop.is_set():
            try:
                if self._step():
                    pause = _FIRST_PAUSE_S
                    continue
            except Exception as error:
                # The top of a supervised loop: a thread that ended here would keep every signal.
                self._failures += 1
                self._last_error = f"{type(error).__name__}: {error}"
                log.exception("posting failed in an unexpected way", failures=self._failures)
            # Spread the tries of many workers when the hub comes back.
            self._stop.wait(pause * random.uniform(0.7, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _step(self) -> bool:
        """Post the oldest signal, or wait for one; return False when trying again must wait."""
        self._report_trouble()
        waiting = self._spool.head() if self._spool.wait(_IDLE_S) else None
        if waiting is None or self._stop.is_set():
            return True
        return self._post(waiting)

    def _post(self, waiting: Waiting) -> bool:
        """Try once; return whether the signal has found its end."""
        try:
            answer = self._client.post(
                _PATH,
                content=waiting.body,
                headers={
                    "Content-Type": "application/cloudevents+json",
                    "Authorization": f"Bearer {self._token()}",
                },
            )
        except (httpx.HTTPError, OSError) as error:
            self._note(f"{type(error).__name__}: {error}")
            return False
        if answer.is_success:
            self._spool.done(waiting.id)
            self._posted += 1
            self._note("")
            return True
        if answer.status_code in _FINAL:
            log.error("the hub rejected a signal", id=waiting.id, status=answer.status_code)
            self._spool.reject(waiting.id, {"status": answer.status_code, **_problem(answer)})
            return True
        self._note(f"the hub answered {answer.status_code}")
        return False

    def _note(self, error: str) -> None:
        if error and not self._last_error:
            log.warning("signals wait: the hub does not take them", reason=error)
        elif self._last_error and not error:
            log.info("the hub takes signals again", posted=self._posted)
        self._last_error = error

    def _report_trouble(self) -> None:
        """Tell the hub, once, that the disk takes no signals, and once that it does again."""
        now_s = self._clock.monotonic()
        if self._spool.trouble and now_s - self._rechecked_s >= _RECHECK_S:
            self._rechecked_s = now_s
            self._spool.recheck()
        trouble = self._spool.trouble
        if bool(trouble) == bool(self._trouble_key):
            return
        phase, headline = "ended", "The disk takes signals again"
        if trouble:
            self._trouble_key = f"{self._source}:spool:{int(self._clock.now().timestamp())}"
            phase, headline = "started", f"Signals cannot be kept on the disk: {trouble}"
        signal = fault_signal(
            self._clock,
            source=self._source,
            kind="spool.trouble",
            phase="started" if phase == "started" else "ended",
            event_key=self._trouble_key,
            headline=headline,
            severity="severe",
            subject=self._source,
            area=self._area,
        )
        if not trouble:
            self._trouble_key = ""
        log.warning("spool trouble", phase=phase, reason=trouble)
        self._spool.put(signal)


def _problem(answer: httpx.Response) -> dict[str, object]:
    try:
        content = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
