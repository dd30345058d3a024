"""What a scrape says, for tests: samples by name and labels."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.helpers.process import PATIENCE, Answer

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scrape:
    """The samples of one answer: `scrape("sessions_loads_total", outcome="hit")`."""

    def __init__(self, text: str, *, is_open_metrics: bool = False) -> None:
        self.text = text
        parse = open_metrics if is_open_metrics else text_string_to_metric_families
        self.families = list(parse(text))
        self.samples: Samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of *name* that have these labels among theirs."""
        found = list(self.find(name, **labels))
        assert found, f"no {name} with {labels} in:\n{self.text}"
        return sum(found)

    def find(self, name: str, **labels: str) -> Iterator[float]:
        for (found, its_labels), value in self.samples.items():
            if found == name and set(labels.items()) <= set(its_labels):
                yield value

    @property
    def names(self) -> set[str]:
        """The names of the samples."""
        return {name for name, _ in self.samples}

    def values_of(self, label: str) -> set[str]:
        """Return what a label is anywhere."""
        return {value for _, labels in self.samples for name, value in labels if name == label}


def get(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> Answer:
    """Ask a process's metrics port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def scrape(port: int) -> Scrape:
    answer = get(port)
    assert answer.status == 200, answer.body
    return Scrape(answer.body)
