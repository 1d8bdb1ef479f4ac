"""Gemini: POST /v1beta/models/MODEL:streamGenerateContent and relatives."""

import json

from llm.anthropic import pieces
from llm.script import Turn


def read(body, model):
    turn = Turn()
    turn.model = model
    for tool in body.get("tools", []):
        for one in tool.get("functionDeclarations", []):
            turn.tools.append(one.get("name", ""))
    for message in body.get("contents", []):
        parts = message.get("parts", [])
        if message.get("role") == "model":
            for part in parts:
                if "functionCall" in part:
                    turn.used()
            continue
        text = "\n".join(p["text"] for p in parts if "text" in p)
        if text and not any("functionResponse" in p for p in parts):
            turn.ask(text)
    return turn


def answer(turn, reply, parts, last):
    body = {"candidates": [{"content": {"role": "model", "parts": parts},
                            "index": 0}], "modelVersion": turn.model}
    if last:
        given, taken = reply.usage
        body["candidates"][0]["finishReason"] = "STOP"
        body["usageMetadata"] = {
            "promptTokenCount": given, "candidatesTokenCount": taken,
            "totalTokenCount": given + taken}
    return body


def call(reply):
    if not reply.tool:
        return []
    return [{"functionCall": {"name": reply.tool[0], "args": reply.tool[1]}}]


def whole(turn, reply):
    texts = [{"text": reply.text()}] if reply.text() else []
    return answer(turn, reply, texts + call(reply), True)


def stream(turn, reply):
    for piece in pieces(reply.text(), reply.delay) if reply.text() else []:
        yield "data: " + json.dumps(
            answer(turn, reply, [{"text": piece}], False)) + "\r\n\r\n"
    yield "data: " + json.dumps(
        answer(turn, reply, call(reply) or [{"text": ""}], True)) + "\r\n\r\n"


def error(status, text):
    return {"error": {"code": status, "message": text, "status":
                      "RESOURCE_EXHAUSTED" if status == 429 else "INTERNAL"}}


def count(body):
    return {"totalTokens": max(1, len(json.dumps(body)) // 4)}
