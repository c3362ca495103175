"""One whole stack for all end-to-end tests: emulator, template.yaml deployed, handsets, the demo school."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local import emulator
from local.api import Api, Key
from local.aws import Aws
from local.demo_school import KEY_ID, SCHOOL_ID, DemoSchool
from local.deploy import deploy
from local.emulator import Emulator
from local.handsets.portal import Portal
from local.handsets.server import Running, Setup, handsets
from local.run import CARRIER, STACK, console_settings, stack_parameters
from recado.rules import signatures
from tools import bootstrap
from tools.bootstrap import OPERATOR, OPERATOR_KEY
from tools.publish_console import publish

ROOT = Path(__file__).parent.parent.parent
AUDIENCE_MAX = 120  # so few, that a school of this size has a large audience


@dataclass(frozen=True)
class Stack:
    emulator: Emulator
    aws: Aws
    api: Api
    operator: Key
    school: Key
    handsets: Running

    @property
    def pages_url(self) -> str:
        """Where the pages are, e.g. http://127.0.0.1:4566/console."""
        return f"{self.emulator.endpoint_url}/console"

    def token(self, role: str = "director", subject: str = "directora", person: str | None = None) -> str:
        """A token as the demo school's portal signs it."""
        return self.school.token(role, subject, datetime.now(UTC), person=person)


def bootstrap_by_command(running: Emulator) -> str:
    """As people run it. In a process of its own: it takes the settings of the stack, and this one has those of moto."""
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": emulator.REGION}
    ended = subprocess.run(
        [sys.executable, "-m", "tools.bootstrap", "--stack", STACK, "--endpoint-url", running.endpoint_url],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **credentials},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with bring_up(tmp_path_factory.mktemp("stack")) as found:
        yield found


@contextmanager
def bring_up(folder: Path, **chosen: str) -> Iterator[Stack]:
    """A stack with parameters other than those of `make run`."""
    with emulator.emulator(emulator.free_port(), folder / "state") as running:
        aws = Aws(running.endpoint_url)
        bootstrap.create_master_secret(aws.client("ssm"), STACK)  # before the handsets, whose secrets hang from it
        master = bootstrap.read_master_secret(aws.client("ssm"), STACK)
        demo_key = Key(SCHOOL_ID, KEY_ID, signatures.portal_key_secret(master, SCHOOL_ID, KEY_ID))
        setup = Setup(
            portal=Portal(demo_key, running.endpoint_url),
            api_url=running.api_url,
            to_carrier_secret=signatures.webhook_secret(master, CARRIER, "to_carrier"),
            from_carrier_secret=signatures.webhook_secret(master, CARRIER, "from_carrier"),
            aws_endpoint_url=running.endpoint_url,
            stack=STACK,
        )
        with handsets(setup, dice=random.Random(1)) as phones:  # noqa: S311  # dice, not secrets
            parameters = stack_parameters(running, phones.url) | {"AudienceMax": str(AUDIENCE_MAX)} | chosen
            outputs = deploy(ROOT / "template.yaml", STACK, parameters, aws)
            publish(aws.client("s3"), outputs["ConsoleBucket"], console_settings(phones.url, outputs["LiveUrl"]))
            bootstrap_by_command(running)
            operator = Key(OPERATOR, OPERATOR_KEY, signatures.portal_key_secret(master, OPERATOR, OPERATOR_KEY))
            demo = DemoSchool(
                api=Api(running.api_url),
                aws=aws,
                operator=operator,
                import_bucket=outputs["ImportBucket"],
                marker=folder / "loaded",
                secret_of=lambda school_id, key_id: signatures.portal_key_secret(master, school_id, key_id),
                clock=lambda: datetime.now(UTC),
            )
            school, _ = demo.load()
            yield Stack(running, aws, Api(running.api_url), operator, school, phones)
