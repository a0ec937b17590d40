"""The end of an agent in which something does not give way."""

import asyncio
import signal
import sys

from support.server import RedisServer

# An agent whose ear to the scaler takes no cancellation, as if a library had lost it.
PROGRAM = """
import asyncio, sys
from reuse_agent import agent, main
from reuse_agent.link import Link

async def deaf(self, heard):
    heard()
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue

Link.listen = deaf
agent._RESTS_WITHIN_S = 0.2
main.main(["examples.hello:env", "--host", "stubborn"])
"""


async def test_an_agent_that_was_told_to_stop_ends_whatever_does_not_give_way(
    redis_server: RedisServer, monkeypatch
):
    monkeypatch.setenv("REUSE_QUEUE_REDIS_URL", redis_server.url)
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM), stdout=asyncio.subprocess.PIPE
    )
    assert agent.stdout is not None
    try:
        said = ""
        while "agent started" not in said:
            said += (await agent.stdout.readline()).decode()

        agent.send_signal(signal.SIGTERM)

        rest = (await agent.stdout.read()).decode()
        assert await agent.wait() == 0
    finally:
        if agent.returncode is None:
            agent.kill()
            await agent.wait()
    assert "agent did not come to rest" in rest
    assert "deaf" in rest
