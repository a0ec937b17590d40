"""Target: one `module:attribute` that this host serves, through whatever zygote now serves it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from reuse_agent.causes import ended_by
from reuse_agent.processes import Process, Processes
from reuse_agent.zygote import Zygote
from reuse_queue.facts import EnvironmentRecord
from reuse_queue.messages import Failed, Loaded
from reuse_queue.settings import Settings

log = structlog.get_logger()
_LONGEST_WAIT_S = 60.0


class Target:
    """Loads a target, and loads it anew after `reload` or when its zygote has died.

    While a new zygote loads, and when it cannot, the old one goes on serving.

    Args:
        name: `module:attribute`.
        processes: starts and watches processes.
        settings: for the zygote and the replicas.
        changed: called when there is news in the attributes.
        taken: the other target that has loaded an environment of a given name, or empty.

    Attributes:
        environment: the name of the environment as last loaded; empty before.
        broken: why the code that is here cannot be loaded; empty where it can.
        tried: set once the first try to load it is over.
    """

    def __init__(
        self,
        name: str,
        processes: Processes,
        settings: Settings,
        *,
        changed: Callable[[], None],
        taken: Callable[[str, str], str],
    ) -> None:
        self.name = name
        self.environment = ""
        self.broken = ""
        self.tried = asyncio.Event()
        self._processes = processes
        self._settings = settings
        self._changed = changed
        self._taken = taken
        self._zygote: Zygote | None = None
        self._candidate: Zygote | None = None
        self._wanted = asyncio.Event()
        self._failures = 0
        self._loaded_at = 0.0

    @property
    def zygote(self) -> Zygote | None:
        """The zygote that serves, if one does."""
        return self._zygote if self._zygote and self._zygote.serves else None

    @property
    def record(self) -> EnvironmentRecord | None:
        """What the serving zygote says of its environment."""
        return self.zygote.loaded.record if self.zygote and self.zygote.loaded else None

    @property
    def version(self) -> str:
        """The version that can be started, or empty."""
        return self.zygote.loaded.version if self.zygote and self.zygote.loaded else ""

    @property
    def loading(self) -> bool:
        """Whether it may serve in a moment, though it does not now."""
        return self.zygote is None and not self.broken

    def reload(self) -> None:
        """Load the code that is there now."""
        self._failures = 0
        self._wanted.set()

    async def run(self) -> None:
        """Keep it loaded until canceled."""
        try:
            while True:
                self._wanted.clear()
                await self._load()
                self.tried.set()
                self._changed()
                await self._need()
        finally:
            for zygote in (self._zygote, self._candidate):
                if zygote is not None:
                    zygote.stop()

    # ---------------------------------------------------------------------------------------

    async def _load(self) -> None:
        log.info("target loading", target=self.name)
        began = asyncio.get_running_loop().time()
        try:
            candidate = Zygote(self.name, self._processes, self._settings)
        except OSError as error:
            self._fail(Failed(traceback=f"no process: {error}"))
            return
        self._candidate = candidate
        answer = await candidate.load()
        self._candidate = None
        if isinstance(answer, Loaded):
            answer = self._objection(answer) or answer
        if isinstance(answer, Failed):
            candidate.stop()
            self._fail(answer)
            return
        before, self._zygote = self._zygote, candidate
        self.environment, self.broken = answer.record.name, ""
        self._loaded_at = asyncio.get_running_loop().time()
        log.info(
            "target loaded",
            target=self.name,
            environment=self.environment,
            version=answer.version,
            took_s=round(self._loaded_at - began, 3),
        )
        if answer.start_method != "spawn":
            candidate.gone.add_done_callback(self._lost)
        if before is not None:
            before.stop()

    def _objection(self, loaded: Loaded) -> Failed | None:
        other = self._taken(loaded.record.name, self.name)
        if not other:
            return None
        return Failed(
            traceback=f"{self.name} and {other} both name their environment {loaded.record.name!r}"
        )

    def _fail(self, failed: Failed) -> None:
        self._failures += 1
        self.broken = failed.traceback
        self.environment = failed.environment or self.environment
        log.error(
            "target not loaded",
            target=self.name,
            reason=failed.traceback,
            still_serving=self.version or None,
        )

    def _lost(self, gone: asyncio.Future[Process]) -> None:
        """Load anew after the death of the zygote that serves."""
        zygote = self._zygote
        if zygote is None or zygote.gone is not gone or zygote.stopping:
            return
        if asyncio.get_running_loop().time() - self._loaded_at > _LONGEST_WAIT_S:
            self._failures = 0
        self._failures += 1
        how = ended_by(gone.result().status or 0)
        log.error("zygote died", target=self.name, environment=self.environment, how=how)
        self._wanted.set()

    async def _need(self) -> None:
        """Return when it is to be loaded: at `reload`, or some time after a failure or a death."""
        if not self.broken:
            await self._wanted.wait()
        if self._failures:
            self._wanted.clear()
            wait = min(2.0 ** (self._failures - 1), _LONGEST_WAIT_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wanted.wait()
