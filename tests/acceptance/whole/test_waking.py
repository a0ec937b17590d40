"""An environment that nobody has asked for keeps nothing; the first job brings it back."""

import pytest
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from reuse_queue.facts import EnvironmentState
from support.fleet_processes import ENV, FleetProcesses

pytestmark = pytest.mark.timeout(60)


def asleep(fleet: FleetProcesses) -> None:
    """Return once the environment is dormant, without any replica."""

    def found() -> bool:
        seen = fleet.snapshot()
        return seen.environment.state is EnvironmentState.DORMANT and not seen.replicas

    fleet.until(found, "dormancy")


def test_the_first_enqueue_wakes_a_dormant_environment_and_its_job_runs(fleet: FleetProcesses):
    app = fleet.write(idle=1)
    fleet.serve()
    asleep(fleet)
    job = app.add.enqueue(1, 2)
    assert job.result(timeout=20) == 3
    read = Job.fetch(job.id, connection=fleet.raw, serializer=JSONSerializer)
    assert read.is_finished
    assert read.return_value() == 3
    asleep(fleet)
    assert fleet.finished([app.add.enqueue(3, 4)]) == [7]


def test_so_does_an_enqueue_by_stock_rq(fleet: FleetProcesses):
    fleet.write(idle=1)
    fleet.serve()
    asleep(fleet)
    queue = Queue(ENV, connection=fleet.raw, serializer="json")
    job = queue.enqueue("whole_app.add", 3, b=4)
    fleet.until(lambda: job.get_status(refresh=True) == "finished", "the end of rq's job")
    read = Job.fetch(job.id, connection=fleet.raw, serializer=JSONSerializer)
    result = read.latest_result()
    assert result is not None
    assert result.return_value == 7
    assert read.worker_name is not None
    assert read.worker_name.startswith(f"{ENV}-a-")


@pytest.mark.parametrize("replicas", [2, (1, 3)], ids=["a fixed count", "a minimum"])
def test_dormancy_takes_all_and_the_next_job_brings_them_back(fleet: FleetProcesses, replicas):
    app = fleet.write(replicas=replicas, idle=1)
    fleet.serve()
    low = replicas if isinstance(replicas, int) else replicas[0]
    assert fleet.finished([app.add.enqueue(1, 1)]) == [2]
    asleep(fleet)
    waiting = app.wait.enqueue()
    fleet.ready(low)
    fleet.open()
    fleet.finished([waiting])
    asleep(fleet)
