from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.samples import problems_of, small_app

UPSTREAM = 'mode = "upstream"\nswitch = "reload"'
METRIC = '[[watch.metrics]]\nname = "a"\nmax = 1\n'
HTTP = METRIC + 'http = {{ url = "{}", value = "v", params = {{ q = "{}" }} }}\n'


@pytest.mark.parametrize(
    ("more", "key", "wrong"),
    [
        (
            METRIC + 'service = "x"\ncommand = { run = "a" }',
            "watch.metrics[0].service", "no service",
        ),
        (METRIC + 'command = { run = "a" }', "watch.metrics[0]", "variables of a service"),
        (HTTP.format("ftp://a/", ""), "watch.metrics[0].http.url", "cannot be used"),
        (HTTP.format("http://u:p@a/", ""), "watch.metrics[0].http.url", "credentials"),
        (HTTP.format("http://{slot}/", ""), "watch.metrics[0].http.url", "choose the server"),
        (HTTP.format("http://a/", "{port}"), "watch.metrics[0].http.params.q", "{port}"),
        (HTTP.format("http://a/", "") * 2, "watch.metrics", "two metrics are named a"),
        (METRIC.replace("max = 1", "max = 1\nmin = 2") + HTTP[len(METRIC):].format("http://a/", ""),
         "watch.metrics[0]", "min is more"),
        (METRIC.replace("max = 1", 'max = "1"') + HTTP[len(METRIC):].format("http://a/", ""),
         "watch.metrics[0].max", '"1" cannot'),
        (HTTP.format("http://a/", "").replace('"v"', '"v..w"'),
         "watch.metrics[0].http.value", "cannot be used"),
    ],
)  # fmt: skip
def test_what_could_not_be_watched_is_refused(
    tmp_path: Path, more: str, key: str, wrong: str
) -> None:
    [problem] = problems_of(tmp_path, small_app("shop", 9001, 9101) + more)
    assert problem.key == key
    assert wrong in problem.wrong


def test_limits_need_requests_that_pass_through_what_is_rendered(tmp_path: Path) -> None:
    text = small_app("shop", 9001, 9101, nginx=UPSTREAM)
    [problem] = problems_of(tmp_path, f'{text}[watch]\nmax_p99 = "1s"\n')
    assert problem.key == "watch.max_p99"
    assert "knows of none" in problem.wrong
    assert problems_of(tmp_path, f'{text}[watch]\nfor = "1s"\n') == []


def test_a_standby_that_never_runs_is_none_to_fail_over_to(tmp_path: Path) -> None:
    text = small_app("shop", 9001, 9101).replace("[app]\n", "[app]\noverlap = false\n")
    [problem] = problems_of(tmp_path, f"{text}[watch]\nfailover = true\n")
    assert problem.key == "watch.failover"
    assert "no other version runs" in problem.wrong
