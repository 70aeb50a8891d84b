"""The same task in Python: `celery -A signup worker -Q signups`, in this folder. BROKER_URL may be Redis or RabbitMQ."""
import os
import socket

from celery import Celery

app = Celery(
    "signup",
    broker=os.environ.get("BROKER_URL", "redis://localhost:6379/0"),
    backend=os.environ.get("RESULT_BACKEND", "redis://localhost:6379/0"),
)


@app.task(name="signup.welcome")
def welcome(name):
    print(f"{socket.gethostname()} welcomes {name}")
    return f"Welcome, {name}"
