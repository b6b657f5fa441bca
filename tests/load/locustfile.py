"""Where Locust's users look: `locust -f tests/load/locustfile.py Client --corpus reports/RUN/corpus`."""

from visionserve.load.locustfile import *  # noqa: F403  # Locust takes the users it finds here
