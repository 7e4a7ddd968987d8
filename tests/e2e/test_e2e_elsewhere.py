"""A few of the end-to-end tests against a studio with its records in PostgreSQL and its files in an S3 bucket.

``make test-postgres-s3`` runs all of them so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from counting_studio import Studio, postgresql_and_s3, running_studio
from test_e2e_failures import (  # noqa: F401 - run here once more
    test_a_failed_render_is_retried_and_what_stays_failed_is_told_until_it_is_asked_for_again,
)
from test_e2e_interruptions import (  # noqa: F401 - run here once more
    test_interrupted_once_it_records_what_is_in_flight_and_the_next_apply_finishes,
    test_killed_after_each_call_before_its_answer_it_goes_on_and_makes_nothing_twice_unsaid,
)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with (
        postgresql_and_s3() as servers,
        running_studio(tmp_path_factory.mktemp("elsewhere"), elsewhere=servers) as running,
    ):
        yield running
