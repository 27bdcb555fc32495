"""The stub's codec for Gemini's generateContent: read requests, encode answers."""

from __future__ import annotations

from collections.abc import Iterator

from stub_talk import Answer, Api, Said, words_of


def read_gemini(body: dict) -> Said:
    said = Said()
    for tool in body.get("tools") or []:
        for each in tool.get("functionDeclarations", []):
            schema = each.get("parameters") or each.get("parametersJsonSchema") or {}
            said.tools[each["name"]] = schema
    for message in body.get("contents", []):
        if message.get("role", "user") == "user":
            parts = message.get("parts", [])
            said.add(words_of(parts), any("functionResponse" in part for part in parts))
    return said


def _gemini(part: dict, finish: str = "") -> dict:
    candidate: dict = {"content": {"role": "model", "parts": [part]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stub"}


def whole_gemini(answer: Answer, body: dict) -> dict:
    return _gemini({"text": answer.text}, "STOP")


def stream_gemini(answer: Answer, body: dict) -> Iterator[tuple[str, object]]:
    for word in answer.spoken():
        yield "", _gemini({"text": word})
    name, arguments = answer.call or ("", {})
    call = {"functionCall": {"name": name, "args": arguments}}
    yield "", _gemini(call if answer.call else {"text": ""}, "STOP")


_ENDS = (":streamGenerateContent", ":generateContent")
GEMINI = Api("gemini", _ENDS, read_gemini, stream_gemini, whole_gemini)
