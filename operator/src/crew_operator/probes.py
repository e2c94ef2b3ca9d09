"""/healthz, /readyz and /metrics. A probe answers from memory and cannot raise: it must not wait for what it judges."""

import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from crew_operator.metrics import Metrics
from crew_operator.settings import Settings


@contextlib.asynccontextmanager
async def serve(settings: Settings, metrics: Metrics, trouble: Callable[[], str]) -> AsyncIterator[dict[str, int]]:
    """Serve until left; gives the ports by name, as 0 in the settings means any free one.

    Args:
        trouble: what is wrong with the operator; empty while nothing is.
    """

    async def text(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def health(_: web.Request) -> web.Response:
        said = trouble()
        return web.Response(text=f"{said or 'ok'}\n", status=503 if said else 200)

    routes = {"metrics": [web.get("/metrics", text)]}
    probes = [web.get("/healthz", health), web.get("/readyz", health)]
    wanted = {"metrics": settings.metrics_port, "healthz": settings.healthz_port}
    if settings.metrics_port == settings.healthz_port != 0:
        routes["metrics"] += probes
    else:
        routes["healthz"] = probes
    async with contextlib.AsyncExitStack() as stack:
        ports = {
            name: await stack.enter_async_context(_site(settings.bind, wanted[name], found))
            for name, found in routes.items()
        }
        yield {"healthz": ports["metrics"], **ports}


@contextlib.asynccontextmanager
async def _site(bind: str, port: int, routes: list[web.RouteDef]) -> AsyncIterator[int]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, bind, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
