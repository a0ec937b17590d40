"""Redis lets nobody in who does not have the right password, or certificate."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from reuse_queue import RedisUnavailable
from reuse_queue.settings import Settings
from support.certificates import certificate, tls_program
from support.faulty_redis import fleet_at, server
from support.server import free_port

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("words", [("scaler",), ("agent", "whole_app:env"), ("env", "list")])
def test_a_wrong_password_is_said_at_the_start(words: tuple[str, ...]):
    with server() as made:
        with made.client() as raw:
            raw.config_set("requirepass", "right")
        url = made.url.replace("unix://", "unix://:wrong@")
        done = subprocess.run(
            [sys.executable, "-m", "reuse_queue", words[0], "--redis-url", url, *words[1:]]
            if words[0] != "env"
            else [sys.executable, "-m", "reuse_queue", *words, "--redis-url", url],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 3
        assert "refused the login" in done.stderr
        assert "wrong" not in done.stderr.lower().replace("wrongpass", "")


def test_a_password_that_changes_while_all_runs_costs_no_run(tmp_path: Path):
    with server() as made, made.client() as raw:
        raw.config_set("requirepass", "old")
        raw.execute_command("AUTH", "old")
        url = made.url.replace("unix://", "unix://:old@")
        with fleet_at(url, tmp_path, lease=timedelta(seconds=30)) as fleet:
            app = fleet.write(replicas=(0, 2), concurrency=2)
            scaler, agent = fleet.serve()
            held = app.wait.enqueue_many([()] * 4)
            fleet.running(*held)
            raw.config_set("requirepass", "new")
            raw.client_kill_filter(_type="normal", skipme=True)
            raw.client_kill_filter(_type="pubsub")
            app.env.bind(url)
            with pytest.raises(RedisUnavailable, match="refused the login"):
                app.add.enqueue(1, 2)
            log = fleet.folder / "agent-a.log"
            fleet.until(lambda: "refused the login" in log.read_text(), "refused logins")
            fleet.open()
            # What was asked for with the old password holds again, as in a change by ACLs.
            raw.acl_setuser("default", enabled=True, passwords=["+old"])
            assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
            fleet.finished(held)
            assert {len(fleet.runs(job)) for job in held} == {1}
            assert (scaler.poll(), agent.poll()) == (None, None)
            assert "old@" not in log.read_text()


def test_the_whole_fleet_speaks_tls(tmp_path: Path):
    made, port = certificate(tmp_path), free_port()
    with server(tls_program(), **made.options(port)):
        url = f"rediss://localhost:{port}/0"
        with fleet_at(f"{url}?ssl_ca_certs={made.cert}", tmp_path) as fleet:
            app = fleet.write()
            fleet.serve()
            assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
            app.env.bind(Settings(redis_url=url))
            with pytest.raises(RedisUnavailable, match=r"(?i)certificate"):
                app.add.enqueue(1, 2)
            app.env.connection.close()
