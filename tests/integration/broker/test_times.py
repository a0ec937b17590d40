"""The times that a job's record tells."""

from datetime import timedelta

from rq.utils import utcparse

from support.site import Site, finished


def test_jobs_of_less_than_a_millisecond_keep_the_order_in_which_they_began(site: Site) -> None:
    names = [f"j{n}" for n in range(20)]
    site.enqueue(*names)
    for _ in names:
        (job,) = site.claim(count=1)
        site.finish(finished(job, took=timedelta(microseconds=10)))

    began = [utcparse(site.job(name)["started_at"]) for name in names]

    assert began == sorted(set(began)), "not all different, or not in order"
