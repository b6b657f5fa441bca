"""What the project's other commands find this server by, written anew for each instance that is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.server.run import record

if TYPE_CHECKING:
    from visionserve.project import Project
    from visionserve.server.supervision.front import Front
    from visionserve.server.supervision.instances import Instance


class Announcement:
    """The run record; on a full disk that of before stays until there is room.

    Args:
        project: The project.
        front: The edge.
        orders: The socket on which orders are taken.
        drain_seconds: The longest that accepted requests may take when the server is to end.
    """

    def __init__(self, project: Project, front: Front, orders: str, drain_seconds: float) -> None:
        self._project, self._front, self._orders, self._drain_seconds = project, front, orders, drain_seconds
        self._unwritten: record.Running | None = None

    def renew(self, instance: Instance) -> None:
        """Tell of the instance that was started last, by `write`."""
        self._unwritten = record.Running(
            inference=self._front.url,
            management=instance.server.properties.management,
            archives={name: str(path) for name, path in instance.archives.items()},
            orders=self._orders,
            drain_seconds=self._drain_seconds,
            own=self._front.own,
        )

    def write(self) -> None:
        """Write what is not written yet.

        Raises:
            ServerError: It cannot be written now.
        """
        if self._unwritten is not None:
            record.write(self._project, self._unwritten)
            self._unwritten = None
