"""The program of `Asgi`: the unpacked archive FOLDER behind a FastAPI app, `/predict` at PORT."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastapi
import uvicorn

from visionserve.runtime.wire.request import Request
from visionserve.runtime.wire.responses import Response
from visionserve.runtime.worker import Worker

app = fastapi.FastAPI()
worker = Worker.open(Path(sys.argv[1]))
waiting: asyncio.Queue[tuple[Request, asyncio.Future[Response]]] = asyncio.Queue()


@app.post("/predict")
async def _predict(http: fastapi.Request) -> fastapi.Response:
    answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    await waiting.put((Request({"body": await http.body()}, dict(http.headers)), answer))
    got = await answer
    return fastapi.Response(got.body, got.status, dict(got.headers), got.content_type)


async def _serve() -> None:
    server = asyncio.create_task(uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[2]))).serve())
    thread = ThreadPoolExecutor(1)  # one thread computes, so that torch keeps one team of threads
    while not server.done():
        batch = [await waiting.get()]  # and all that came while the batch before it was answered
        batch += [waiting.get_nowait() for _ in range(min(waiting.qsize(), worker.model.batch_size - 1))]
        call = asyncio.get_running_loop().run_in_executor(thread, worker.answer, [sent for sent, _ in batch])
        for (_, answer), response in zip(batch, await call, strict=True):
            if not answer.done():  # its client may have gone
                answer.set_result(response)


asyncio.run(_serve())
