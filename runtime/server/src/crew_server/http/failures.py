"""What went wrong of late, in full. In: HTTP. Out: calls to `service.Service`."""

import dataclasses

from fastapi import FastAPI, Response

from crew_server.http import problems
from crew_server.service import Service


def install(app: FastAPI, service: Service) -> None:
    """Add the call."""

    @app.get("/failures", summary="What went wrong of late in this replica, the newest last; each replica has its own")
    async def failures() -> Response:
        return problems.Json({"failures": [dataclasses.asdict(one) for one in service.failures()]})
