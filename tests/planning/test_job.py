# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.builtin import JOB, POD
from lichen.planning.indexes import parse_indexes, write_indexes
from lichen.planning.job import INDEX, JobPlan, plan_job
from lichen.planning.steps import Create, Delete
from lichen.planning.times import rfc3339

NOW = 10_000.0


def a_job(status: Any = None, restart: str = "Never", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": restart, "containers": [{"name": "c"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": "shop", "uid": "j"},
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": template, **spec},
        "status": status if status is not None else {"startTime": rfc3339(NOW - 100)},
    }


def a_pod(phase: str = "Running", index: int | None = None, ended: float = 0.0, **status: Any) -> dict[str, Any]:
    state = {"terminated": {"finishedAt": rfc3339(ended)}} if ended else {}
    metadata = {"name": f"p{id(status)}", "namespace": "shop", "uid": "u"}
    if index is not None:
        metadata["annotations"] = {INDEX: str(index)}  # type: ignore[assignment]
    return {
        "metadata": metadata,
        "spec": {},
        "status": {"phase": phase, "containerStatuses": [{"state": state}], **status},
    }


def made(plan: JobPlan) -> int:
    return sum(isinstance(step, Create) for step in plan.steps)


def deleted(plan: JobPlan) -> int:
    return sum(isinstance(step, Delete) and step.kind == POD for step in plan.steps)


def conditions(plan: JobPlan) -> dict[str, str]:
    return {c["type"]: c.get("reason", "") for c in plan.status.get("conditions") or [] if c["status"] == "True"}


def test_a_new_job_starts_as_many_pods_as_may_run_at_once():
    plan = plan_job(a_job(status={}, completions=5, parallelism=2), [], NOW)
    assert (made(plan), plan.status["startTime"]) == (2, rfc3339(NOW))


def test_no_more_pods_run_than_successes_are_wanted():
    assert made(plan_job(a_job(completions=3, parallelism=5), [a_pod("Succeeded"), a_pod()], NOW)) == 1


def test_surplus_pods_end_when_parallelism_shrinks():
    assert deleted(plan_job(a_job(completions=5, parallelism=1), [a_pod(), a_pod()], NOW)) == 1


def test_a_job_with_enough_successes_is_complete():
    plan = plan_job(a_job(), [a_pod("Succeeded")], NOW)
    assert conditions(plan) == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert (plan.status["succeeded"], plan.status["completionTime"]) == (1, rfc3339(NOW))


def test_what_still_runs_ends_before_a_job_is_over():
    plan = plan_job(a_job(completions=1, parallelism=2), [a_pod("Succeeded"), a_pod()], NOW)
    assert deleted(plan) == 1
    assert conditions(plan) == {"SuccessCriteriaMet": "CompletionsReached"}


def test_a_success_counts_after_its_pod_is_gone():
    plan = plan_job(a_job({"startTime": rfc3339(NOW), "succeeded": 2}, completions=3), [], NOW)
    assert (made(plan), plan.status["succeeded"]) == (1, 2)


def test_a_work_queue_is_done_when_one_succeeded_and_none_runs():
    queue = a_job(parallelism=3)
    del queue["spec"]["completions"]
    assert made(plan_job(queue, [], NOW)) == 3
    assert made(plan_job(queue, [a_pod("Succeeded"), a_pod()], NOW)) == 0
    assert "Complete" in conditions(plan_job(queue, [a_pod("Succeeded")], NOW))


def test_a_failure_is_tried_again_after_a_while_that_doubles():
    job = a_job()
    plan = plan_job(job, [a_pod("Failed", ended=NOW - 4)], NOW)
    assert (made(plan), plan.again) == (0, 6.0)
    assert made(plan_job(job, [a_pod("Failed", ended=NOW - 10)], NOW)) == 1
    assert plan_job(job, [a_pod("Failed", ended=NOW - 4), a_pod("Failed", ended=NOW - 40)], NOW).again == 16.0


def test_too_many_failures_end_a_job():
    plan = plan_job(a_job(backoffLimit=1), [a_pod("Failed", ended=1), a_pod("Failed", ended=2)], NOW)
    assert conditions(plan) == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
    assert plan.status["failed"] == 2


def test_restarts_in_place_count_as_failures():
    restarted = a_pod()
    restarted["status"]["containerStatuses"] = [{"restartCount": 3, "state": {}}]
    plan = plan_job(a_job(restart="OnFailure", backoffLimit=3), [restarted], NOW)
    assert conditions(plan) == {"FailureTarget": "BackoffLimitExceeded"}
    assert deleted(plan) == 1


def test_a_job_has_its_time_and_no_more():
    plan = plan_job(a_job(activeDeadlineSeconds=160), [a_pod()], NOW)
    assert plan.again == pytest.approx(60.1)
    late = plan_job(a_job(activeDeadlineSeconds=100), [a_pod()], NOW)
    assert (deleted(late), conditions(late)) == (1, {"FailureTarget": "DeadlineExceeded"})


def test_a_suspended_job_runs_nothing_and_goes_on_when_it_is_resumed():
    plan = plan_job(a_job(suspend=True), [a_pod()], NOW)
    assert (deleted(plan), conditions(plan), plan.status["startTime"]) == (1, {"Suspended": "JobSuspended"}, None)
    resumed = plan_job(a_job({"conditions": plan.status["conditions"]}), [], NOW)
    assert (made(resumed), resumed.status["startTime"], conditions(resumed)) == (1, rfc3339(NOW), {})


def test_each_index_succeeds_once():
    job = a_job(completionMode="Indexed", completions=4, parallelism=2)
    plan = plan_job(job, [a_pod("Succeeded", 0), a_pod("Succeeded", 0), a_pod("Running", 1)], NOW)
    (created,) = [step.object for step in plan.steps if isinstance(step, Create)]
    assert created["metadata"]["annotations"][INDEX] == "2"
    assert created["spec"]["hostname"] == "work-2"
    assert created["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    assert (plan.status["succeeded"], plan.status["completedIndexes"]) == (1, "0")


def test_an_index_that_succeeded_is_remembered_without_its_pod():
    job = a_job({"startTime": rfc3339(NOW), "completedIndexes": "0-2"}, completionMode="Indexed", completions=4)
    (created,) = [step.object for step in plan_job(job, [], NOW).steps if isinstance(step, Create)]
    assert created["metadata"]["annotations"][INDEX] == "3"


def test_a_job_that_is_over_goes_after_its_time_to_live():
    over = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": rfc3339(NOW - 40)}]}
    assert plan_job(a_job(over, ttlSecondsAfterFinished=60), [], NOW).again == 20.0
    assert plan_job(a_job(over, ttlSecondsAfterFinished=30), [], NOW).steps == [Delete(JOB, "work", "shop", "j")]
    assert plan_job(a_job(over), [], NOW) == JobPlan([], {})


@pytest.mark.parametrize(("numbers", "text"), [(set(), ""), ({0, 1, 2, 5}, "0-2,5"), ({3, 4}, "3,4"), ({7}, "7")])
def test_indexes_are_written_in_runs(numbers: set[int], text: str):
    assert write_indexes(numbers) == text
    assert parse_indexes(text) == numbers
