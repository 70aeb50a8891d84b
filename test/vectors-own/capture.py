"""Captures what Celery's client puts on RabbitMQ, for ways of sending that ../vectors/ does not hold.

    /usr/bin/python3 test/vectors-own/capture.py amqp://guest:guest@127.0.0.1:5672// > test/vectors-own/task-messages.amqp.celery-5.2.6.json

It uses one queue and one topic exchange, and deletes both.
"""
import base64
import datetime
import decimal
import json
import re
import sys
import time
import uuid

import celery
import kombu
from celery import Celery
from kombu import Exchange, Queue

UTC = datetime.timezone.utc
queue_name = f"celeriac-capture-{uuid.uuid4()}"
app = Celery("capture", broker=sys.argv[1], backend=None)
app.conf.task_queues = [Queue(queue_name, exchange="", routing_key=queue_name, durable=False)]
app.conf.task_default_queue = queue_name
topic = Exchange(f"{queue_name}-topic", type="topic", durable=False)


def body_of(message):
    raw = message.body if isinstance(message.body, bytes) else message.body.encode()
    try:
        return {"body": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(raw).decode()}


def neutral(value):
    if isinstance(value, str):
        return re.sub(r"^(gen\d+@).*", r"\1host", value).replace(queue_name, "cap")
    return value


def taken(queue):
    for _ in range(500):
        message = queue.get(no_ack=True)
        if message is not None:
            break
        time.sleep(0.01)
    else:
        raise SystemExit("nothing arrived")
    return {
        "properties": {key: value for key, value in message.properties.items() if key != "application_headers"},
        "headers": {key: neutral(value) for key, value in message.headers.items()},
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "delivery_info": {key: neutral(message.delivery_info[key]) for key in ("exchange", "routing_key")},
        **body_of(message),
    }


def cases():
    number = 0

    def send(queue, args, kwargs=None, **options):
        nonlocal number
        number += 1
        app.send_task("tasks.add", args, kwargs, task_id=f"00000000-0000-4000-8000-{number:012}", **options)
        return [taken(queue)]

    with app.connection_for_write() as connection:
        channel = connection.channel()
        queue = Queue(queue_name, exchange=topic, routing_key="sum.#", durable=False)(channel)
        queue.declare()
        nan, inf = float("nan"), float("inf")
        yield "nan", send(queue, (nan, inf), {"low": -inf})
        yield "topic", send(queue, (2, 3), exchange=topic, routing_key="sum.add.now")
        yield "numbers", send(queue, (1.0, 1e5, 1e16, 1e22, 1e-5, 1e-7, 0.1, -0.0, 5e-324, 2 ** 53, 2 ** 60, -(2 ** 70)), {"true": True})
        yield "strings", send(queue, ("\x00\x1f\x7f\x80é셔€\u2028😀\"\\/\b\f\n\r\t",), {"": "", "'": "it's"})
        yield "json_types_as_text", send(
            queue,
            (
                datetime.datetime(2024, 5, 28, 1, 2, 3, 456789),
                datetime.datetime(2024, 5, 28, 1, 2, 3, tzinfo=UTC),
                datetime.date(2024, 5, 28),
                datetime.time(1, 2, 3),
                decimal.Decimal("1.10"),
                uuid.UUID("12345678123456781234567812345678"),
            ),
        )
        queue.delete()
        topic(channel).delete()
        # Celery declared an exchange of the queue's name.
        Exchange(queue_name)(channel).delete()


json.dump(
    {
        "celery": celery.__version__,
        "kombu": kombu.__version__,
        "broker": "amqp",
        "cases": dict(cases()),
    },
    sys.stdout,
    indent=2,
)
print()
