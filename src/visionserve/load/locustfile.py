"""Clients that send pictures with known answers: some wait for each answer, others come when they come.

visionserve load run resnet50            makes the corpus of pictures, runs this, and judges what it recorded
locust -f tests/load/locustfile.py Client --corpus reports/RUN/corpus -H http://127.0.0.1:8080
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from locust import FastHttpUser, constant, events, task

from visionserve.load import plan
from visionserve.load.sending import traffic

if TYPE_CHECKING:
    from locust.env import Environment

    from visionserve.load.sending.traffic import Traffic


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Let Locust take a plan's options."""
    parser.add_argument("--corpus", required=True, help="folder of pictures and their right answers")
    parser.add_argument("--samples", default="", help="folder for the raw records")
    plan.add_options(parser)


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Read the corpus before the first client is made."""
    traffic.prepare(environment)


@events.test_start.add_listener
def begin(environment: Environment, **_: Any) -> None:
    """Give the clients the traffic they share."""
    PictureUser.traffic = traffic.begin(environment)
    PictureUser.concurrency = PictureUser.traffic.plan.in_flight
    PictureUser.network_timeout = PictureUser.connection_timeout = PictureUser.traffic.plan.timeout


class PictureUser(FastHttpUser):
    """What both kinds of client share."""

    abstract = True
    host = "http://127.0.0.1:8080"
    wait_time = constant(0)
    traffic: Traffic

    def on_start(self) -> None:
        """Get this client's own choice of pictures."""
        self.choices = self.traffic.join()

    def on_stop(self) -> None:
        """Count this client out."""
        self.traffic.leave()


class Client(PictureUser):
    """Closed loop: sends the next picture as soon as it has the last answer."""

    @task
    def classify(self) -> None:
        """Send one picture and wait for its answer."""
        self.traffic.ask(self, self.choices)


class Arrivals(PictureUser):
    """Open loop: all clients of one process, who send on schedule whether or not the server keeps up."""

    @task
    def classify(self) -> None:
        """Send pictures until the schedule ends."""
        self.traffic.run_schedule(self, self.choices)
