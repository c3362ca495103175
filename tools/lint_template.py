"""Lints template.yaml as CloudFormation will see it: after the SAM transform, for each region we support.

Linting the source alone misses what the transform makes: permissions, roles, event source mappings. Needs no network.
"""

import json
import sys
from pathlib import Path
from typing import Any

from cfnlint.api import lint
from cfnlint.config import ManualArgs
from samtranslator.parser.parser import Parser
from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.translator import Translator

from local.deploy import CODE_PROPERTIES, load_template

ROOT = Path(__file__).parent.parent
REGIONS = ("us-east-1", "eu-west-1")
DEPLOYED_CODE = "s3://packages/code.zip"
NOT_LINTED: dict[str, str] = {}  # rule of cfn-lint -> why it does not hold here


def main() -> int:
    template = load_template(ROOT / "template.yaml")
    problems = 0
    for region in REGIONS:
        try:
            translated = translate(template, region)
        except InvalidDocumentException as refused:
            for cause in refused.causes:
                print(f"template.yaml: {cause.message}")
            return 1
        for found in problems_of(translated, region):
            print(f"{region}: {found}")
            problems += 1
    if problems:
        print(f"The translated template has {problems} problems.")
        return 1
    print(f"The translated template is sound in {' and '.join(REGIONS)}.")
    return 0


def translate(template: dict[str, Any], region: str) -> dict[str, Any]:
    """The template after the SAM transform. Raises InvalidDocumentException."""
    source = json.loads(json.dumps(template))  # the translator changes what it is given
    for resource in source["Resources"].values():
        code = CODE_PROPERTIES.get(resource["Type"])
        if code is not None:
            resource["Properties"][code] = DEPLOYED_CODE
    defaults = {name: parameter.get("Default") for name, parameter in source.get("Parameters", {}).items()}
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=_Region(region))
    translated: dict[str, Any] = translator.translate(source, parameter_values=defaults)
    translator.metrics.publish()  # to nobody; it complains otherwise
    return translated


def problems_of(translated: dict[str, Any], region: str) -> list[str]:
    """What cfn-lint says of a translated template: place, rule, words."""
    settings = ManualArgs(regions=[region], ignore_checks=list(NOT_LINTED))
    found = lint(json.dumps(translated, indent=1), regions=[region], config=settings)
    return [f"{'/'.join(map(str, match.path or []))}: {match.rule.id} {match.message}" for match in found]


class _Region:
    """All that the translator asks of a session: it must not look for one of this machine."""

    def __init__(self, region_name: str) -> None:
        self.region_name = region_name


if __name__ == "__main__":
    sys.exit(main())
