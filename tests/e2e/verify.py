"""Verifies what main.mjs received with the official Python library `standardwebhooks`.

    .dev/venv/bin/python tests/e2e/verify.py RECORDS_FOLDER

Run right after main.mjs: the library refuses signatures older than five minutes.
"""

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def verify(record):
    """Why a record is refused; None if it verifies and a changed body does not."""
    body = base64.b64decode(record["body"], validate=True)
    if hashlib.sha256(body).hexdigest() != record["sha256"]:
        return "the body is not what was published"
    try:
        body.decode()
    except UnicodeDecodeError:
        # The library turns the body into text first, and cannot verify other bytes: the scheme itself then.
        return None if signature(record, body) in record["headers"]["webhook-signature"].split(" ") else "no match"
    webhook = Webhook(record["secret"])
    try:
        webhook.verify(body, record["headers"], json_parse=False)
    except WebhookVerificationError as error:
        return str(error)
    try:
        webhook.verify(body + b" ", record["headers"], json_parse=False)
    except WebhookVerificationError:
        return None
    return "the library accepts a changed body"


def signature(record, body):
    key = base64.b64decode(record["secret"].removeprefix("whsec_"), validate=True)
    headers = record["headers"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def main():
    records = json.loads((Path(sys.argv[1]) / "records.json").read_text(encoding="utf-8"))
    problems = 0
    for record in records:
        problem = verify(record)
        if problem:
            problems += 1
            print(f"{record['headers']['webhook-id']}: {problem}", file=sys.stderr)
    print(f"{len(records)} requests checked, {problems} problems")
    return 1 if problems or not records else 0


if __name__ == "__main__":
    sys.exit(main())
