"""Users who send pictures with known answers, one after the other, each waiting for its answer.

locust -f tests/load/locustfile.py --model resnet50 --archive model_store/resnet50.mar
"""

from __future__ import annotations

import random
import zipfile
from typing import Any

from locust import FastHttpUser, constant, events, task

from visionserve.runtime import archive


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    parser.add_argument("--model", required=True, help="the model to ask")
    parser.add_argument("--archive", required=True, help="its .mar: the pictures to send and their answers")


class Client(FastHttpUser):
    """A client with a queue of pictures: it sends the next one as soon as it has the last answer."""

    host = "http://127.0.0.1:8080"
    wait_time = constant(0)

    def on_start(self) -> None:
        options = self.environment.parsed_options
        self.model = options.model
        self.known = archive.known_answers(zipfile.Path(options.archive))

    @task
    def classify(self) -> None:
        picture, labels = random.choice(self.known)
        with self.client.post(
            f"/predictions/{self.model}",
            data=picture.data,  # type: ignore[arg-type]  # Locust sends bytes and does not say so
            headers={"Content-Type": "application/octet-stream"},
            name=self.model,
            catch_response=True,
        ) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}: {response.text}")
            elif (answer := next(iter(response.json()))) not in labels:
                response.failure(f"wrong answer: '{answer}' for {picture.name}")
