"""Kudu's objects: their members, and values read as strictly as its .NET client reads them."""

import datetime
import re

LIST_ITEM = {"id": int, "name": str, "href": "href", "machineName": str, "user_name": str}
THREAD_ITEM = {"id": int, "href": "href", "state": "state"}
MODULE_ITEM = {"base_address": "base", "file_name": str, "href": "href", "file_version": "text"}
PROCESS = {
    **LIST_ITEM,
    "minidump": "href",
    "parent": "href",
    "children": ["href"],
    "threads": [THREAD_ITEM],
    "modules": [MODULE_ITEM],
    "open_file_handles": [str],
    "file_name": str,
    "command_line": "text",
    "handle_count": "count",
    "module_count": "count",
    "thread_count": "count",
    "start_time": "instant",
    "total_cpu_time": "span",
    "user_cpu_time": "span",
    "privileged_cpu_time": "span",
    "working_set": "size",
    "peak_working_set": "size",
    "private_memory": "size",
    "virtual_memory": "size",
    "peak_virtual_memory": "size",
    "paged_system_memory": "size",
    "non_paged_system_memory": "size",
    "paged_memory": "size",
    "peak_paged_memory": "size",
    "time_stamp": "instant",
    "environment_variables": "texts",
    "is_scm_site": "boolean",
    "is_webjob": "boolean",
    "description": "text",
    "unavailable": "texts",
}
THREAD = {
    **THREAD_ITEM,
    "process": "href",
    "start_address": "address",
    "current_priority": int,
    "base_priority": int,
    "priority_level": "priority",
    "start_time": "instant",
    "total_processor_time": "span",
    "user_processor_time": "span",
    "priviledged_processor_time": "span",
    "wait_reason": "wait",
    "name": "text",
    "os_state": "letter",
    "unavailable": "texts",
}
MODULE = {
    **MODULE_ITEM,
    "file_path": "text",
    "module_memory_size": "count",
    "file_description": "text",
    "product": "text",
    "product_version": "text",
    "is_debug": "boolean",
    "language": "text",
    "build_id": "build_id",
    "unavailable": "texts",
}

SPAN = re.compile(r"(-)?(?:(\d+)\.)?([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{7}))?")
INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(Z)?")
UNKNOWN_INSTANT = "0001-01-01T00:00:00"
UNKNOWN_SPAN = "-00:00:01"

# Names of System.Diagnostics.ThreadState, ThreadWaitReason and ThreadPriorityLevel.
STATES = set("Initialized Ready Running Standby Terminated Wait Transition Unknown".split())
NO_WAIT = "Cannot obtain wait reason unless thread is in waiting state"
WAIT_REASONS = set(
    "Executive FreePage PageIn SystemAllocation ExecutionDelay Suspended UserRequest EventPairHigh "
    "EventPairLow LpcReceive LpcReply VirtualMemory PageOut Unknown".split()
) | {NO_WAIT}
PRIORITIES = set("Idle Lowest BelowNormal Normal AboveNormal Highest TimeCritical".split())


def seconds_of_span(text):
    """As TimeSpan.ParseExact(text, "c") takes it."""
    match = SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"no span: {text!r}")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    total = (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + int(seconds)
    total += int(fraction or 0) / 1e7
    return -total if sign else total


def unix_of_instant(text):
    """As DateTime with round-trip format, which has to say that it is UTC."""
    match = INSTANT.fullmatch(text)
    if match is None or not match[3]:
        raise ValueError(f"no instant in UTC: {text!r}")
    whole = datetime.datetime.fromisoformat(match[1]).replace(tzinfo=datetime.timezone.utc)
    return whole.timestamp() + int((match[2] or "0").ljust(7, "0")) / 1e7


def is_text(value):
    return value is None or isinstance(value, str)


def is_number(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_kind(kind, value):
    if kind is int:
        return is_number(value, -(2**31), 2**31 - 1)
    if kind is str:
        return isinstance(value, str)
    checks = {
        "text": is_text,
        "texts": lambda v: isinstance(v, dict) and all(is_text(each) for each in v.values()),
        "boolean": lambda v: v is None or isinstance(v, bool),
        "count": lambda v: is_number(v, -1, 2**31 - 1),
        "size": lambda v: is_number(v, -1, 2**63 - 1),
        "href": lambda v: isinstance(v, str) and re.match(r"https?://[^/]+/.", v) is not None,
        "base": lambda v: isinstance(v, str) and re.fullmatch(r"[1-9a-f][0-9a-f]*", v) is not None,
        "address": lambda v: v is None or re.fullmatch(r"0x[0-9A-F]+", v) is not None,
        "build_id": lambda v: v is None or re.fullmatch(r"(?:[0-9a-f]{2})+", v) is not None,
        "letter": lambda v: v is None or re.fullmatch(r"[A-Za-z]", v) is not None,
        "state": lambda v: v in STATES or v is None,
        "wait": lambda v: v in WAIT_REASONS or v is None,
        "priority": lambda v: v in PRIORITIES or v is None,
        "span": lambda v: seconds_of_span(v) >= 0 or v == UNKNOWN_SPAN,
        "instant": lambda v: v == UNKNOWN_INSTANT or unix_of_instant(v) > 0,
    }
    return checks[kind](value)


def check(shape, value, where="$"):
    """Raises AssertionError where the value hasn't exactly this shape."""
    if isinstance(shape, list):
        assert isinstance(value, list), f"{where} is no list: {value!r}"
        for index, each in enumerate(value):
            check(shape[0], each, f"{where}[{index}]")
    elif isinstance(shape, dict):
        # An item says `unavailable` only where there is something to say.
        optional = set() if "unavailable" in shape else {"unavailable"}
        assert set(value) - optional == set(shape), f"{where}: {set(value) ^ set(shape)}"
        for name, kind in shape.items():
            check(kind, value[name], f"{where}.{name}")
        missing = value.get("unavailable", {})
        assert set(missing) <= set(shape), f"{where}.unavailable: {missing}"
        for name in missing:
            assert missing[name], f"{where}.unavailable.{name} gives no reason"
            assert is_unknown(value[name], name), f"{where}.{name}: {value[name]!r} looks real"
    else:
        assert is_kind(shape, value), f"{where} is no {shape}: {value!r}"


def is_unknown(value, name):
    if name == "file_name":
        return value == "N/A"
    if name == "parent":
        return value.endswith("/-1")
    return value in (-1, UNKNOWN_SPAN, UNKNOWN_INSTANT, None) or value in ([], {})
