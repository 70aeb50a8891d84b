"""Celery: `celery_contestant.py <json options>` prints one JSON line of figures, as contestant.mjs does.

Publishing is one loop, each message confirmed, since Celery's client has no other way. The worker is its default, prefork with a process for
each CPU; it has ended a task when the result stands in Redis.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import redis
from celery import Celery

options = json.loads(os.environ.get("BENCH") or sys.argv[1])
queue, count = options["queue"], options["count"]
app = Celery("bench", broker=options["amqp"], backend=options["redis"])
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    task_default_queue=queue,
    worker_hijack_root_logger=False,
)
results = redis.Redis.from_url(options["redis"])


@app.task(name="bench.add")
def add(a, b):
    return a + b


def cpu():
    """us of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) * 1e6


def timed(run):
    begun, used = time.monotonic(), cpu()
    end = run() or time.monotonic()
    return {"seconds": end - begun, "cpu": cpu() - used}


def publish():
    with app.producer_or_acquire() as producer:
        for _ in range(count):
            add.apply_async((1, 2), queue=queue, producer=producer)


def consume():
    before = results.dbsize()
    arguments = ["-A", "celery_contestant", "worker", "-Q", queue, "-l", "ERROR", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "celery", *arguments],
        cwd=os.path.dirname(os.path.abspath(__file__)),
        env={**os.environ, "BENCH": json.dumps(options)},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while results.dbsize() - before < count and time.monotonic() < deadline:
        time.sleep(0.02)
    end = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait()
    return end


if __name__ == "__main__":
    print(json.dumps({"publish": timed(publish), "consume": timed(consume)}))
