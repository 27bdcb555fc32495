"""The stub's codecs for OpenAI's Responses and Chat Completions: read requests, encode answers."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator

from stub_talk import Answer, Api, Said, new_id, words_of


def read_responses(body: dict) -> Said:
    said, given = Said(), body.get("input", [])
    for tool in body.get("tools", []):
        said.tools[tool.get("name") or tool.get("type", "")] = tool.get("parameters", {})
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    for item in given:
        if item.get("type", "message").endswith("_output"):
            said.is_result = True
        elif item.get("type", "message") == "message" and item.get("role") == "user":
            said.add(words_of(item.get("content")), False)
    return said


def _response(body: dict, status: str, output: list[dict]) -> dict:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    model = body.get("model", "stub")
    head = {"id": new_id("resp"), "object": "response", "created_at": int(time.time())}
    return {**head, "status": status, "model": model, "output": output, "usage": usage}


def _response_message(answer: Answer, status: str) -> dict:
    parts = [{"type": "output_text", "text": answer.text, "annotations": []}]
    content = parts if status == "completed" else []
    head = {"type": "message", "id": "msg_1", "role": "assistant"}
    return {**head, "status": status, "content": content}


def whole_responses(answer: Answer, body: dict) -> dict:
    return _response(body, "completed", [_response_message(answer, "completed")])


def stream_responses(answer: Answer, body: dict) -> Iterator[tuple[str, object]]:
    numbers = itertools.count()

    def event(kind: str, **rest: object) -> tuple[str, object]:
        return kind, {"type": kind, "sequence_number": next(numbers), **rest}

    begun, output = _response(body, "in_progress", []), [_response_message(answer, "completed")]
    yield event("response.created", response=begun)
    begins = _response_message(answer, "in_progress")
    yield event("response.output_item.added", output_index=0, item=begins)
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    for word in answer.spoken():
        yield event("response.output_text.delta", **at, delta=word)
    yield event("response.output_item.done", output_index=0, item=output[0])
    if answer.call:
        name, arguments = answer.call
        ids = {"id": new_id("fc"), "call_id": new_id("call"), "name": name}
        given = {"arguments": json.dumps(arguments), "status": "completed"}
        call = {"type": "function_call", **ids, **given}
        yield event("response.output_item.added", output_index=1, item={**call, "arguments": ""})
        yield event("response.output_item.done", output_index=1, item=call)
        output.append(call)
    done = {**begun, "status": "completed", "output": output}
    yield event("response.completed", response=done)


def read_chat(body: dict) -> Said:
    functions = [each["function"] for each in body.get("tools") or [] if "function" in each]
    said = Said(tools={each["name"]: each.get("parameters", {}) for each in functions})
    for message in body.get("messages", []):
        if message.get("role") == "tool":
            said.is_result = True
        elif message.get("role") == "user":
            said.add(words_of(message.get("content")), False)
    return said


def whole_chat(answer: Answer, body: dict) -> dict:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**_chat_head(body, "chat.completion"), "choices": [choice], "usage": _CHAT_USAGE}


_CHAT_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _chat_head(body: dict, kind: str) -> dict:
    model = body.get("model", "stub")
    return {"id": new_id("chatcmpl"), "object": kind, "created": int(time.time()), "model": model}


def stream_chat(answer: Answer, body: dict) -> Iterator[tuple[str, object]]:
    head = _chat_head(body, "chat.completion.chunk")

    def chunk(delta: dict, finish: str | None = None) -> tuple[str, object]:
        return "", {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for word in answer.spoken():
        yield chunk({"content": word})
    if answer.call:
        name, arguments = answer.call
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"index": 0, "id": new_id("call"), "type": "function", "function": function}
        yield chunk({"tool_calls": [call]})
    yield chunk({}, "tool_calls" if answer.call else "stop")
    yield "", {**head, "choices": [], "usage": _CHAT_USAGE}
    yield "", "[DONE]"


RESPONSES = Api("responses", ("/responses",), read_responses, stream_responses, whole_responses)
CHAT = Api("chat", ("/chat/completions",), read_chat, stream_chat, whole_chat)
