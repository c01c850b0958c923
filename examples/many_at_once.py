"""Create, start, follow and await a thousand experiments at once with one client.

Run `make serve`, paste the lines that it prints into another terminal, and start this file there; another number of
experiments can be given as argument.
"""

import asyncio
import sys
import time
from collections import Counter

from gradient import AsyncExperimentsClient, SingleNodeParameters

COUNT = 1000

PARAMETERS: SingleNodeParameters = {
    "name": "one of many",
    "project_id": "prmany",
    "command": "python train.py",
    "machine_type": "K80",
    "container": "python:3.11",
    "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 5, "GRADIENT_MOCK_SECONDS": 2},
}


async def one(client: AsyncExperimentsClient, done: Counter[str]) -> None:
    experiment_id = await client.create_single_node(**PARAMETERS)
    done["created"] += 1
    await client.start(experiment_id)
    done["started"] += 1
    async for _ in client.yield_logs(experiment_id):
        done["rows"] += 1
    await client.wait(experiment_id)
    done["ended"] += 1


async def show(done: Counter[str]) -> None:
    while True:
        await asyncio.sleep(2)
        print("  ".join(f"{number:>5} {what}" for what, number in done.items()), flush=True)


async def main(count: int = COUNT) -> None:
    began = time.monotonic()
    done = Counter({"created": 0, "started": 0, "rows": 0, "ended": 0})
    async with AsyncExperimentsClient() as client:
        showing = asyncio.create_task(show(done))
        await asyncio.gather(*(one(client, done) for _ in range(count)))
        showing.cancel()
    print(f"{done['ended']} experiments with {done['rows']} log rows in {time.monotonic() - began:.1f} seconds")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
