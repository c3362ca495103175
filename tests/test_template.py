"""What must be true of every resource of template.yaml, asked of the template as CloudFormation gets it."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from recado import aws, log
from recado.bucket import sign_upload
from recado.rules.caller_addresses import VIEWER_HEADER
from recado.session_sweep import LOOKS
from recado.settings import SETTINGS, Settings
from recado.tables.sessions import DUE_SHARDS
from tests.conftest import TEMPLATE
from tools.lint_template import translate
from tools.publish_console import ConsoleSettings, content_security_policy, deployed_settings

ROOT = Path(__file__).parent.parent
KEPT_TABLES = {"LedgerTable", "PeopleTable", "MessagesTable", "RoutesTable"}
PROTECTED_ON_AWS = {"Fn::If": ["Local", False, True]}
OTHERS_VARIABLES = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL", "AWS_ENDPOINT_URL"}
FORGETFUL_QUEUES = {"SweepsQueue"}  # each minute puts its jobs again
VISIBILITY_TIMES = 6  # AWS: at least six times the function's timeout, and the batching window
MANAGED_POLICIES = {  # what SAM adds to a role by itself
    "AWSLambdaBasicExecutionRole",
    "AWSXrayWriteOnlyAccess",
    "AWSXRayDaemonWriteAccess",
    "AWSLambdaSQSQueueExecutionRole",
}
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's managed policy
ANYBODYS_ROUTES = {  # no token: the anonymous page opens a session, carriers sign, the rest is public
    ("post", "/sessions"),
    ("get", "/sessions/settings"),
    ("post", "/carriers/{carrier}/replies"),
    ("post", "/carriers/{carrier}/receipts"),
    ("get", "/health"),
    ("get", "/openapi.json"),
    ("get", "/docs"),
}


@cache
def translated() -> dict[str, Any]:
    return translate(TEMPLATE, "us-east-1")


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Whole resources of one type, with their policies of deletion, by logical id."""
    return {name: one for name, one in translated()["Resources"].items() if one["Type"] == kind}


def properties(kind: str) -> dict[str, dict[str, Any]]:
    return {name: one["Properties"] for name, one in resources(kind).items()}


def dead_letter_queues() -> set[str]:
    """Of queues, and of functions that AWS invokes by itself and tries three times."""
    queues, functions = properties("AWS::SQS::Queue").values(), properties("AWS::Lambda::Function").values()
    of_queues = [one["RedrivePolicy"]["deadLetterTargetArn"] for one in queues if "RedrivePolicy" in one]
    of_functions = [one["DeadLetterConfig"]["TargetArn"] for one in functions if "DeadLetterConfig" in one]
    return {target["Fn::GetAtt"][0] for target in of_queues + of_functions}


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every role's own policies."""
    for role, one in properties("AWS::IAM::Role").items():
        for policy in one.get("Policies", []):
            found = policy["PolicyDocument"]["Statement"]
            yield from ((role, statement) for statement in (found if isinstance(found, list) else [found]))


def resolved(value: dict[str, str], region: str = "us-east-1") -> str:
    """A `!Sub` of pseudo parameters, as it is in one region of AWS."""
    found = value["Fn::Sub"].replace("${AWS::StackName}", "recado").replace("${AWS::AccountId}", "123456789012")
    return found.replace("${AWS::Region}", region).replace("${AWS::URLSuffix}", "amazonaws.com")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def mappings() -> list[tuple[str, str, dict[str, Any]]]:
    """(queue, function, properties) of each event source."""
    found = properties("AWS::Lambda::EventSourceMapping").values()
    return [(one["EventSourceArn"]["Fn::GetAtt"][0], one["FunctionName"]["Ref"], one) for one in found]


def test_every_queue_has_a_dead_letter_queue_or_is_one() -> None:
    queues = properties("AWS::SQS::Queue")
    dead = dead_letter_queues()

    assert dead < queues.keys()
    assert {name for name, one in queues.items() if "RedrivePolicy" not in one} == dead | FORGETFUL_QUEUES


def test_sweeps_wait_for_their_moment_and_are_then_forgotten_so_that_none_pile_up() -> None:
    found = properties("AWS::SQS::Queue")["SweepsQueue"]

    assert max(LOOKS) + 60 <= found["MessageRetentionPeriod"] <= 180


def test_every_shard_of_sessions_may_have_its_worker() -> None:
    (most,) = [one["ScalingConfig"]["MaximumConcurrency"] for queue, _, one in mappings() if queue == "SweepsQueue"]

    assert most >= DUE_SHARDS


def test_what_aws_itself_brings_is_not_lost_when_it_fails() -> None:
    functions = properties("AWS::Lambda::Function")

    assert {name for name, one in functions.items() if "DeadLetterConfig" in one} == {"Inbound", "RosterImport"}


def test_a_dead_letter_queue_keeps_jobs_at_least_as_long_as_its_queue() -> None:
    queues = properties("AWS::SQS::Queue")

    for one in queues.values():
        if "RedrivePolicy" in one:
            dead = queues[one["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
            assert dead["MessageRetentionPeriod"] >= one["MessageRetentionPeriod"]


def test_a_job_stays_invisible_while_its_function_may_still_be_at_it() -> None:
    functions, queues = properties("AWS::Lambda::Function"), properties("AWS::SQS::Queue")

    assert mappings()
    for queue, function, mapping in mappings():
        longest = VISIBILITY_TIMES * functions[function]["Timeout"] + mapping.get("MaximumBatchingWindowInSeconds", 0)
        assert queues[queue]["VisibilityTimeout"] >= longest, queue


def test_every_queue_that_is_worked_reports_failures_one_by_one() -> None:
    working = {queue: mapping["FunctionResponseTypes"] for queue, _, mapping in mappings()}

    assert working.keys() == properties("AWS::SQS::Queue").keys() - dead_letter_queues()
    assert all(found == ["ReportBatchItemFailures"] for found in working.values())


def test_what_may_not_be_lost_is_backed_up_protected_and_retained() -> None:
    tables = resources("AWS::DynamoDB::Table")

    assert tables.keys() == KEPT_TABLES | {"SessionsTable"}
    for name in KEPT_TABLES:
        table, found = tables[name], tables[name]["Properties"]
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain"), name
        assert found["DeletionProtectionEnabled"] == PROTECTED_ON_AWS, name
        assert found["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name


def test_what_a_session_said_is_in_no_backup() -> None:
    """C7: deleted is deleted."""
    table = resources("AWS::DynamoDB::Table")["SessionsTable"]

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Delete", "Delete")
    assert "PointInTimeRecoverySpecification" not in table["Properties"]


def test_no_policy_allows_an_action_by_wildcard() -> None:
    allowed = [action for _, one in statements() if one["Effect"] == "Allow" for action in listed(one["Action"])]

    assert allowed
    assert [action for action in allowed if "*" in action] == []


def test_only_texts_to_numbers_have_any_resource() -> None:
    allowed = [(role, one) for role, one in statements() if one["Effect"] == "Allow"]

    anything = [(role, listed(one["Action"])) for role, one in allowed if "*" in listed(one["Resource"])]

    assert anything == [("DispatchRole", ["sns:Publish"])]


def test_a_wildcard_resource_says_why_beside_it() -> None:
    lines = [line for line in (ROOT / "template.yaml").read_text().splitlines() if 'Resource: ["*"]' in line]

    assert lines
    assert all("  # " in line for line in lines)


def test_no_role_has_a_managed_policy_that_sam_does_not_add_itself() -> None:
    roles = properties("AWS::IAM::Role").values()
    found = {str(arn).rpartition("/")[2] for role in roles for arn in role.get("ManagedPolicyArns", [])}

    assert found <= MANAGED_POLICIES


def test_logs_are_not_kept_for_ever_and_every_function_writes_to_such_a_group() -> None:
    groups = properties("AWS::Logs::LogGroup")

    assert all(one.get("RetentionInDays") for one in groups.values())
    for name, one in properties("AWS::Lambda::Function").items():
        assert one["LoggingConfig"]["LogGroup"]["Ref"] in groups, name


def test_the_topic_takes_from_aws_what_handsets_answer_to_this_account_and_from_nobody_else() -> None:
    [policy] = properties("AWS::SNS::TopicPolicy").values()

    [statement] = policy["PolicyDocument"]["Statement"]
    assert policy["Topics"] == [{"Ref": "TwoWayTopic"}]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "sms-voice.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": {"Ref": "TwoWayTopic"},
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }


def test_every_line_of_snss_delivery_logs_invokes_the_function_that_reads_it() -> None:
    filters = properties("AWS::Logs::SubscriptionFilter")
    groups = {
        one["LogGroupName"]["Fn::Sub"] for one in properties("AWS::Logs::LogGroup").values() if "LogGroupName" in one
    }

    assert {one["LogGroupName"]["Fn::If"][2]["Fn::Sub"] for one in filters.values()} == groups
    assert {str(one["DestinationArn"]) for one in filters.values()} == {str({"Fn::GetAtt": ["Inbound", "Arn"]})}
    assert {one["FilterPattern"] for one in filters.values()} == {""}
    permission = properties("AWS::Lambda::Permission")["SnsLogsMayInvoke"]
    prefix = permission["SourceArn"]["Fn::Sub"].rpartition("log-group:")[2]
    assert all(group.startswith(prefix.removesuffix("*")) for group in groups)
    assert (permission["Principal"], permission["SourceAccount"]) == ("logs.amazonaws.com", {"Ref": "AWS::AccountId"})


def test_snss_delivery_logs_are_there_only_where_they_are_wanted_and_their_numbers_for_a_day() -> None:
    by_condition = {
        name: one["Condition"]
        for kind in (
            "AWS::Logs::LogGroup",
            "AWS::Logs::SubscriptionFilter",
            "AWS::IAM::Role",
            "AWS::Lambda::Permission",
        )
        for name, one in resources(kind).items()
        if name.startswith("Sns")
    }

    assert by_condition == {
        "SnsDeliveries": "SnsLogsMade",
        "SnsFailures": "SnsLogsMade",
        "SnsDeliveryRole": "SnsLogsMade",
        "SnsDeliveriesRead": "SnsLogsRead",
        "SnsFailuresRead": "SnsLogsRead",
        "SnsLogsMayInvoke": "SnsLogsRead",
    }
    kept = [one["RetentionInDays"] for one in properties("AWS::Logs::LogGroup").values() if "LogGroupName" in one]
    assert kept == [{"Ref": "SnsDeliveryLogDays"}] * 2
    assert translated()["Parameters"]["SnsDeliveryLogDays"]["Default"] == 1


def test_sns_writes_its_delivery_logs_and_nothing_else() -> None:
    [role] = [one for name, one in properties("AWS::IAM::Role").items() if name == "SnsDeliveryRole"]

    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert {action.partition(":")[0] for action in statement["Action"]} == {"logs"}
    assert [one["Fn::Sub"].rpartition(":")[2] for one in statement["Resource"]] == ["sns/*"]


def test_every_function_and_the_api_are_traced() -> None:
    functions = properties("AWS::Lambda::Function")

    assert {name for name, one in functions.items() if one["TracingConfig"] != {"Mode": "Active"}} == set()
    assert [one["TracingEnabled"] for one in properties("AWS::ApiGateway::Stage").values()] == [True]


@pytest.mark.parametrize("name", sorted(properties("AWS::Lambda::Function")))
def test_a_function_gets_exactly_the_variables_that_settings_ask_for(name: str) -> None:
    variables = set(properties("AWS::Lambda::Function")[name]["Environment"]["Variables"])

    assert variables - OTHERS_VARIABLES == {field.name.upper() for field in fields(Settings)}


def test_every_function_has_its_folder_and_every_folder_its_function() -> None:
    functions = [one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::Serverless::Function"]
    named = {one["Properties"]["CodeUri"] for one in functions}
    folders = {f"functions/{path.parent.name}" for path in (ROOT / "functions").glob("*/app.py")}

    assert named == folders


def test_nobody_without_a_token_gets_further_than_the_open_routes() -> None:
    (api,) = properties("AWS::ApiGateway::RestApi").values()
    routes = {
        (method, path): operation.get("security", [])
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    }

    assert {
        route for route, security in routes.items() if not any("Tokens" in one for one in security)
    } == ANYBODYS_ROUTES


def test_a_firewall_that_counts_by_address_stands_before_the_apis_stage() -> None:
    (association,) = properties("AWS::WAFv2::WebACLAssociation").values()
    (firewall,) = properties("AWS::WAFv2::WebACL").values()
    (stage,) = properties("AWS::ApiGateway::Stage").values()

    assert association["WebACLArn"] == {"Fn::GetAtt": ["Firewall", "Arn"]}
    assert association["ResourceArn"]["Fn::Sub"].endswith(f"::/restapis/${{Api}}/stages/{stage['StageName']}")
    assert firewall["DefaultAction"] == {"Allow": {}}
    limits = {rule["Name"]: rule["Statement"]["RateBasedStatement"] for rule in rules_of(firewall)}
    assert {name: one["Limit"] for name, one in limits.items()} == {
        "session-posts": {"Ref": "SessionPostsPerAddressMax"},
        "requests": {"Ref": "RequestsPerAddressMax"},
        "session-posts-of-viewers": {"Ref": "SessionPostsPerAddressMax"},
        "requests-of-viewers": {"Ref": "RequestsPerAddressMax"},
    }
    assert {one["EvaluationWindowSec"] for one in limits.values()} == {300}
    posts = [
        ("Method", "EXACTLY", "POST"),
        ("UriPath", "STARTS_WITH", f"/{stage['StageName']}/sessions"),
    ]
    through = ("SingleHeader", "EXACTLY", {"Ref": "EdgeSecret"})
    assert matches(limits["session-posts"]) == [*posts, ("not", *through)]
    assert matches(limits["requests"]) == [("not", *through)]
    assert matches(limits["session-posts-of-viewers"]) == [through, *posts]
    assert matches(limits["requests-of-viewers"]) == [through]


def rules_of(firewall: dict[str, Any]) -> list[dict[str, Any]]:
    """Also those that are there only with the pages."""
    return [one.get("Fn::If", [None, one])[1] for one in firewall["Rules"]]


def matches(limit: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What a rule looks at, with the pages: (field, how, what), or ("not", …)."""
    scope = limit["ScopeDownStatement"]
    statements = scope["AndStatement"]["Statements"] if "AndStatement" in scope else [scope]
    return [_match(one.get("Fn::If", [None, one])[1]) for one in statements]


def _match(statement: dict[str, Any]) -> tuple[Any, ...]:
    if "NotStatement" in statement:
        return ("not", *_match(statement["NotStatement"]["Statement"]))
    one = statement["ByteMatchStatement"]
    return (next(iter(one["FieldToMatch"])), one["PositionalConstraint"], one["SearchString"])


def test_whom_the_firewall_blocks_is_told_like_by_everything_else() -> None:
    (firewall,) = properties("AWS::WAFv2::WebACL").values()
    (api,) = properties("AWS::ApiGateway::RestApi").values()
    blocked = api["Body"]["x-amazon-apigateway-gateway-responses"]["WAF_FILTERED"]

    # A response of the rule's own would come before the API's, and could not be problem+json.
    assert [rule["Action"] for rule in rules_of(firewall)] == [{"Block": {}}] * 4
    assert int(blocked["statusCode"]) == 429
    assert blocked["responseParameters"]["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
    assert blocked["responseParameters"]["gatewayresponse.header.Retry-After"] == "'300'"
    assert '"code":"too_many_requests"' in blocked["responseTemplates"]["application/json"]


def test_the_firewall_is_never_on_the_emulator_and_keeps_no_samples_of_requests() -> None:
    (firewall,) = properties("AWS::WAFv2::WebACL").values()

    for kind in ("AWS::WAFv2::WebACL", "AWS::WAFv2::WebACLAssociation"):
        assert [one["Condition"] for one in resources(kind).values()] == ["OnAws"]
    assert translated()["Conditions"]["OnAws"] == {"Fn::Not": [{"Condition": "Local"}]}
    kept = [one["VisibilityConfig"]["SampledRequestsEnabled"] for one in (firewall, *rules_of(firewall))]
    assert kept == [False] * 5  # a sample shows headers, and the tokens in them


def test_nobody_opens_a_socket_without_a_token_and_no_log_would_hold_it() -> None:
    routes = {one["RouteKey"]: one for one in properties("AWS::ApiGatewayV2::Route").values()}
    (stage,) = properties("AWS::ApiGatewayV2::Stage").values()
    (authorizer,) = properties("AWS::ApiGatewayV2::Authorizer").values()

    assert routes.keys() == {"$connect", "$disconnect", "$default"}
    assert routes["$connect"]["AuthorizationType"] == "CUSTOM"
    assert routes["$connect"]["AuthorizerId"] == {"Ref": "SocketsConnectAuthorizer"}
    assert authorizer["IdentitySource"] == ["route.request.querystring.session", "route.request.querystring.token"]
    assert "AccessLogSettings" not in stage  # the query is in them, and the token in the query


def test_only_who_tells_pages_may_post_to_sockets_and_only_post() -> None:
    found = {
        (role, action) for role, one in statements() for action in listed(one["Action"]) if "execute-api" in action
    }
    where = {
        str(one["Resource"]) for _, one in statements() if "execute-api:ManageConnections" in listed(one["Action"])
    }

    tellers = ("Dispatch", "Inbound", "Live", "SessionSweeper", "Sessions")
    assert found == {(f"{name}Role", "execute-api:ManageConnections") for name in tellers}
    assert len(where) == 1
    assert "${Sockets}/live/POST/@connections/*" in where.pop()


def test_a_new_version_of_the_layer_leaves_the_old_one_for_functions_that_still_run() -> None:
    (layer,) = resources("AWS::Lambda::LayerVersion").values()

    assert layer["DeletionPolicy"] == "Retain"


# --- the pages --------------------------------------------------------------------------------------------------------


def test_cloudfront_says_of_a_page_what_the_page_says_itself_and_who_may_embed_it() -> None:
    (headers,) = properties("AWS::CloudFront::ResponseHeadersPolicy").values()
    said = headers["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]["ContentSecurityPolicy"]
    template, values = said["ContentSecurityPolicy"]["Fn::Sub"]
    uploads = resolved(values["Uploads"])
    settings = ConsoleSettings(token_url="https://portal.example/token", uploads_url=uploads)

    told = template.replace("${Portal}", " https://portal.example").replace("${PortalOrigins}", "https://a.example")
    told = told.replace("${Uploads}", uploads)

    assert values["Portal"]["Fn::If"][0] == "WithPortalToken"
    assert told == f"{content_security_policy(settings)}; frame-ancestors 'self' https://a.example"


@pytest.mark.parametrize("region", ["us-east-1", "sa-east-1"])
def test_a_roster_goes_where_the_pages_may_send_it(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = translated()["Outputs"]["UploadsUrl"]["Value"]
    bucket = properties("AWS::S3::Bucket")["ImportBucket"]["BucketName"]
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setattr("recado.bucket.SETTINGS", replace(SETTINGS, import_bucket=resolved(bucket, region)))
    aws.client.cache_clear()

    signed = urlsplit(sign_upload("imports/andino/i1/roster.zip", 60))
    aws.client.cache_clear()

    assert f"{signed.scheme}://{signed.netloc}" == resolved(output, region)
    settings = deployed_settings({"UploadsUrl": resolved(output, region)})
    assert f"connect-src 'self' {resolved(output, region)};" in content_security_policy(settings)


def test_only_the_pages_own_origin_may_put_a_roster_from_a_browser() -> None:
    condition, allowed, otherwise = properties("AWS::S3::Bucket")["ImportBucket"]["CorsConfiguration"]["Fn::If"]
    (rule,) = allowed["CorsRules"]

    assert (condition, otherwise) == ("WithPages", {"Ref": "AWS::NoValue"})
    assert rule["AllowedMethods"] == ["PUT"]
    (origin,) = rule["AllowedOrigins"]
    assert origin == translated()["Outputs"]["PagesUrl"]["Value"]


def test_only_our_cloudfront_reads_the_pages_and_nothing_of_them_is_public() -> None:
    policy = properties("AWS::S3::BucketPolicy")["ConsoleBucketPolicy"]["PolicyDocument"]["Statement"]
    bucket = properties("AWS::S3::Bucket")["ConsoleBucket"]

    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert [one["Effect"] for one in policy if one["Principal"] == "*"] == ["Deny"]
    (allowed,) = [one for one in policy if one["Effect"] == "Allow"]
    assert "AWS:SourceArn" in allowed["Condition"]["StringEquals"]


def test_the_api_behind_the_pages_is_never_cached_and_is_told_whose_request_it_is() -> None:
    (distribution,) = properties("AWS::CloudFront::Distribution").values()
    (api,) = [one for one in distribution["DistributionConfig"]["CacheBehaviors"] if one["PathPattern"] == "/v1/*"]
    (origin,) = [one for one in distribution["DistributionConfig"]["Origins"] if one["Id"] == "api"]

    assert api["CachePolicyId"] == CACHING_DISABLED
    assert api["FunctionAssociations"][0]["EventType"] == "viewer-request"
    assert origin["OriginCustomHeaders"] == [{"HeaderName": "X-Recado-Edge", "HeaderValue": {"Ref": "EdgeSecret"}}]
    (viewer,) = properties("AWS::CloudFront::Function").values()
    assert f'headers["{VIEWER_HEADER}"] = {{ value: event.viewer.ip }}' in viewer["FunctionCode"]


def test_the_firewall_counts_each_request_by_one_address() -> None:
    (firewall,) = properties("AWS::WAFv2::WebACL").values()
    direct = [one for one in firewall["Rules"] if "Name" in one]
    through = [one["Fn::If"][1] for one in firewall["Rules"] if "Fn::If" in one]

    assert [one["Statement"]["RateBasedStatement"]["AggregateKeyType"] for one in direct] == ["IP", "IP"]
    assert [one["Statement"]["RateBasedStatement"]["AggregateKeyType"] for one in through] == ["FORWARDED_IP"] * 2
    for one in through:
        assert one["Statement"]["RateBasedStatement"]["ForwardedIPConfig"]["HeaderName"].lower() == VIEWER_HEADER


# --- alarms ---


def test_every_dead_letter_queue_has_an_alarm_that_says_so_at_the_first_job_in_it() -> None:
    found = {
        one["Dimensions"][0]["Value"]["Fn::GetAtt"][0]: (one["Threshold"], one["ComparisonOperator"])
        for one in properties("AWS::CloudWatch::Alarm").values()
        if one["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }

    assert found == dict.fromkeys(dead_letter_queues(), (0, "GreaterThanThreshold"))


def test_alarms_tell_their_topic_when_they_begin_and_when_they_are_over() -> None:
    found = properties("AWS::CloudWatch::Alarm")

    assert len(found) == len(dead_letter_queues()) + 3
    for one in found.values():
        assert one["AlarmActions"] == one["OKActions"] == [{"Ref": "Alarms"}]
        assert one["TreatMissingData"] == "notBreaching"  # nothing to count is what is hoped for


def test_the_email_of_alarms_is_only_there_when_it_is_given() -> None:
    subscription = resources("AWS::SNS::Subscription")["AlarmsToEmail"]

    assert subscription["Condition"] == "WithAlarmEmail"


def test_the_alarm_of_circuits_counts_the_lines_that_are_really_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter is written by CloudWatch's grammar; its three terms are what `circuits.save` logs."""
    (counted,) = properties("AWS::Logs::MetricFilter").values()
    terms = re.findall(r'\(\$\.([a-z.]+) (?:= "([a-z_]+)"|IS (FALSE))\)', counted["FilterPattern"])

    written = StringIO()
    monkeypatch.setattr(log._logger.registered_handler, "stream", written)
    log.outcome("circuit_changed", carrier="sns", country="CL", before="closed", after="open", held=False, openings=1)

    line = json.loads(written.getvalue())
    assert len(terms) == 3
    for path, word, is_false in terms:
        found: Any = line
        for name in path.split("."):
            found = found[name]
        assert (found is False) if is_false else (found == word)
    alarm = properties("AWS::CloudWatch::Alarm")["CircuitAlarm"]
    transformation = counted["MetricTransformations"][0]
    assert (alarm["Namespace"], alarm["MetricName"]) == (
        transformation["MetricNamespace"],
        transformation["MetricName"],
    )
