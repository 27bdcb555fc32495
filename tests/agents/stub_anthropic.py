"""The stub's codec for Anthropic's Messages API: read requests, encode answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

from stub_talk import Answer, Api, Said, new_id, words_of


def read_anthropic(body: dict) -> Said:
    tools = body.get("tools", [])
    said = Said(tools={each.get("name", ""): each.get("input_schema", {}) for each in tools})
    for message in body.get("messages", []):
        if message.get("role") == "user":
            content = message.get("content")
            kinds = {part.get("type") for part in content} if isinstance(content, list) else set()
            said.add(words_of(content), "tool_result" in kinds)
    return said


def _anthropic_end(answer: Answer) -> str:
    return "tool_use" if answer.call else "end_turn"


def _anthropic_call(answer: Answer) -> dict:
    name, arguments = answer.call or ("", {})
    return {"type": "tool_use", "id": new_id("toolu"), "name": name, "input": arguments}


def whole_anthropic(answer: Answer, body: dict) -> dict:
    content: list[dict] = [{"type": "text", "text": answer.text}]
    content += [_anthropic_call(answer)] if answer.call else []
    return _anthropic_message(body, content, _anthropic_end(answer))


def _anthropic_message(body: dict, content: list[dict], stop: str | None) -> dict:
    usage = {"input_tokens": 10, "output_tokens": 5}
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "stub"),
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def stream_anthropic(answer: Answer, body: dict) -> Iterator[tuple[str, object]]:
    def event(kind: str, **rest: object) -> tuple[str, object]:
        return kind, {"type": kind, **rest}

    yield event("message_start", message=_anthropic_message(body, [], None))
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in answer.spoken():
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield event("content_block_stop", index=0)
    if answer.call:
        block = _anthropic_call(answer)
        given = json.dumps(block["input"])
        yield event("content_block_start", index=1, content_block={**block, "input": {}})
        delta = {"type": "input_json_delta", "partial_json": given}
        yield event("content_block_delta", index=1, delta=delta)
        yield event("content_block_stop", index=1)
    stop = {"stop_reason": _anthropic_end(answer), "stop_sequence": None}
    yield event("message_delta", delta=stop, usage={"output_tokens": 12})
    yield event("message_stop")


ANTHROPIC = Api("anthropic", ("/v1/messages",), read_anthropic, stream_anthropic, whole_anthropic)
